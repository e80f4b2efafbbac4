"""The page of servers: what every framework under its usual servers did, from the last run.

It reads tests/stacks: the table of promises and limits, and what the run saw. It measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import assert_never

from tests.stacks.run import VERDICTS, written
from tests.stacks.table import (
    ASGI_APPS,
    BEHIND,
    COLUMNS,
    LEFT_S,
    LIMITS,
    PAIRS,
    TERMS,
    WSGI_APPS,
    Pair,
    limit_of,
)
from tests.stacks.trial import Departure, Ending, Seen, Shutdown
from tests.stacks.verdict import complaints

SECTIONS: Mapping[str, Iterable[str]] = {
    "ASGI": ASGI_APPS,
    "Behind a middleware": BEHIND,
    "aiohttp": ("aiohttp",),
    "WSGI": WSGI_APPS,
}


def stacks_markdown() -> str:
    """The tables, a row for each pair, and the notes that their cells name."""
    seen = written()
    parts = [f"Measured with {_versions()}; {_terms()}."]
    for title, frameworks in SECTIONS.items():
        rows = [pair for pair in PAIRS if pair.framework in frameworks]
        parts.append(f"**{title}**\n\n" + _table(rows, seen))
    notes = "\n".join(f'- <a id="{name}"></a>**{name}**: {it.says}' for name, it in LIMITS.items())
    return "\n\n".join([*parts, "**The notes**", notes])


def _versions() -> str:
    versions = json.loads(VERDICTS.read_text("utf-8"))["versions"]
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _terms() -> str:
    return ", ".join(f"`{name}` {value:g}" for name, value in TERMS.items())


def _table(rows: list[Pair], seen: Mapping[str, Mapping[str, Seen]]) -> str:
    head = ["framework", "server", *COLUMNS]
    lines = [_line(head), "|" + "---|" * len(head)]
    framework = ""
    for pair in rows:
        name = "" if pair.framework == framework else pair.framework
        framework = pair.framework
        lines.append(_line([name, pair.server, *_cells(pair, seen[pair.name])]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(pair: Pair, seen: Mapping[str, Seen]) -> Iterable[str]:
    broken = {complaint.partition(":")[0] for complaint in complaints(pair, seen)}
    for column in COLUMNS:
        text = _cell(seen[column])
        name, _ = limit_of(pair, column)
        note = f" [{name}](#{name})" if name else ""
        yield f"**NOT KEPT**: {text}" if column in broken else text + note


def _cell(cell: Seen) -> str:
    match cell:
        case Ending():
            return "yes" if cell.body == "whole" else cell.body
        case Departure():
            return _left(cell.left_s)
        case Shutdown():
            kept = cell.short, cell.endless
            ends = "both end" if kept == ("complete", "draining") else " and ".join(kept)
            return f"{ends} in {cell.ended_s:.1f} s; exit {cell.exits}"
        case _:
            assert_never(cell)


def _left(left_s: float | None) -> str:
    if left_s is None:
        return "not seen"
    return "< 0.05 s" if left_s < LEFT_S / 4 else f"{left_s:.1f} s"
