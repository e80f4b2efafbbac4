"""The byte timeline: what came when, as marks; and the marks as one line of characters.

Pure. The terminal report draws the line, the HTML page draws the same marks as SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from finalstop.doctor.chart import Chart
from finalstop.doctor.dialects import Role
from finalstop.doctor.observations import Ending, Exchange, Step
from finalstop.doctor.transcript import Said, Transcript
from finalstop.doctor.wording import ending_said, frame_said, seconds


class MarkKind(StrEnum):
    """What stands at an instant. In the order of importance: the later one covers the earlier."""

    KEEP_ALIVE = "keep-alive"
    OTHER = "other frame"
    DELTA = "delta"
    HEAD = "head"
    SUCCESS = "terminal: complete"
    FAILURE = "terminal: failed"
    TAIL = "text that no browser shows"
    ENDED = "the body ended properly"
    BROKE = "the connection broke"
    LEFT = "we left"
    OPEN = "still open"


SYMBOLS: Final[dict[MarkKind, str]] = {
    MarkKind.KEEP_ALIVE: ":",
    MarkKind.OTHER: ",",
    MarkKind.DELTA: "|",
    MarkKind.HEAD: "H",
    MarkKind.SUCCESS: "+",
    MarkKind.FAILURE: "!",
    MarkKind.TAIL: "?",
    MarkKind.ENDED: "]",
    MarkKind.BROKE: "x",
    MarkKind.LEFT: "<",
    MarkKind.OPEN: ">",
}
WAITING: Final = "."  # no head yet
SILENCE: Final = "-"
LEGEND: Final = "  ".join(
    [f"{WAITING} no head yet", f"{SILENCE} silence"] + [f"{SYMBOLS[it]} {it}" for it in MarkKind]
)

_FRAMES: Final = {
    Role.DELTA: MarkKind.DELTA,
    Role.SUCCESS: MarkKind.SUCCESS,
    Role.CLOSE: MarkKind.SUCCESS,
    Role.FAILURE: MarkKind.FAILURE,
    Role.KEEP_ALIVE: MarkKind.KEEP_ALIVE,
    Role.OTHER: MarkKind.OTHER,
}
_ENDS: Final = {
    Ending.WHOLE: MarkKind.ENDED,
    Ending.CLOSED: MarkKind.ENDED,
    Ending.CUT: MarkKind.BROKE,
    Ending.RESET: MarkKind.BROKE,
    Ending.NO_CONNECTION: MarkKind.BROKE,
    Ending.NOT_HTTP: MarkKind.BROKE,
    Ending.LEFT: MarkKind.LEFT,
    Ending.STILL_OPEN: MarkKind.OPEN,
}
# A drawing is to be looked at: of a thousand deltas the first ones of each column are enough.
MARKS_MAX: Final = 400
_ORDER: Final = list(MarkKind)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at an instant, in seconds since the exchange began."""

    at_s: float
    kind: MarkKind
    says: str


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange as a line."""

    key: str
    name: str
    status: str
    exchange: Exchange
    marks: tuple[Mark, ...]


def rows_of(chart: Chart) -> tuple[Row, ...]:
    """The exchanges that asked the question, and SIGTERM; in the order in which they were made."""
    found = {f"trial:{case}": it for case, it in chart.trials.items()}
    steps = {f"step:{step}": it for step, it in chart.steps.items() if _asks(step)}
    rows = (found or steps) | {key: it for key, it in steps.items() if key == f"step:{Step.IDLE}"}
    if chart.shutdown is not None:
        rows["sigterm"] = chart.shutdown
    return tuple(_row(key, it) for key, it in rows.items())


def _asks(step: Step) -> bool:
    return step not in {Step.HEAD, Step.PREFLIGHT, Step.RECONNECT}


def _row(key: str, it: Transcript) -> Row:
    status = str(it.exchange.status or "-")
    return Row(key, it.name, status, it.exchange, tuple(marks_of(it)))


def marks_of(transcript: Transcript) -> Iterator[Mark]:
    """The marks of an exchange, in the order of time; at most `MARKS_MAX` frames."""
    exchange = transcript.exchange
    if exchange.head_s is not None:
        yield Mark(exchange.head_s, MarkKind.HEAD, f"head: status {exchange.status}")
    for said in _thinned(transcript.said):
        yield Mark(said.frame.at_s, _FRAMES[said.role], frame_said(said.frame))
    if transcript.reading.tail.strip():
        last = exchange.arrivals[-1].at_s
        yield Mark(last, MarkKind.TAIL, transcript.reading.tail.strip()[:80])
    yield Mark(exchange.ended_s, _ENDS[exchange.ending], ending_said(exchange))


def _thinned(said: Sequence[Said]) -> Iterator[Said]:
    every = len(said) // MARKS_MAX + 1
    usual = {Role.DELTA, Role.KEEP_ALIVE, Role.OTHER}
    return (it for place, it in enumerate(said) if it.role not in usual or place % every == 0)


def drawn(row: Row, *, whole_s: float, columns: int) -> str:
    """One line: `whole_s` seconds are `columns` characters wide."""
    last = _column(row.exchange.ended_s, whole_s, columns)
    head = next((it.at_s for it in row.marks if it.kind is MarkKind.HEAD), row.exchange.ended_s)
    start = _column(head, whole_s, columns)
    cells = [WAITING if place < start else SILENCE for place in range(last + 1)]
    taken: dict[int, MarkKind] = {}
    for mark in row.marks:
        place = _free(mark, _column(mark.at_s, whole_s, columns), taken, columns)
        if place not in taken or _ORDER.index(taken[place]) < _ORDER.index(mark.kind):
            taken[place] = mark.kind
    cells += [" "] * (max(taken, default=0) + 1 - len(cells))
    for place, kind in taken.items():
        cells[place] = SYMBOLS[kind]
    return "".join(cells)


def _free(mark: Mark, place: int, taken: dict[int, MarkKind], columns: int) -> int:
    """Where a mark goes. Heads, terminals and ends step aside, so that none is covered."""
    if not _stays(mark.kind):
        return place
    while place in taken and _stays(taken[place]) and place < columns + len(MarkKind):
        place += 1
    return place


def _stays(kind: MarkKind) -> bool:
    return _ORDER.index(kind) >= _ORDER.index(MarkKind.HEAD)


def _column(at_s: float, whole_s: float, columns: int) -> int:
    return min(columns - 1, int(at_s / whole_s * columns)) if whole_s > 0 else 0


def scale(rows: Sequence[Row]) -> float:
    """How many seconds the widest row takes."""
    return max([row.exchange.ended_s for row in rows], default=0.0)


def ruler(whole_s: float, columns: int) -> str:
    """The line under the rows: where the time begins and ends."""
    end = seconds(whole_s)
    return "0 s" + end.rjust(max(columns - 3, len(end)))
