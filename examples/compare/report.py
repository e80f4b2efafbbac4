"""The results for a reader: a table in the terminal, and what is kept of a run.

Times differ from run to run, verdicts must not: a test runs the comparison and holds it against
the verdicts that were kept. Pure; it may not know how anything is run.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from examples.compare.conditions import (
    BAD,
    GOOD,
    RELAYS,
    ROWS,
    SIGTERM,
    Cell,
    Relay,
    Results,
    Side,
    Verdict,
    is_kept,
)

VERDICTS: Final = Path(__file__).with_name("verdicts.json")
# What a verdict may depend on. uvicorn runs on the last three where they are installed.
PACKAGES: Final = (
    *("anthropic", "fastapi", "starlette", "sse-starlette", "httpx2", "flask"),
    *("uvicorn", "gunicorn", "httptools", "h11", "uvloop"),
)

# As kept: "cells" and "seconds" are condition -> relay -> side -> text or number.
Verdicts = dict[str, Any]


def versions() -> dict[str, str]:
    """The packages of the comparison that are installed here, with their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def verdicts_of(results: Results) -> Verdicts:
    """What is kept of a run. Times only where they are the point: departures and the signal."""
    cells: dict[str, dict[str, dict[str, str]]] = {}
    seconds: dict[str, dict[str, dict[str, float]]] = {}
    for row, relay, side, cell in _all(results):
        cells.setdefault(row, {}).setdefault(relay.key, {})[side.value] = str(cell)
        if cell.after_s is not None and cell.verdict in TIMED:
            seconds.setdefault(row, {}).setdefault(relay.key, {})[side.value] = cell.after_s
    return {
        "finalstop": version("finalstop"),
        "python": platform.python_version(),
        "versions": versions(),
        "cells": cells,
        "seconds": seconds,
    }


TIMED: Final = frozenset({Verdict.CLOSED, Verdict.DRAINED, Verdict.CUT})


def read_verdicts() -> Verdicts:
    """The verdicts that were kept."""
    read: Verdicts = json.loads(VERDICTS.read_text("utf-8"))
    return read


def keep(verdicts: Verdicts) -> None:
    """Keep them."""
    VERDICTS.write_text(json.dumps(verdicts, indent=1) + "\n", "utf-8")


def broken_words(results: Results) -> list[str]:
    """Where finalstop did not keep its word; must be empty."""
    return [
        f"{row}, {relay.key}: {cell}"
        for row, relay, side, cell in _all(results)
        if side is Side.FINALSTOP and not is_kept(row, cell)
    ]


def counts_of(kept: Iterable[str]) -> Counter[str]:
    """How often by hand it was good, and how often bad: "good", "bad" or "so-so" per cell."""
    return Counter(grade(text) for text in kept)


def grade(text: str) -> str:
    """A kept verdict's grade: good, bad (never ends, leaks, or lies), or so-so."""
    verdict = verdict_in(text)
    if verdict in BAD:
        return "bad"
    return "good" if verdict in GOOD and " for a " not in text else "so-so"


def verdict_in(text: str) -> Verdict:
    """The verdict of a cell as it is kept."""
    return Verdict(text.partition(" (")[0])


def table_of(results: Results) -> Table:
    """The run as a table for the terminal: a row per condition, a column per relay, and ours."""
    table = Table(title="Hand-made relays, and respond() in the same five", title_justify="left")
    table.add_column("what happens", overflow="fold")
    for relay in RELAYS:
        table.add_column(relay.title.replace("`", ""), overflow="fold")
    table.add_column("with finalstop, all five", overflow="fold")
    for row in results.rows:
        by_hand = (results.find(row, relay, Side.BY_HAND) for relay in RELAYS)
        cells = [_styled(cell) for cell in by_hand]
        table.add_row(ROWS[row].replace("`", ""), *cells, _ours(results, row), end_section=True)
    return table


def _ours(results: Results, row: str) -> str:
    cells = [results.find(row, relay, Side.FINALSTOP) for relay in RELAYS]
    unlike = {str(cell): cell for cell in cells if cell is not None}
    return "\n".join(_styled(cell) for cell in unlike.values())


def _styled(cell: Cell | None) -> str:
    if cell is None:
        return ""
    style = {"good": "green", "so-so": "yellow", "bad": "bold red"}[grade(str(cell))]
    after = f" [dim]{cell.after_s:.1f} s[/]" if cell.after_s is not None else ""
    return f"[{style}]{escape(str(cell))}[/]{after}"


def _all(results: Results) -> Iterable[tuple[str, Relay, Side, Cell]]:
    for row in results.rows:
        for relay in RELAYS:
            for side in Side:
                cell = results.find(row, relay, side)
                if cell is not None:
                    yield row, relay, side, cell


def seconds_in(verdicts: Verdicts, row: str, relay: Relay, side: Side) -> str:
    """How long a departure or a signal took, as it reads in a cell; empty if there is no time."""
    found = verdicts["seconds"].get(row, {}).get(relay.key, {}).get(side.value)
    if found is None:
        return ""
    return f"after {found:.0f} s" if row == SIGTERM else f"within {max(found, 0.0) + 0.1:.1f} s"
