"""The doctor as a command: its options, its progress on standard error, its exit status."""

# ruff: noqa: PLC0415 - what a command needs it imports when it runs

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from finalstop.doctor.announce import DoctorError, Notice
from finalstop.doctor.observations import Case, Ending, Observations, Step

if TYPE_CHECKING:
    from finalstop.doctor.announce import Announce
    from finalstop.doctor.connection import Way
    from finalstop.doctor.observations import Question
    from finalstop.doctor.visit import Borrowed

SIMULATOR_PORT: Final = 8788
# The exit status.
HEALTHY: Final = 0
SICK: Final = 1
NOT_EXAMINED: Final = 2
# And the signal's number: as a shell says it.
INTERRUPTED: Final = 128
# Where nobody looks at a screen, lines stay whole so that grep finds what belongs together.
_WIDE: Final = 120

Url = Annotated[str, typer.Argument(metavar="URL", help="The endpoint, http or https.")]
Data = Annotated[
    str | None,
    typer.Option("--data", "-d", metavar="DATA", help="The body, or @FILE, or @- for stdin."),
]
Method = Annotated[
    str, typer.Option("--request", "-X", metavar="METHOD", help="Else POST with a body, or GET.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="NAME:VALUE", help="A request header. Repeatable."),
]
Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="COMMAND",
        help="Starts your server, with ANTHROPIC_BASE_URL set to a simulator that has faults.",
    ),
]
Listens = Annotated[
    str,
    typer.Option("--listens", metavar="HOST:PORT", help="Of that server, if URL is a proxy's."),
]
Simulate = Annotated[
    bool, typer.Option("--simulator", help="The same with a server that you start yourself.")
]
Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="Of that simulator; 0 is any."),
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="For that server's first call.")
]
Idle = Annotated[
    float | None,
    typer.Option("--idle", metavar="SECONDS", help="Seek the idle limit on the way, up to this."),
]
Time = Annotated[
    float, typer.Option("--time", metavar="SECONDS", min=1, help="For all, without a simulator.")
]
Window = Annotated[
    float,
    typer.Option(
        "--window", metavar="SECONDS", min=1, help="Without progress for so long, it hangs."
    ),
]
Sigterm = Annotated[
    float,
    typer.Option("--sigterm", metavar="SECONDS", min=1, help="In which SIGTERM must end it."),
]
Only = Annotated[
    list[Case] | None,
    typer.Option("--only", metavar="CASE", help="This trial alone, e.g. stall. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="The report as JSON.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one HTML file.")
]
Ci = Annotated[bool, typer.Option("--ci", help="One line per finding.")]
Proxy = Annotated[
    list[str] | None,
    typer.Option("--proxy", metavar="URL", help="Ask through this proxy. Repeatable: a chain."),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")]
Http10 = Annotated[bool, typer.Option("--http1.0", help="Ask as an HTTP/1.0 proxy does.")]


def doctor(  # noqa: PLR0917 - typer passes by name
    url: Url,
    data: Data = None,
    method: Method = "",
    headers: Headers = None,
    run: Run = None,
    listens: Listens = "",
    simulator: Simulate = False,
    port: Port = SIMULATOR_PORT,
    wait: Wait = 120,
    only: Only = None,
    window: Window = 3,
    time: Time = 15,
    sigterm: Sigterm = 25,
    idle: Idle = None,
    proxy: Proxy = None,
    insecure: Insecure = False,
    http10: Http10 = False,
    as_json: AsJson = False,
    html: Html = None,
    ci: Ci = False,
) -> None:
    """Say why a streaming endpoint hangs, and what to change.

    Any endpoint, in any language: by its URL alone, or with `--run` under every upstream fault.

    Exit status: 0 no problem, 1 problems found, 2 it could not be examined, 130 interrupted.
    """
    from finalstop.doctor.visit import Borrowed, visit

    known: list[Observations] = []
    with _refusals():
        _check_folder(html)
        _check_forms(run, as_json=as_json, ci=ci)
        borrowed = Borrowed(port, wait) if simulator else None
        with _progress(url) as announce:
            examine = partial(
                visit,
                _question(url, method, headers or [], data),
                run=run or "",
                listens=listens,
                simulator=borrowed,
                way=_way(proxy or [], insecure=insecure, http10=http10),
                window_s=window,
                time_s=time,
                idle_s=idle,
                sigterm_s=sigterm,
                only=only or [],
                announce=announce,
                interrupted=known.append,
            )
            number = asyncio.run(_until_told(examine(), known, borrowed))
    _say_interrupted(number, known)
    status = _report(known[-1], as_json=as_json, html=html, ci=ci, tried=bool(run or simulator))
    raise typer.Exit(INTERRUPTED + number if number else status)


async def _until_told(
    visit: Coroutine[Any, Any, Observations], known: list[Observations], borrowed: Borrowed | None
) -> int:
    """Run the visit, add what it saw to `known`, and return the signal that ended it, or 0.

    A signal that ends us ends the person's server first. Enter means ready.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(visit)
    numbers: list[int] = []

    def end(number: int) -> None:
        numbers.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    asks = borrowed is not None and sys.stdin.isatty()
    if borrowed is not None and asks:
        loop.add_reader(sys.stdin, borrowed.ready.set)
    try:
        known.append(await task)
    except asyncio.CancelledError:
        return numbers[0]
    finally:
        if asks:
            loop.remove_reader(sys.stdin)
    return 0


def _say_interrupted(number: int, known: Sequence[Observations]) -> None:
    if not number:
        return
    if not known or Step.ASK not in known[-1].steps:
        _say("interrupted: nothing was examined to its end")
        raise typer.Exit(INTERRUPTED + number)
    _say("interrupted: this is what was seen so far")


def _question(url: str, method: str, headers: Sequence[str], data: str | None) -> Question:
    from finalstop.doctor.http import make_question

    return make_question(
        url, method=method, headers=[_header(line) for line in headers], data=_body(data)
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise DoctorError(f"-H {line!r}: it must be a name, a colon and a value")
    return name, value


def _body(data: str | None) -> bytes:
    if data is None or not data.startswith("@"):
        return (data or "").encode()
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as bad:
        raise DoctorError(f"-d {data}: {bad.strerror}") from None


def _way(proxies: Sequence[str], *, insecure: bool, http10: bool) -> Way:
    from finalstop.doctor.connection import Way
    from finalstop.doctor.http import HTTP_10, HTTP_11

    return Way(tuple(proxies), verify=not insecure, version=HTTP_10 if http10 else HTTP_11)


def _check_folder(file: Path | None) -> None:
    if file is not None and not file.absolute().parent.is_dir():
        raise DoctorError(f"--html {file}: there is no such folder")


def _check_forms(run: str | None, *, as_json: bool, ci: bool) -> None:
    if run is not None and not run.strip():
        raise DoctorError("--run: it must be a command that starts your server")
    if as_json and ci:
        raise DoctorError("--json and --ci are two forms of one report: give one of them")


@contextmanager
def _progress(url: str) -> Iterator[Announce]:
    """Where what is about to be done is shown: a line that runs, or lines where nobody looks."""
    from rich.console import Console

    from finalstop.doctor.masking import safe_url

    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield lambda notice: _say(notice.says.replace(url, safe_url(url)))
        return
    with console.status("") as status:

        def announce(notice: Notice) -> None:
            says = notice.says.replace(url, safe_url(url))
            console.print(says, style="dim")
            at_most = f" (at most {notice.at_most_s:.0f} s)" if notice.at_most_s else ""
            status.update(f"{says}{at_most}")

        yield announce


def _report(
    observations: Observations, *, as_json: bool, html: Path | None, ci: bool, tried: bool
) -> int:
    """Say what was found; returns the exit status. `tried`: its upstream was to be a simulator."""
    from rich.console import Console

    from finalstop.doctor import report
    from finalstop.doctor.finding import Level
    from finalstop.doctor.findings import examine

    findings = examine(observations)
    if html is not None:
        html.write_text(report.as_html(observations, findings), "utf-8")
        _say(f"the report is in {html}")
    console = Console()
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console = Console(width=_WIDE)
    if as_json:
        typer.echo(report.as_json(observations, findings))
    elif ci:
        report.print_ci(console, observations, findings)
    else:
        report.print_report(console, observations, findings)
    asked = observations.steps.get(Step.ASK)
    if asked is None or asked.ending is Ending.NO_CONNECTION:
        return NOT_EXAMINED
    if any(it.level is Level.PROBLEM for it in findings):
        return SICK
    # A server that never asked the simulator was not seen under any fault.
    return NOT_EXAMINED if tried and not observations.trials else HEALTHY


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be examined is said in a line, without a stack."""
    try:
        yield
    except DoctorError as error:
        _say(str(error))
        raise typer.Exit(NOT_EXAMINED) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("interrupted: nothing was examined to its end")
        raise typer.Exit(INTERRUPTED + signal.SIGINT) from None


def _say(message: str) -> None:
    typer.echo(f"finalstop: {message}", err=True)
