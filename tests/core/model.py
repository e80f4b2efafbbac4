"""A second opinion on the lifecycle: what must come out, from the whole history at once.

No table and no phases: an answer is a line of letters, and what is well-formed is three regular
expressions over it. It is compared with the real state machine in every state that the breadth-
first search reaches (proof/lifecycle.py) and along random walks (tests/properties).
"""

from __future__ import annotations

import math
import re
from typing import Final

from finalstop.core.endings import EndReason
from finalstop.core.events import BlockDelta, BlockStart, BlockStop, Event, MessageDelta
from finalstop.core.limits import Limits

LETTERS: Final = {
    "message_start": "B", "content_block_start": "o", "content_block_delta": "d",
    "content_block_stop": "c", "message_delta": "m", "message_stop": "F", "error": "E",
}  # fmt: skip
# n: an unknown event, R: a message_delta that gives the stop reason.
ANSWER: Final = re.compile("n*(B[nodcm]*(R[ncmR]*)?F?)?")
BLOCK: Final = re.compile("(od*c?)?")


class Model:
    """One stream as the design tells it. `reason` is None while it is live."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits, self.opened_at, self.clock_from = limits, now, now
        self.has_content = False
        self.reason: EndReason | None = None
        self.said: tuple[Event, ...] = ()

    @property
    def wakeup(self) -> float:
        """The instant at which time alone ends the stream."""
        if self.reason is not None:
            return math.inf
        quiet_s = self.limits.idle_s if self.has_content else self.limits.first_content_s
        return min(self.opened_at + self.limits.deadline_s, self.clock_from + quiet_s)

    def written(self, now: float) -> None:
        """The request is on its way."""
        self.clock_from = self.clock_from if self.has_content else now

    def time(self, now: float) -> EndReason | None:
        """What the clock says at `now`, if anything."""
        if now < self.wakeup:
            return None
        if now >= self.opened_at + self.limits.deadline_s:
            return EndReason.DEADLINE
        return EndReason.IDLE_TIMEOUT if self.has_content else EndReason.FIRST_CONTENT_TIMEOUT

    def hear(self, event: Event, now: float) -> EndReason | None:
        """What an event that is not a ping ends the stream with, if it does."""
        told = (*self.said, event)
        letters = "".join(letter_of(it) for it in told)
        if letters[-1] != "E" and not ANSWER.fullmatch(letters):
            return EndReason.UPSTREAM_INVALID
        if sum(len(it.json) for it in told) > self.limits.stream_bytes:
            return EndReason.TOO_LARGE
        lives = [life_of(index, told) for index in {index_of(it) for it in told} - {None}]
        if letters[-1] in "odc" and not all(BLOCK.fullmatch(life) for life in lives):
            return EndReason.UPSTREAM_INVALID
        if letters[-1] == "F":
            closed = bool(lives) and all(life.endswith("c") for life in lives)
            return EndReason.COMPLETE if "R" in letters or closed else EndReason.UPSTREAM_INVALID
        if letters[-1] == "E":
            return EndReason.UPSTREAM_ERROR
        self.said = told
        if letters[-1] in "odcmR":
            self.has_content, self.clock_from = True, now
        return None


def letter_of(event: Event) -> str:
    """An event as one letter."""
    payload = event.payload
    says_why = isinstance(payload, MessageDelta) and payload.delta.stop_reason is not None
    return "R" if says_why else LETTERS.get(event.type, "n")


def index_of(event: Event) -> int | None:
    """The block that an event is about."""
    payload = event.payload
    return payload.index if isinstance(payload, BlockStart | BlockDelta | BlockStop) else None


def life_of(index: int | None, events: tuple[Event, ...]) -> str:
    """What was said of one block."""
    return "".join(letter_of(it) for it in events if index_of(it) == index)
