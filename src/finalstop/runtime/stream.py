"""One stream as everybody but its producer sees it: who is here, has it begun, how did it end.

A stream is produced once and viewed by any number of clients. It *ends*; a viewer *detaches*. When
the last one has left, the stream ends `abandoned`, at once or after `linger_s`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol, Self

from finalstop.core.endings import EndReason
from finalstop.core.events import Deltas, Event
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, Receipt
from finalstop.log.contract import Log
from finalstop.runtime.bell import Bell
from finalstop.runtime.producer import Clock, Producer
from finalstop.runtime.pulled import PulledView
from finalstop.runtime.viewer import SLICE_BYTES, Outlet, Viewer
from finalstop.upstream.contract import Call
from finalstop.wire.formats import Encoder, encoder_for
from finalstop.wire.message import MessageAccumulator

StreamEnded = Callable[["Stream", Ended], None]
StreamViewed = Callable[["Stream"], None]


class Source(Protocol):
    """Where a stream's events come from."""

    def start(self, producer: Producer) -> Call:
        """Begin to feed `producer`; push nothing before returning. Returns at once."""


class TooManyViewersError(RuntimeError):
    """The stream has `max_viewers` already."""


class Stream:
    """A live or ended stream. Made by `Relay.open`.

    Attributes:
        id: 128 random bits, hexadecimal.
        principal: who opened it, or None where the id alone is the capability.
        wake_at: no `tick` before this instant can have anything to do.
    """

    def __init__(
        self,
        stream_id: str,
        *,
        principal: str | None,
        log: Log,
        limits: Limits,
        clock: Clock,
        linger_s: float,
        on_ended: StreamEnded,
        on_viewed: StreamViewed = lambda _stream: None,
    ) -> None:
        self.id = stream_id
        self.principal = principal
        self._log = log
        self._limits = limits
        self._clock = clock
        self._linger_s = linger_s
        self._tell_ended = on_ended
        self._tell_viewed = on_viewed
        self._call: Call | None = None
        self._here = 0
        self._alone_since: float | None = None  # until somebody was here, nobody has left
        self._viewers: dict[Viewer, None] = {}  # in order of coming
        self._begun = Bell()
        self._over = Bell()
        self._producer = Producer(stream_id, log=log, limits=limits, clock=clock, watcher=self)
        self.wake_at = self._limit_due_at(clock())

    def start(self, source: Source) -> None:
        """Begin to produce. Called once, by the relay."""
        self._call = source.start(self._producer)

    # -- what became of it ------------------------------------------------------------------------

    @property
    def ended(self) -> Ended | None:
        """The terminal event, once there is one."""
        return self._producer.ended

    @property
    def upstream_headers(self) -> Mapping[str, str]:
        """What goes on to clients of the upstream's response headers; empty until it answered."""
        return self._producer.upstream_headers

    @property
    def failed_at_once(self) -> Ended | None:
        """The terminal event, if it is the stream's first: the head can still tell the truth."""
        ended = self.ended
        return ended if ended is not None and ended.receipt.last_seq == 1 else None

    async def begun(self, within_s: float) -> bool:
        """Wait for the first entry, at most `within_s` seconds; whether there is one."""
        return await self._begun.heard(within_s)

    async def receipt(self) -> Receipt:
        """Wait for the end; the account of the stream. Bounded by `deadline_s`."""
        await self._over.heard()
        ended = self.ended
        assert ended is not None
        return ended.receipt

    async def message(self) -> tuple[dict[str, Any], str | None]:
        """The Message accumulated from what the log holds now, and the first unknown delta type.

        Wait for `receipt` first to have all of it; only a `complete` one is the whole answer.

        Raises:
            UnknownStreamError: the retention is over.
        """
        accumulator = MessageAccumulator()
        cursor = 0
        while batch := await self._log.read(self.id, cursor, bytes_max=SLICE_BYTES):
            for entry in batch:
                assert not isinstance(entry.event, Deltas), "read gives each event alone"
                if isinstance(entry.event, Event):
                    accumulator.add(entry.event)
            cursor = batch[-1].last
            await asyncio.sleep(0)  # a long answer must not hold everybody else up
        return accumulator.message(), accumulator.unknown

    # -- who is here ------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody is here."""
        return self._here > 0

    @property
    def settled(self) -> bool:
        """Whether time can do nothing to it any more: it has ended, and nobody is here."""
        return self.ended is not None and not self._here

    @property
    def present(self) -> int:
        """How many are here."""
        return self._here

    def presence(self) -> Presence:
        """Be here, as one who waits for this stream; leaving last may end it `abandoned`.

        Raises:
            TooManyViewersError: on entering: `max_viewers` are here.
        """
        return Presence(self)

    def _come(self) -> None:
        if self._here >= self._limits.max_viewers:
            msg = f"the stream has max_viewers={self._limits.max_viewers} already"
            raise TooManyViewersError(msg)
        self._here += 1

    def _go(self) -> None:
        self._here -= 1
        if not self._here:
            self._alone_since = self._clock()
            self.wake_at = 0.0
            self._producer.post(self._abandon_if_due)

    async def view(self, encoder: Encoder, outlet: Outlet, *, after: int = 0) -> None:
        """Write the stream to `outlet`, after the cursor, up to and including its terminal event.

        Call it within `presence`. Cancel it to detach.

        Raises:
            ConnectionError: the reader is gone or takes nothing.
            UnknownStreamError: the retention is over.
        """
        if self.ended is not None and after >= self.ended.receipt.last_seq:
            return
        viewer = Viewer(
            self.id,
            self._log,
            encoder,
            outlet,
            after=after,
            limits=self._limits,
            clock=self._clock,
        )
        self._viewers[viewer] = None
        self.wake_at = min(self.wake_at, viewer.tick(self._clock()))
        self._tell_viewed(self)
        try:
            await viewer.run()
        finally:
            self._viewers.pop(viewer, None)

    def attach(self, format: str = "anthropic", after: int = 0) -> AsyncGenerator[bytes, None]:
        """The stream as bytes, for `async for`: from the cursor to the terminal event, and live.

        Whoever iterates is present from the first step to the last, or to `aclose`, which detaches.

        Args:
            format: a wire format: "anthropic" or "text".
            after: the cursor: the sequence number of the last event already seen; 0 for none.

        Raises:
            ValueError: no such format, or `after` is negative.
            TypeError: `after` is no whole number.
            TooManyViewersError: while iterating: `max_viewers` are here.
            ConnectionError: while iterating: nobody asked for `write_s`.
            UnknownStreamError: while iterating: the retention is over.
        """
        if not isinstance(after, int):
            raise TypeError(f"after must be a whole number, not {type(after).__name__}")
        if after < 0:
            raise ValueError(f"after must be 0 or a sequence number, not {after}")
        return self._attached(encoder_for(format), after)

    async def _attached(self, encoder: Encoder, after: int) -> AsyncGenerator[bytes, None]:
        presence = ExitStack()
        presence.enter_context(self.presence())
        # The view's end, and not the loop's: who stopped asking is not here any more.
        view = PulledView(partial(self.view, encoder, after=after), on_over=presence.close)
        try:
            async for piece in view:
                yield piece
        finally:
            await view.aclose()

    # -- ending it --------------------------------------------------------------------------------

    def end(self, reason: EndReason, detail: str = "") -> None:
        """End the stream, e.g. `stopped`. Idempotent: the first reason wins."""
        self._producer.post(lambda: self._producer.end(reason, detail))

    def stop(self, detail: str = "Stopped on request.") -> Receipt:
        """End the stream `stopped`, unless it has ended already; return its receipt. Idempotent."""
        self.end(EndReason.STOPPED, detail)
        ended = self.ended
        assert ended is not None
        return ended.receipt

    def crashed(self, error: Exception) -> None:
        """Our own code failed in this stream: end it `internal_error`."""
        self._producer.post(lambda: self._producer.crashed(error))

    def tick(self, now: float) -> None:
        """Let time pass: limits, linger, keep-alives, stalled readers. Sets `wake_at`."""
        self._producer.tick(now)
        self._abandon_if_due()
        wakes = [viewer.tick(now) for viewer in tuple(self._viewers)]
        if self.ended is None:
            wakes += [self._limit_due_at(now), self._abandoned_at()]
        self.wake_at = min(wakes, default=math.inf)

    def forget(self) -> None:
        """The log is about to drop the stream: cut whoever still reads it."""
        for viewer in tuple(self._viewers):
            viewer.abort("the stream is no longer kept")

    def do_not_linger(self) -> None:
        """From now on the last viewer's leaving ends the stream at once."""
        self._linger_s = 0.0
        self._producer.post(self._abandon_if_due)

    def _limit_due_at(self, now: float) -> float:
        # The first content, at any moment from now, replaces its own limit with the idle one.
        return min(self._producer.life.next_wakeup, now + self._limits.idle_s)

    def _abandoned_at(self) -> float:
        if self._here or self._alone_since is None:
            return math.inf
        return self._alone_since + self._linger_s

    def _abandon_if_due(self) -> None:
        due_at = self._abandoned_at()
        self.wake_at = min(self.wake_at, due_at)
        if self._clock() >= due_at:
            self._producer.end(EndReason.ABANDONED, "The last viewer left.")

    # -- what the producer tells ------------------------------------------------------------------

    def on_begun(self) -> None:
        """The log holds its first entry."""
        self._begun.ring()

    def on_ended(self, ended: Ended) -> None:
        """The log holds the terminal event: let go of the upstream and tell who waits."""
        self._over.ring()
        self.wake_at = 0.0
        self._tell_ended(self, ended)
        # The call knows the request, whose body may be large; the stream is kept for long.
        call, self._call = self._call, None
        if call is None:
            return
        if ended.receipt.complete:
            call.release()
        else:
            call.cancel()


class Presence:
    """Somebody's being here, as a context. Made by `Stream.presence`.

    One is held for as long as a stream is read: a generator's frame would be ten times its size.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream: Stream | None = stream

    def __enter__(self) -> Self:
        """Come."""
        assert self._stream is not None
        self._stream._come()  # noqa: SLF001 - one thing in two classes
        return self

    def __exit__(self, *_error: object) -> None:
        """Go, unless it was passed on."""
        self.leave()

    def leave(self) -> None:
        """Go. Idempotent."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream._go()  # noqa: SLF001 - as above

    def pass_on(self) -> Presence:
        """Let somebody else be here in one's place: who is given it must `leave`."""
        assert self._stream is not None
        heir, self._stream = Presence(self._stream), None
        return heir
