"""The lifecycle of one stream, and the one door out.

Theory of operation. A stream is opened; the upstream is asked; it answers `message_start`, then
content blocks, then a `message_delta` that carries the stop reason, then `message_stop`. That is
the only good ending. Everything else that can happen, at any moment, is another ending, and the
first one wins: a timeout that races an end of file, a stop that races a completion. Later ones
return nothing.

What may follow what is a table (`core.transitions`). Four laws of this file:

- `Ended` is built in `_end` and nowhere else in the project.
- What the upstream does wrong never raises: it ends the stream and says so. What we do wrong
  asserts.
- Nothing is ever synthesised in the upstream's name. A block left open is listed in the receipt;
  it is not closed for anybody.
- Time is an argument. This file cannot wait.

A driver calls the `saw_*` methods as the request makes its way, `receive` with every batch of
events, one of `eof`, `refused` or `end` when there will be no more, and `tick` when time
passes. What they return goes into the log, in that order, at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, assert_never

from finalstop.core.account import Account, characters_of, opening_characters_of
from finalstop.core.endings import (
    ENDINGS,
    ERROR_STATUS,
    WHOLE_STOP_REASONS,
    EndReason,
    Refusal,
    party_of,
    retry_after_s_of,
)
from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Deltas,
    Event,
    MessageDelta,
    MessageStart,
    MessageStop,
    Payload,
    Ping,
    Unknown,
    UpstreamError,
)
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, OpenBlock, Receipt
from finalstop.core.rules import Rule
from finalstop.core.timers import Clocks, due, next_wakeup
from finalstop.core.transitions import GROWING, TRANSITIONS, Phase, move_of

TYPE_CHARACTERS: Final = 64  # of an upstream's error type in a detail, which is logged


class Lifecycle:
    """One stream, from opening to `Ended`. Pure: no I/O, no clock, no task.

    Args:
        stream: the stream id, for the receipt.
        limits: the bounds to keep.
        now: the instant of opening, in seconds of any monotonic clock.
        resumable: whether the log will keep the stream after its end, for the receipt.
    """

    __slots__ = (
        "_account", "_before", "_bytes", "_characters", "_limits", "_open", "_phase",
        "_request_id", "_resumable", "_seq", "_stream", "_used", "clocks", "ended",
    )  # fmt: skip

    def __init__(self, stream: str, limits: Limits, *, now: float, resumable: bool = True) -> None:
        self.clocks = Clocks(opened_at=now)
        self.ended: Ended | None = None
        self._resumable = resumable
        self._stream = stream
        self._limits = limits
        self._phase = Phase.WAITING
        self._seq = 0
        self._bytes = 0
        self._characters = 0
        self._account = Account()
        self._request_id: str | None = None
        self._open: dict[int, OpenBlock] = {}
        self._used: set[int] = set()
        # What a refusal of the last batch falls back to; kept, so none of it is ever changed.
        self._before = (self._characters, self._account, self._open)

    @property
    def phase(self) -> Phase:
        """Where in its answer the stream is."""
        return self._phase

    @property
    def next_wakeup(self) -> float:
        """When `tick` can first end the stream, if nothing else happens; never, once ended."""
        return math.inf if self.ended is not None else next_wakeup(self.clocks, self._limits)

    # -- how the request makes its way ------------------------------------------------------------

    def saw_connection(self, *, now: float) -> None:
        """Note that a connection to the upstream is ready."""
        self.clocks.connected_at = now

    def saw_request_written(self, *, now: float) -> None:
        """Note that the request is on its way: the first-content clock starts anew."""
        self.clocks.written_at = now

    def saw_bytes(self, *, now: float) -> None:
        """Note that the upstream lives (bytes, pings). Told to people; moves no timer."""
        self.clocks.heard_at = now

    def saw_response(self, request_id: str | None, *, now: float) -> None:
        """Note the head of a response, and the upstream's own id of the request."""
        self.clocks.heard_at = now
        self._request_id = request_id

    # -- what the upstream says -------------------------------------------------------------------

    def receive(
        self, events: Sequence[Event | Deltas], *, now: float
    ) -> list[Event | Deltas | Ended]:
        """Take a batch of events; return what the log must hold, in order.

        Pings are consumed. Nothing follows the first terminal event, and once ended the answer
        is always [].
        """
        out: list[Event | Deltas | Ended] = []
        if self.ended is not None:
            return out
        self.clocks.heard_at = now
        self._before = (self._characters, self._account, self._open)
        for event in events:
            if type(event) is not Deltas:
                out += self._take_each((event,), now)
            elif self._grow(event, now):
                out.append(event)
            else:
                out += self._take_each(event.events(), now)  # one of them goes wrong
            if self._phase is Phase.ENDED:
                break
        return out

    def eof(self, *, now: float, detail: str = "") -> list[Ended]:
        """The upstream's body is over. Before `message_stop` that is a truncation, always."""
        return self.end(EndReason.TRUNCATED, detail or self._so_far(), now=now)

    def refused(self, refusal: Refusal, *, now: float) -> list[Ended]:
        """The upstream refused: a non-2xx response, or an error that a client library raised."""
        if self.ended is not None:
            return []
        kind = str(refusal.error.get("type", ""))[:TYPE_CHARACTERS]
        detail = f"The upstream answered {refusal.status} ({kind})."
        return [self._end(EndReason.UPSTREAM_ERROR, detail, now, refusal=refusal)]

    # -- what anybody else says -------------------------------------------------------------------

    def tick(self, *, now: float) -> list[Ended]:
        """Let time pass; return the `Ended` if a limit has run out, else []."""
        reason = due(self.clocks, self._limits, now)
        return [] if reason is None else self.end(reason, self._silence(reason, now), now=now)

    def end(self, reason: EndReason, detail: str = "", *, now: float) -> list[Ended]:
        """End the stream, for any reason but the two that only the upstream's words can give.

        The first reason wins; later ones return [].
        """
        assert reason is not EndReason.COMPLETE
        assert reason is not EndReason.UPSTREAM_ERROR
        return [] if self.ended is not None else [self._end(reason, detail, now)]

    def log_refused(self, accepted: int, detail: str, *, now: float) -> list[Ended]:
        """The log takes no more, perhaps not even the last batch: end there.

        Args:
            accepted: the sequence number of the last entry that it took.
            detail: why, for a person.
            now: the instant.
        """
        if self.ended is not None:
            return []
        assert accepted <= self._seq
        if accepted < self._seq:
            # The receipt must not tell of what no viewer can ever see.
            self._seq = accepted
            self._characters, self._account, self._open = self._before
        return [self._end(EndReason.LOG_FAILED, detail, now)]

    # -- one event, or deltas ---------------------------------------------------------------------

    def _grow(self, deltas: Deltas, now: float) -> bool:
        """Take deltas of open blocks; False, and nothing is taken, if one of them is not allowed.

        It comes to what `_take_each` makes of them.
        """
        size_bytes = self._bytes + deltas.size_bytes
        if self._phase not in GROWING or size_bytes > self._limits.stream_bytes:
            return False
        for view in deltas.views:
            if view.index not in self._open:
                return False
        self._bytes = size_bytes
        self._characters += characters_of(deltas.views)
        self._seq += len(deltas.views)
        self.clocks.content(now)
        return True

    def _take_each(self, events: Sequence[Event], now: float) -> list[Event | Ended]:
        out: list[Event | Ended] = []
        for event in events:
            taken = self._take(event, now)
            if taken is not None:
                out.append(taken)
                if isinstance(taken, Ended):
                    break
        return out

    def _take(self, event: Event, now: float) -> Event | Ended | None:
        """Judge one event: the event itself, the `Ended` it causes, or None for a ping."""
        payload = event.payload
        move = move_of(payload)
        if move is None:
            return None
        phase = TRANSITIONS[self._phase].get(move)
        if phase is None:
            return self._invalid(f"{move} while {self._phase}", event, now)
        self._bytes += len(event.json)
        if self._bytes > self._limits.stream_bytes:
            detail = f"More than {self._limits.stream_bytes} bytes (stream_bytes)."
            return self._end(EndReason.TOO_LARGE, detail, now)
        broken = self._note(payload, now)
        if broken is not None:
            return self._invalid(broken, event, now)
        if phase is not self._phase:
            if phase is Phase.ENDED:
                return self._finish(event, now)
            self._phase = phase
        self._seq += 1
        return event

    def _note(self, payload: Payload, now: float) -> Rule | None:
        """Remember what the receipt and the rules need; return the rule that was broken."""
        match payload:
            case BlockDelta(index=index):
                if index not in self._open:
                    return Rule.INDEX_NOT_OPEN
                self._characters += characters_of((payload,))
                self.clocks.content(now)
            case BlockStart(index=index, content_block=block):
                if index in self._used:
                    return Rule.INDEX_REUSED
                self._used.add(index)
                self._own_open()[index] = OpenBlock(index, block.type, block.id, block.name)
                self._characters += opening_characters_of(block)
                self.clocks.content(now)
            case BlockStop(index=index):
                if self._own_open().pop(index, None) is None:
                    return Rule.INDEX_NOT_OPEN
                self.clocks.content(now)
            case MessageDelta():
                self._account = self._account.reported(payload)
                self.clocks.content(now)
            case MessageStart(message=message):
                self._account = self._account.began(message)
            case MessageStop():
                closed = self._used and not self._open
                if self._account.stop_reason is None and not closed:
                    return Rule.NO_WITNESS
            case UpstreamError() | Unknown() | Ping():
                # An unknown event is passed on, but moves no timer: a heartbeat of a new kind
                # must not keep a stalled stream alive.
                pass
            case _:
                assert_never(payload)
        return None

    def _own_open(self) -> dict[int, OpenBlock]:
        """The open blocks, to change: a copy of those from before this batch, once per batch."""
        if self._open is self._before[2]:
            self._open = self._open.copy()
        return self._open

    def _finish(self, event: Event, now: float) -> Ended:
        """Turn the upstream's own last word, `message_stop` or `error`, into the terminal."""
        if isinstance(event.payload, UpstreamError):
            error = {"type": "api_error", "message": "", **event.payload.error}
            status = ERROR_STATUS.get(str(error["type"]), ERROR_STATUS["api_error"])
            detail = f"The upstream sent an error event: {str(error['type'])[:TYPE_CHARACTERS]}."
            self._request_id = event.payload.request_id or self._request_id
            refusal = Refusal(status, error)
            return self._end(EndReason.UPSTREAM_ERROR, detail, now, refusal=refusal)
        return self._end(EndReason.COMPLETE, "", now, json=event.json)

    # -- the door out -----------------------------------------------------------------------------

    def _invalid(self, what: str, event: Event, now: float) -> Ended:
        detail = f"Event {self._seq + 1} ({event.type}): {what}."
        return self._end(EndReason.UPSTREAM_INVALID, detail, now)

    def _end(
        self,
        reason: EndReason,
        detail: str,
        now: float,
        *,
        json: bytes = b"",
        refusal: Refusal | None = None,
    ) -> Ended:
        assert self.ended is None
        assert self._phase is not Phase.ENDED
        self._phase = Phase.ENDED
        self._seq += 1
        row = ENDINGS[reason]
        complete = reason is EndReason.COMPLETE
        receipt = Receipt(
            stream=self._stream,
            reason=reason,
            party=party_of(reason, refusal),
            complete=complete,
            whole=complete and self._is_whole(),
            detail=detail,
            stop_reason=self._account.stop_reason,
            last_seq=self._seq,
            model=self._account.model,
            request_id=self._request_id,
            usage=self._account.usage(self._characters),
            timings=self.clocks.timings(now),
            retryable=refusal.retryable if refusal else row.retryable,
            retry_after_s=retry_after_s_of(reason, refusal),
            open=tuple(self._open.values()),
            resumable=self._resumable,
        )
        self.ended = Ended(receipt, json, refusal)
        return self.ended

    def _is_whole(self) -> bool:
        # A tool call that was never closed may be half a call, whatever the stop reason says.
        half_call = any(block.type == "tool_use" for block in self._open.values())
        return self._account.stop_reason in WHOLE_STOP_REASONS and not half_call

    # -- words for people -------------------------------------------------------------------------

    def _so_far(self) -> str:
        if self._phase is Phase.WAITING:
            return "The body ended before message_start."
        return f"The body ended after {self._seq} events, without message_stop."

    def _silence(self, reason: EndReason, now: float) -> str:
        if reason is EndReason.DEADLINE:
            return f"deadline_s={self._limits.deadline_s:g} is over."
        name = "idle_s" if reason is EndReason.IDLE_TIMEOUT else "first_content_s"
        limit_s: float = getattr(self._limits, name)
        heard = self.clocks.heard_at
        if heard is None:
            return f"{name}={limit_s:g}; the upstream sent nothing at all."
        return f"{name}={limit_s:g}; the upstream was last heard {now - heard:.1f} s ago."
