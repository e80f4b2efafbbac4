"""`make compare`: five hand-made relays and respond() in the same five, under the same faults.

Live: a simulator that misbehaves on request, ten servers in front of it, and a browser. No key is
needed. A whole run is kept in verdicts.json, from which `make docs` writes the page about it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# It is run as a script, from anywhere; what it stands on is named from the repository.
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from examples.compare.conditions import RELAYS, ROWS, WINDOW_S, Results, Side  # noqa: E402
from examples.compare.report import broken_words, keep, table_of, verdicts_of  # noqa: E402
from examples.compare.stage import run  # noqa: E402
from examples.processes import StartError  # noqa: E402

# Where no terminal says how wide it is.
PIPED_COLUMNS: Final = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; 0 if finalstop kept its word in every cell."""
    asked = _parser().parse_args(arguments)
    rows = [row for row in ROWS if not asked.only or row in asked.only]
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_COLUMNS)
    began_at = time.monotonic()
    results: Results | None = None
    console.print(f"{len(RELAYS) * len(Side)} servers, {len(rows)} conditions; a minute or two.")
    try:
        results = asyncio.run(run(dict.fromkeys(Side, rows), window_s=asked.window_s))
    except* StartError as failed:
        print(f"compare: {_innermost(failed)}", file=sys.stderr)
    except* TimeoutError:
        print("compare: a server did not answer in time; is the machine busy?", file=sys.stderr)
    if results is None:
        return 1
    console.print(table_of(results))
    console.print(f"[dim]{time.monotonic() - began_at:.0f} s in all.[/]")
    broken = broken_words(results)
    for words in broken:
        print(f"compare: not as promised: {words}", file=sys.stderr)
    if not broken and not asked.only and not asked.dry:
        keep(verdicts_of(results))
    return 1 if broken else 0


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compare.py", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(ROWS), help="this row, and keep nothing; repeatable"
    )
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    parser.add_argument(
        "--window-s",
        type=float,
        default=WINDOW_S,
        help="silence that is called a hang (%(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
