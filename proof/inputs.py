"""Everything that can be given to a stream: the alphabet of the exhaustive search.

Every event is padded to one size (JSON may end in blanks), so that `stream_bytes` is a number of
events and is met within a few steps; one event is as large as four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.events import Deltas, Event
from finalstop.core.limits import Limits
from finalstop.core.transitions import Move
from tests import builders as b
from tests.core.score import Act, Answered, Bytes, Connected, End, Eof, Refused, Written

PADDED_BYTES: Final = 256
LARGE_BYTES: Final = 1024

# Six events, or one large one and two others: then the stream is too large. Whole seconds, so
# that limits meet: the deadline falls together with an idle timeout, and with both together.
LIMITS: Final = Limits(
    first_content_s=3,
    idle_s=2,
    deadline_s=4,
    event_bytes=LARGE_BYTES,
    stream_bytes=6 * PADDED_BYTES,
)


@dataclass(frozen=True)
class LastBatchRefused:
    """The log took what it had, and not the latest batch."""


@dataclass(frozen=True)
class AllKept:
    """The log took all there is, and will take no more."""


# "tick" calls the sweeper after the time has passed; without it, the next input comes first.
@dataclass(frozen=True)
class Later:
    """Time passes: so many seconds, or until the next limit runs out."""

    seconds: float | None
    tick: bool = True


Batch = tuple[Event | Deltas, ...]
Given = Event | Batch | Act | LastBatchRefused | AllKept | Later


@dataclass(frozen=True)
class Input:
    """One letter of the alphabet; `move` where it is one event that the table knows."""

    name: str
    given: Given
    move: Move | None = None


def padded(event: Event, size_bytes: int = PADDED_BYTES) -> Event:
    """The same event, its JSON filled up with blanks."""
    assert len(event.json) <= size_bytes
    return Event(event.type, event.payload, event.json.ljust(size_bytes), event.lean)


START = padded(b.message_start())
OPEN, OPEN_TOOL = padded(b.text_start(0)), padded(b.tool_start(1))
GROW, CLOSE = padded(b.text_delta("Hi", 0)), padded(b.block_stop(0))
GROW_MUCH = padded(b.text_delta("Hi", 0), LARGE_BYTES)
GROW_TOOL = padded(b.input_json_delta('{"a"', 1))
REPORT, STOP = padded(b.message_delta()), padded(b.message_stop())
ERROR = padded(b.error())

EVENTS: Final[Sequence[tuple[str, Event, Move | None]]] = (
    ("message_start", START, Move.BEGIN),
    ("message_start without usage", padded(b.message_start(usage=None)), Move.BEGIN),
    ("text block 0 opens", OPEN, Move.OPEN),
    ("tool block 1 opens", OPEN_TOOL, Move.OPEN),
    ("block 0 grows", GROW, Move.GROW),
    ("block 0 grows by nothing", padded(b.text_delta("", 0)), Move.GROW),
    ("block 0 grows by much", GROW_MUCH, Move.GROW),
    ("block 1 grows", GROW_TOOL, Move.GROW),
    ("block 0 closes", CLOSE, Move.CLOSE),
    ("block 1 closes", padded(b.block_stop(1)), Move.CLOSE),
    ("message_delta, nothing in it", padded(b.message_delta(None, usage=None)), Move.METER),
    ("message_delta, tokens so far", padded(b.message_delta(None)), Move.METER),
    ("message_delta, end_turn", REPORT, Move.REPORT),
    ("message_delta, max_tokens", padded(b.message_delta("max_tokens", usage=None)), Move.REPORT),
    ("message_stop", STOP, Move.FINISH),
    ("error", ERROR, Move.FAIL),
    ("an unknown event", padded(b.unknown()), Move.OTHER),
    ("ping", b.ping(), None),
)

BATCHES: Final[Sequence[tuple[str, Batch]]] = (
    ("an empty batch", ()),
    ("a whole answer at once", (START, OPEN, CLOSE, REPORT, STOP)),
    ("two events at once", (OPEN, GROW)),
    ("deltas of block 0 together", (b.together(GROW, GROW_MUCH),)),
    ("deltas of two blocks together", (b.together(GROW, GROW_TOOL),)),
    ("deltas together, and the block closes", (b.together(GROW, GROW), CLOSE)),
    ("message_stop and more after it", (STOP, GROW, STOP)),
    ("an error and message_stop after it", (ERROR, STOP)),
)

UPSTREAMS_WORDS: Final = {EndReason.COMPLETE, EndReason.UPSTREAM_ERROR}

ACTS: Final[Sequence[tuple[str, Given]]] = (
    ("a connection is ready", Connected()),
    ("the request is written", Written()),
    ("bytes come", Bytes()),
    ("the response's head comes", Answered()),
    ("end of body", Eof()),
    ("end of body within an event", Eof("The body ended 3 bytes into an event.")),
    ("a refusal, 429", Refused()),
    ("a refusal, 400", Refused(Refusal(400, {"type": "invalid_request_error", "message": ""}))),
    *((f"end: {reason}", End(reason)) for reason in EndReason if reason not in UPSTREAMS_WORDS),
    ("the log refused the last batch", LastBatchRefused()),
    ("the log takes no more", AllKept()),
    ("a second passes", Later(1)),
    ("a second passes, and nobody looks", Later(1, tick=False)),
    ("the next limit runs out", Later(None)),
)

ALPHABET: Final[Sequence[Input]] = (
    *(Input(name, event, move) for name, event, move in EVENTS),
    *(Input(name, batch) for name, batch in BATCHES),
    *(Input(name, act) for name, act in ACTS),
)
