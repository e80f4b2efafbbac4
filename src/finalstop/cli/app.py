"""The commands and their options.

What a command needs it imports when it runs: `finalstop --help` starts no server and loads none.
"""

# ruff: noqa: PLC0415 - for the reason above

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

import finalstop
from finalstop.cli.doctor import doctor

if TYPE_CHECKING:
    from finalstop.gateway.config import Configuration

SIMULATOR_PORT: Final = 8788

app: Final = typer.Typer(
    name="finalstop",
    help="Relays Claude token streams. Every stream ends: exactly once, in bounded time, and says "
    "why.",
    no_args_is_help=True,
    add_completion=False,
    # Its boxes show source lines, and a wrong setting is not a crash.
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="TOML file; else finalstop.toml, if there."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Any setting that `finalstop config` lists. Repeatable."
    ),
]
Upstream = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="Whom to ask: an https URL, or simulator."),
]


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to bind: 127.0.0.1.")
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", metavar="PORT", help="Port to bind: 8787; 0 is any.")
    ] = None,
    upstream: Upstream = None,
    config: ConfigPath = None,
    assignments: Assignments = None,
) -> None:
    """Start the gateway. Without an API key it answers from the embedded simulator."""
    flags = {"--host": host, "--port": port, "--upstream": upstream}
    settings = _load(flags, assignments, config).settings
    from finalstop.gateway.serve import run

    raise typer.Exit(run(settings))


@app.command()
def ask(  # noqa: PLR0917 - typer passes by name
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The model; else default_model.")
    ] = None,
    max_tokens: Annotated[
        str | None,
        typer.Option("--max-tokens", metavar="N", help="At most so many; else default_max_tokens."),
    ] = None,
    upstream: Upstream = None,
    config: ConfigPath = None,
    assignments: Assignments = None,
) -> None:
    """Ask one question: the answer, live, on standard output, its receipt on standard error.

    Exit status 0 only if the answer is complete.
    """
    flags = {"--model": model, "--max-tokens": max_tokens, "--upstream": upstream}
    settings = _load(flags, assignments, config).settings
    if settings.is_simulated:
        _say("the simulator answers; with ANTHROPIC_API_KEY set, the API does")
    elif settings.api_key is None:
        _refuse("there is no API key to ask with: set ANTHROPIC_API_KEY, or --upstream simulator")
    from finalstop.cli.tables import print_receipt, printable
    from finalstop.gateway.ask import run

    def write(text: str) -> None:
        sys.stdout.write(printable(text))
        sys.stdout.flush()

    ended = asyncio.run(
        run(
            settings,
            prompt=question,
            model=settings.default_model,
            max_tokens=settings.default_max_tokens,
            write=write,
        )
    )
    sys.stdout.write("\n")
    print_receipt(ended.receipt)
    if ended.receipt.complete:
        raise typer.Exit(0)
    _say(printable(str(ended.error["message"]), is_terminal=True))
    raise typer.Exit(1)


@app.command()
def simulate(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 is any.")
    ] = SIMULATOR_PORT,
    default: Annotated[
        str, typer.Option("--default", metavar="SPEC", help="What a call gets that names nothing.")
    ] = "text",
    pace_ms: Annotated[
        int, typer.Option("--pace-ms", min=0, metavar="MS", help="Milliseconds between two words.")
    ] = 20,
    keyless: Annotated[
        bool, typer.Option("--keyless", help="Answer calls that bring no API key, too.")
    ] = False,
    list_them: Annotated[
        bool, typer.Option("--list", help="Say in a line each what it can play, and stop.")
    ] = False,
) -> None:
    """Run the simulated API alone: healthy answers, and every fault an upstream can commit."""
    from finalstop.cli import simulation

    if list_them:
        simulation.print_catalogue()
        return
    try:
        asyncio.run(simulation.run(port, default=default, pace_ms=pace_ms, keyless=keyless))
    except ValueError as error:
        _refuse(f"--default {default}: {error}")
    except OSError as error:
        _say(f"--port {port}: cannot listen on 127.0.0.1: {error.strerror}")
        raise typer.Exit(1) from None


app.command()(doctor)


@app.command("config")
def show_config(
    config: ConfigPath = None,
    assignments: Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show every setting and limit: its value, where that comes from, and why it is there."""
    rows = _load({}, assignments, config).rows()
    from finalstop.cli.tables import print_settings, settings_json

    if as_json:
        typer.echo(settings_json(rows))
    else:
        print_settings(rows)


@app.command()
def token() -> None:
    """Make a gateway token. It is shown once; configure the line below it, which opens nothing."""
    from finalstop.gateway.secret import TokenHash, make_token

    made = make_token()
    typer.echo(f"for the client:  {made}")
    typer.echo(f"for the gateway: {TokenHash.of(made).line()}")
    _say("put the second line into FINALSTOP_TOKENS or the file of FINALSTOP_TOKENS_FILE")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"finalstop {finalstop.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _load(
    flags: dict[str, str | None], assignments: list[str] | None, config: Path | None
) -> Configuration:
    from finalstop.gateway.config import ConfigError, load

    try:
        return load(flags, assignments or [], config=config)
    except ConfigError as error:
        _refuse(*error.complaints)


def _refuse(*complaints: str) -> NoReturn:
    for complaint in complaints:
        _say(complaint)
    raise typer.Exit(2)


def _say(message: str) -> None:
    typer.echo(f"finalstop: {message}", err=True)
