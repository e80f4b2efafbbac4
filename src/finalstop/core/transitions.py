"""What may follow what in an answer: phases, moves, and the one table of both.

An illegal move is a missing key. The lifecycle obeys the table, the tests spell it a second time,
and the diagram in the docs is drawn from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageStart,
    MessageStop,
    Payload,
    Unknown,
    UpstreamError,
)


class Phase(StrEnum):
    """Where in its answer a stream is."""

    WAITING = "waiting"  # no message_start yet
    ANSWERING = "answering"  # blocks may open, grow and close
    REPORTED = "reported"  # the stop reason is known; only message_stop is missing
    ENDED = "ended"


class Move(StrEnum):
    """What an event asks of the lifecycle. Its value is how a person would call it."""

    BEGIN = "message_start"
    OPEN = "content_block_start"
    GROW = "content_block_delta"
    CLOSE = "content_block_stop"
    METER = "message_delta without a stop reason"
    REPORT = "message_delta with a stop reason"
    FINISH = "message_stop"
    FAIL = "error"
    OTHER = "an unknown event"


# The one table. An illegal move ends the stream `upstream_invalid`.
TRANSITIONS: Final[dict[Phase, dict[Move, Phase]]] = {
    Phase.WAITING: {
        Move.BEGIN: Phase.ANSWERING,
        Move.OTHER: Phase.WAITING,
        Move.FAIL: Phase.ENDED,
    },
    Phase.ANSWERING: {
        Move.OPEN: Phase.ANSWERING,
        Move.GROW: Phase.ANSWERING,
        Move.CLOSE: Phase.ANSWERING,
        Move.METER: Phase.ANSWERING,
        Move.REPORT: Phase.REPORTED,
        Move.OTHER: Phase.ANSWERING,
        Move.FINISH: Phase.ENDED,
        Move.FAIL: Phase.ENDED,
    },
    Phase.REPORTED: {
        Move.CLOSE: Phase.REPORTED,
        Move.METER: Phase.REPORTED,
        Move.REPORT: Phase.REPORTED,
        Move.OTHER: Phase.REPORTED,
        Move.FINISH: Phase.ENDED,
        Move.FAIL: Phase.ENDED,
    },
    Phase.ENDED: {},  # and out of here, no door
}

# The phases in which a delta is taken and changes nothing: nearly every event of every stream.
GROWING: Final = frozenset(
    phase for phase, moves in TRANSITIONS.items() if moves.get(Move.GROW) is phase
)

_MOVES: Final[dict[type, Move]] = {
    MessageStart: Move.BEGIN,
    BlockStart: Move.OPEN,
    BlockDelta: Move.GROW,
    BlockStop: Move.CLOSE,
    MessageStop: Move.FINISH,
    UpstreamError: Move.FAIL,
    Unknown: Move.OTHER,
}


def move_of(payload: Payload) -> Move | None:
    """What an event asks of the lifecycle; None for a ping, which asks nothing."""
    if isinstance(payload, MessageDelta):
        return Move.METER if payload.delta.stop_reason is None else Move.REPORT
    return _MOVES.get(type(payload))
