"""`make demo-express`: an Express handler that hangs, and the same one through finalstop.

Live: a simulator that misbehaves on request, a gateway before it, the handler in Node with two
releases of the official SDK, pointed once at the one and once at the other. No key is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# It is run as a script, from anywhere; what it stands on is named from the repository.
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from examples.express.cases import (  # noqa: E402
    MID_2024,
    Result,
    Route,
    Verdict,
    is_kept,
)
from examples.express.report import (  # noqa: E402
    Verdicts,
    excerpt_markdown,
    full_markdown,
    json_of,
    table_of,
    verdicts_of,
)
from examples.express.stage import GATEWAY_LIMITS, WAIT_S, run  # noqa: E402
from examples.faults import FAULTS  # noqa: E402
from examples.processes import StartError  # noqa: E402
from tools.node import NodeError  # noqa: E402

FOLDER: Final = Path(__file__).resolve().parent
VERDICTS: Final = FOLDER / "verdicts.json"
OPENING: Final = "<!-- demo -->\n"
CLOSING: Final = "<!-- /demo -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if finalstop kept its word in every row."""
    asked = _parser().parse_args(arguments)
    faults = [f for f in FAULTS if not asked.fault or f.spec in asked.fault]
    if asked.write and len(faults) < len(FAULTS):
        print("demo: --write keeps the whole table: leave out --fault", file=sys.stderr)
        return 2
    began = time.monotonic()
    results: list[Result] = []
    try:
        results = asyncio.run(run(faults, wait_s=asked.wait_s))
    except* (NodeError, StartError) as failed:
        print(f"demo: {_innermost(failed)}", file=sys.stderr)
    if not results:
        return 1
    _show(asked, results, took_s=time.monotonic() - began)
    return 0 if all(is_kept(it) for it in results if it.route is Route.FINALSTOP) else 1


def read_verdicts() -> Verdicts:
    """The committed verdicts."""
    read: Verdicts = json.loads(VERDICTS.read_text("utf-8"))
    return read


def pages(verdicts: Verdicts) -> dict[Path, str]:
    """Every page that shows the table, as it must read."""
    parts = {
        ROOT / "README.md": excerpt_markdown(verdicts),
        FOLDER / "README.md": full_markdown(verdicts),
    }
    return {path: _with_part(path.read_text("utf-8"), text) for path, text in parts.items()}


def _show(asked: argparse.Namespace, results: Sequence[Result], *, took_s: float) -> None:
    if asked.write:
        _write(verdicts_of(results))
    elif asked.json:
        print(json_of(results))
    elif asked.markdown:
        print(full_markdown(verdicts_of(results)))
    else:
        _print_table(results, took_s)


def _print_table(results: Sequence[Result], took_s: float) -> None:
    console = Console()
    console.print(table_of(results))
    hung = sum(it.verdict is Verdict.HANGS for it in results if it.route is Route.DIRECT)
    lied = sum(it.verdict is Verdict.LIE for it in results if it.route is Route.DIRECT)
    after = [it for it in results if it.route is Route.FINALSTOP]
    good = sum(is_kept(it) for it in after)
    limits = ", ".join(f"{name}={value}" for name, value in GATEWAY_LIMITS.items())
    console.print(
        f"Direct: {hung} of {len(after)} hang, {lied} pass a cut answer for a whole one. "
        f"Through finalstop: {good} of {len(after)} end as they should.\n"
        f"[dim]SDK {MID_2024} raises at an error event, but drops what it says.\n"
        f"The gateway's limits are short for the demo: {limits} (by default 300 and 120). "
        f"{took_s:.0f} s in all.[/]"
    )


def _write(verdicts: Verdicts) -> None:
    VERDICTS.write_text(json.dumps(verdicts, indent=2) + "\n", "utf-8")
    for path, text in pages(verdicts).items():
        path.write_text(text, "utf-8")


def _with_part(page: str, text: str) -> str:
    before, opening, rest = page.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing):
        raise ValueError(f"the page has no place for the table: {OPENING.strip()} ... {CLOSING}")
    return f"{before}{opening}{text}{closing}{after}"


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one object per request")
    shape.add_argument("--markdown", action="store_true", help="the table of verdicts")
    shape.add_argument("--write", action="store_true", help="keep the verdicts; write the pages")
    specs = [fault.spec for fault in FAULTS]
    parser.add_argument("--fault", action="append", choices=specs, help="only this; repeatable")
    parser.add_argument(
        "--wait-s", type=float, default=WAIT_S, help="silence that is called a hang (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
