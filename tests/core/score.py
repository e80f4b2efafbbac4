"""A score for the lifecycle: what is played to it when, and what must come out.

A row is a moment: (at, given, expect). `given` is an event, a batch of events, or one of the acts
below; None lets time pass. `expect` lists what must be returned: an event stands for itself (the
same object), an end reason for an `Ended` with that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.events import Deltas, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended


@dataclass(frozen=True)
class Connected:
    """A connection to the upstream is ready."""


@dataclass(frozen=True)
class Written:
    """The request is written."""


@dataclass(frozen=True)
class Bytes:
    """Bytes came that make no whole event yet, or comments."""


@dataclass(frozen=True)
class Answered:
    """The head of a response is here."""

    request_id: str | None = "req_1"


@dataclass(frozen=True)
class Eof:
    """The body is over."""

    detail: str = ""


@dataclass(frozen=True)
class Refused:
    """A non-2xx response."""

    refusal: Refusal = field(default_factory=lambda: Refusal(429, {"type": "rate_limit_error"}))


@dataclass(frozen=True)
class End:
    """Somebody ends the stream."""

    reason: EndReason
    detail: str = ""


@dataclass(frozen=True)
class LogRefused:
    """The log took only `accepted` entries."""

    accepted: int
    detail: str = "full"


Act = Connected | Written | Bytes | Answered | Eof | Refused | End | LogRefused
Given = Event | Sequence[Event] | Act | None
Out = Sequence[Event | Deltas | Ended]
Row = tuple[float, Given, Sequence[Event | EndReason]]


def opened(*, limits: Limits = DEFAULTS, at: float = 0.0) -> Lifecycle:
    """A stream opened at the instant `at`."""
    return Lifecycle("s1", limits, now=at)


def play(score: Sequence[Row], *, limits: Limits = DEFAULTS) -> Lifecycle:
    """Play `score` to a stream opened at 0; return it. A wrong answer names its row."""
    life = opened(limits=limits)
    for number, (at, given, expect) in enumerate(score):
        out = perform(life, given, at)
        seen = [it.reason if isinstance(it, Ended) else it for it in out]
        assert seen == list(expect), f"row {number}, at {at:g}"
        assert all(got is want for got, want in zip(seen, expect, strict=True)), "not the same"
    return life


def perform(life: Lifecycle, given: Given, now: float) -> Out:
    """Do one thing to `life`; return what it wants logged."""
    match given:
        case None:
            return life.tick(now=now)
        case Event():
            return life.receive([given], now=now)
        case Sequence():
            return life.receive(given, now=now)
        case Connected():
            life.saw_connection(now=now)
        case Written():
            life.saw_request_written(now=now)
        case Bytes():
            life.saw_bytes(now=now)
        case Answered(request_id=request_id):
            life.saw_response(request_id, now=now)
        case Eof(detail=detail):
            return life.eof(now=now, detail=detail)
        case Refused(refusal=refusal):
            return life.refused(refusal, now=now)
        case End(reason=reason, detail=detail):
            return life.end(reason, detail, now=now)
        case LogRefused(accepted=accepted, detail=detail):
            return life.log_refused(accepted, detail, now=now)
        case _:
            assert_never(given)
    return []
