"""What is compared: the relays, what befalls them, and the words for what becomes of it.

Pure. It may not know how anything is run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from examples.browser import End, Reply
from examples.faults import FAULTS, Fault

# Seconds without new text after which a response that is still open is said to hang. The longest
# honest silence is that of the SDK's three attempts at a 429 that asks for one second: 2.5.
WINDOW_S: Final = 8.0
# After which a call upstream that is still open is said to leak, from the client's leaving on.
LEFT_S: Final = 8.0
# After which a process is said not to end, from SIGTERM on: Kubernetes kills it after 30.
SIGTERM_S: Final = 35.0


class Side(StrEnum):
    """Who wrote the handler."""

    BY_HAND = "by hand"
    FINALSTOP = "finalstop"


@dataclass(frozen=True)
class Marks:
    """By which bytes a reader of a format knows text, a whole answer, and one that failed."""

    text: bytes
    done: bytes
    error: bytes


TEXT: Final = Marks(b'"text":', b'"event":"end"', b'"event":"error"')
NATIVE: Final = Marks(b"text_delta", b"event: message_stop", b"event: error")
# By hand; where a handler has no error event, it is one that never comes.
DATA_LINES: Final = Marks(b'"text":', b"data: [DONE]", b"event: error")
NAMED_EVENTS: Final = Marks(b"event: delta", b"event: done", b"event: error")


@dataclass(frozen=True)
class Relay:
    """One common way to relay a stream, by hand and with respond().

    `key` is its folder here. `server` runs it. `by_hand` and `finalstop` are what each side's
    readers look for. `races`: an error of its generator ends the body properly or breaks it off,
    depending on which of two tasks comes first.
    """

    key: str
    title: str
    says: str
    server: str
    by_hand: Marks
    finalstop: Marks
    races: bool = False

    def marks(self, side: Side) -> Marks:
        """What a reader of this side's answers looks for."""
        return self.by_hand if side is Side.BY_HAND else self.finalstop


RELAYS: Final = (
    Relay(
        "fastapi-streaming",
        "FastAPI `StreamingResponse`",
        "`async for text in stream.text_stream`, a `data:` line each, `[DONE]` at the end",
        "uvicorn",
        DATA_LINES,
        TEXT,
    ),
    Relay(
        "sse-starlette",
        "sse-starlette",
        "the same with `EventSourceResponse`, a `done` event, and `except Exception` that sends an "
        "`error` event: the most careful of the five",
        "uvicorn",
        NAMED_EVENTS,
        TEXT,
    ),
    Relay(
        "fastapi-sse",
        "FastAPI's own SSE",
        "`yield ServerSentEvent(...)` for each event of `messages.create(stream=True)`",
        "uvicorn",
        NATIVE,
        NATIVE,
        races=True,
    ),
    Relay(
        "httpx-proxy",
        "httpx2 raw proxy",
        "Starlette, `client.send(..., stream=True)`, `aiter_raw()` and the status passed on; "
        "`timeout=None`, because httpx2's own 5 s would cut long thinking",
        "uvicorn",
        NATIVE,
        NATIVE,
    ),
    Relay(
        "flask-gunicorn",
        "Flask on gunicorn",
        "`stream_with_context` over the sync SDK's `text_stream`, `[DONE]` at the end; gthread "
        "workers",
        "gunicorn",
        DATA_LINES,
        TEXT,
    ),
)


@dataclass(frozen=True)
class Departure:
    """A client that leaves: what the upstream plays, and what is waited for first."""

    key: str
    spec: str
    says: str
    after_text: bool = True
    after_silence: bool = False


DEPARTURES: Final = (
    Departure(
        "leaves-before-head",
        "no-head",
        "leaves before the first byte",
        after_text=False,
    ),
    Departure("leaves-mid-answer", "text,words=4000,pace_ms=20", "leaves while tokens flow"),
    Departure(
        "leaves-in-silence",
        "stall@mid-text",
        "leaves while the upstream is silent, mid-answer",
        after_silence=True,
    ),
)

SIGTERM: Final = "sigterm"
# An answer that outlives every window, with text all the time.
LONG: Final = "text,words=8000,pace_ms=40"

# In the order of the rows: the faults by their scripts, the departures, the signal.
ROWS: Final = {
    **{fault.spec: f"upstream: {fault.says}" for fault in FAULTS},
    **{departure.key: f"client: {departure.says}" for departure in DEPARTURES},
    SIGTERM: "operator: sends SIGTERM while a long answer streams",
}


class Verdict(StrEnum):
    """What became of one request, one departure or one process."""

    WHOLE = "ends, whole"
    TOLD = "ends, error told"
    STATUS = "true status"
    PASSED = "ends, broken event passed on"
    MUTE = "ends without a word"
    BREAKS = "breaks off"
    RACE = "ends without a word, or breaks off"
    FLATTENED = "another status"
    LIES = "LIES: cut, passes for whole"
    FALSE_ALARM = "whole, passes for failed"
    HANGS = "HANGS"
    CLOSED = "upstream closed"
    LEAKS = "LEAKS: upstream runs on"
    DRAINED = "told, then the process ends"
    CUT = "cut without a word, process ends"
    STAYS = "HANGS: the process does not end"


# Nothing is wrong with these, whoever wrote the handler.
GOOD: Final = frozenset(
    {Verdict.WHOLE, Verdict.TOLD, Verdict.STATUS, Verdict.CLOSED, Verdict.DRAINED}
)
# Nobody can tell that anything is wrong, or it never ends.
BAD: Final = frozenset({Verdict.LIES, Verdict.HANGS, Verdict.LEAKS, Verdict.STAYS})


