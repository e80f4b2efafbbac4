"""Judges what was seen of one pair by what the table promises of it.

Pure: observations in, complaints out, each with its column; none means that the pair keeps its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from tests.stacks.table import (
    COLUMNS,
    ENDED_S,
    ENDINGS,
    FIRST_S,
    GONE_S,
    HEALTHY,
    Limit,
    Pair,
    limit_of,
)
from tests.stacks.trial import Departure, Ending, Seen, Shutdown


def complaints(pair: Pair, seen: Mapping[str, Seen], *, busy_s: float = 0.0) -> list[str]:
    """What the pair does not keep; `busy_s` is what a busy machine may add to each bound."""
    found = [f"{column}: not measured" for column in COLUMNS if column not in seen]
    for column, cell in seen.items():
        found += [f"{column}: {it}" for it in _of_cell(pair, column, cell, busy_s)]
    return found


def _of_cell(pair: Pair, column: str, cell: Seen, busy_s: float) -> Iterator[str]:
    _, limit = limit_of(pair, column)
    match cell:
        case Ending():
            return _of_ending(column, cell, busy_s)
        case Departure():
            return _of_departure(cell, limit, busy_s)
        case Shutdown():
            return _of_shutdown(pair, cell, limit, busy_s)
        case _:
            assert_never(cell)


def _of_ending(column: str, cell: Ending, busy_s: float) -> Iterator[str]:
    _, reason, takes_s = ENDINGS[column]
    if (cell.status, cell.reason, cell.body) != (200, reason, "whole"):
        yield f"{cell.status}, {cell.reason}, {cell.body}; not 200, {reason}, whole"
    if column == HEALTHY and (cell.first_s is None or cell.first_s > FIRST_S + busy_s):
        yield f"the first words came after {cell.first_s} s, of {cell.took_s}"
    if cell.took_s > takes_s + ENDED_S + busy_s:
        yield f"it ended after {cell.took_s} s, and takes {takes_s} by itself"


def _of_departure(cell: Departure, limit: Limit, busy_s: float) -> Iterator[str]:
    if cell.left_s is None or cell.left_s > limit.left_s + busy_s:
        yield f"the upstream was left after {cell.left_s} s, not within {limit.left_s}"


def _of_shutdown(pair: Pair, cell: Shutdown, limit: Limit, busy_s: float) -> Iterator[str]:
    if (cell.short, cell.endless) != ("complete", limit.endless):
        yield f"the streams ended {cell.short} and {cell.endless}, not complete and {limit.endless}"
    if cell.exits != pair.exits:
        yield f"the exit status is {cell.exits}, not {pair.exits}"
    if cell.ended_s > limit.ended_s + busy_s:
        yield f"the streams took {cell.ended_s} s to end, not {limit.ended_s}"
    if cell.gone_s > GONE_S + busy_s:
        yield f"the process took {cell.gone_s} s to go, not {GONE_S}"