@dataclass(frozen=True)
class Cell:
    """What became of one condition in one relay. `note` tells what else was seen.

    `after_s`: until the response ended; until the upstream's call was closed, counted from the
    client's leaving; until the process was gone, counted from the signal. None if it was not.
    """

    verdict: Verdict
    note: str = ""
    after_s: float | None = None

    def __str__(self) -> str:
        """As it is kept: without the time, which differs from run to run."""
        return f"{self.verdict.value} ({self.note})" if self.note else self.verdict.value


@dataclass
class Results:
    """Every cell: condition -> relay -> side."""

    cells: dict[str, dict[str, dict[str, Cell]]] = field(default_factory=dict)

    def put(self, condition: str, relay: Relay, side: Side, cell: Cell) -> None:
        """Keep one."""
        self.cells.setdefault(condition, {}).setdefault(relay.key, {})[side.value] = cell

    def find(self, condition: str, relay: Relay, side: Side) -> Cell | None:
        """One that was kept; None if it was not asked."""
        return self.cells.get(condition, {}).get(relay.key, {}).get(side.value)

    @property
    def rows(self) -> list[str]:
        """The conditions that were run, in the order of the table."""
        return [row for row in ROWS if row in self.cells]


def cell_of_reply(relay: Relay, side: Side, fault: Fault, reply: Reply, after_s: float) -> Cell:
    """Hold what came against what is true of the fault."""
    marks = relay.marks(side)
    verdict = judge(fault, marks, reply)
    if relay.races and side is Side.BY_HAND and verdict in _RACING and fault.spec != "fin@mid-text":
        verdict = Verdict.RACE
    note = _note(fault, marks, reply, verdict)
    return Cell(verdict, note, None if verdict is Verdict.HANGS else after_s)


# What an error of the generator looks like, depending on the winner.
_RACING: Final = frozenset({Verdict.MUTE, Verdict.BREAKS})


def judge(fault: Fault, marks: Marks, reply: Reply) -> Verdict:
    """What became of a request, given what is true of its fault."""
    if reply.end is End.OPEN:
        return Verdict.HANGS
    if reply.end is End.CUT:
        return Verdict.BREAKS
    if reply.status != 200:
        return Verdict.STATUS if reply.status == true_status(fault) else Verdict.FLATTENED
    if marks.done in reply.body:
        return _of_a_whole_one(fault, reply)
    if fault.whole:
        return Verdict.FALSE_ALARM
    return Verdict.TOLD if marks.error in reply.body else Verdict.MUTE


def true_status(fault: Fault) -> int | None:
    """The status that says it, while no head was sent; None where there is none."""
    if fault.spec.startswith("status-"):
        return int(fault.spec.removeprefix("status-"))
    return 504 if fault.spec == "no-head" else None


def reason_told(reply: Reply) -> str:
    """The end reason that one of finalstop's endings names; empty without one."""
    named = re.search(rb'"reason":"(\w+)"', reply.body)
    return named[1].decode() if named else ""


def cell_of_departure(after_s: float | None) -> Cell:
    """What became of the call upstream after its client had left."""
    return Cell(Verdict.LEAKS) if after_s is None else Cell(Verdict.CLOSED, after_s=after_s)


def cell_of_signal(marks: Marks, reply: Reply, after_s: float | None) -> Cell:
    """What became of a process that was told to end while it streamed."""
    if after_s is None:
        return Cell(Verdict.STAYS)
    told = reply.end is End.WHOLE and (marks.error in reply.body or marks.done in reply.body)
    return Cell(Verdict.DRAINED if told else Verdict.CUT, reason_told(reply), after_s)


def is_kept(condition: str, cell: Cell) -> bool:
    """Whether finalstop kept its word: the true reason or status, a closed call, a true end."""
    fault = next((it for it in FAULTS if it.spec == condition), None)
    if fault is None:
        good = Verdict.DRAINED if condition == SIGTERM else Verdict.CLOSED
        return cell.verdict is good and cell.note == ("draining" if condition == SIGTERM else "")
    if fault.whole:
        return cell.verdict is Verdict.WHOLE
    says = Verdict.STATUS if true_status(fault) else Verdict.TOLD
    return cell.verdict is says and cell.note == _promised_note(fault)


def _promised_note(fault: Fault) -> str:
    status = true_status(fault)
    if status == 429:
        return f"429, retry-after kept, {fault.reason}"
    return f"{status}, {fault.reason}" if status else fault.reason


def _of_a_whole_one(fault: Fault, reply: Reply) -> Verdict:
    if fault.whole:
        return Verdict.WHOLE
    return Verdict.PASSED if _has_broken_json(reply) else Verdict.LIES


def _has_broken_json(reply: Reply) -> bool:
    """Whether a reader that parses each `data:` line would stumble."""
    lines = re.findall(rb"^data: (\{.*)$", reply.body, re.MULTILINE)
    return any(not _is_json(line) for line in lines)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _note(fault: Fault, marks: Marks, reply: Reply, verdict: Verdict) -> str:
    if verdict is Verdict.HANGS:
        return _note_of_a_hang(marks, reply)
    kept = "retry-after kept" if "retry-after" in reply.headers else ""
    reason = "" if fault.whole else reason_told(reply)
    return ", ".join(part for part in (_status_note(fault, reply), kept, reason) if part)


def _note_of_a_hang(marks: Marks, reply: Reply) -> str:
    if not reply.status:
        return "no head"
    if marks.done in reply.body:
        return "after its end mark"
    return "after its error event" if marks.error in reply.body else ""


def _status_note(fault: Fault, reply: Reply) -> str:
    true = true_status(fault)
    if true is None or reply.status == true:
        return str(reply.status) if reply.status != 200 else ""
    return f"{reply.status} for a {true}"
