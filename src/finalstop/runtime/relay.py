"""The relay: the registry of streams, the one sweeper, and the drain.

Opening a stream starts its upstream call at once; whoever opened it should be present before
waiting for anything, or nobody will ever be missed. A stream stays here, readable, for
`retention_s` after its end, and is then gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from finalstop.core.endings import EndReason
from finalstop.core.limits import DAY_S, DEFAULTS, Limits, limits_of
from finalstop.core.receipt import Ended
from finalstop.core.timers import SWEEP_S
from finalstop.log.contract import Log, LogFullError, UnknownStreamError
from finalstop.runtime.hooks import Hooks, OnEnd
from finalstop.runtime.producer import Clock
from finalstop.runtime.sources import discard, source_of
from finalstop.runtime.stream import Source, Stream

# 128 bits from the system's generator: an id may be the only capability there is.
ID_BYTES: Final = 16

# What the drain leaves for writing the terminals, at most: the last of `drain_s`.
TERMINALS_S: Final = 2.0


class NotAcceptingError(RuntimeError):
    """No new stream can be opened now: the server drains, or is at a bound.

    Args:
        why: one sentence for a person.
        draining: whether it is because the server is going away.
    """

    def __init__(self, why: str, *, draining: bool) -> None:
        super().__init__(why)
        self.draining = draining


def _random_id() -> str:
    return secrets.token_hex(ID_BYTES)


class Relay:
    """All streams of one process. Create it, and use it, inside one running event loop.

    Attributes:
        limits: the bounds of a stream that is opened without any of its own.

    Args:
        log: where streams are kept.
        limits: the bounds to keep.
        on_ended: told of every end, once, after the viewers: for the log line and the metrics.
        new_id: makes a stream id.
        clock: monotonic seconds; the event loop's by default.

    Raises:
        TypeError: `limits` are no `Limits`, `on_ended` cannot be called.
        RuntimeError: no event loop is running.
    """

    def __init__(
        self,
        log: Log,
        limits: Limits,
        *,
        on_ended: Callable[[Stream, Ended], None] | None = None,
        new_id: Callable[[], str] = _random_id,
        clock: Clock | None = None,
    ) -> None:
        self.limits = limits_of(limits, DEFAULTS)
        _check_callable("on_ended", on_ended)
        self._log = log
        self._on_ended = on_ended
        self._hooks = Hooks()
        self._hook_of: dict[Stream, OnEnd] = {}
        self._new_id = new_id
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._streams: dict[str, Stream] = {}
        # In order of opening, as the streams are: what is done to all is done in the same order.
        self._live: dict[Stream, None] = {}
        # Those that time can do something to: the live ones, and those that are still read.
        self._ticking: dict[Stream, None] = {}
        self._retained: deque[tuple[float, Stream]] = deque()
        self._overtime: deque[tuple[float, Stream]] = deque()
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._sweep_handle: asyncio.TimerHandle | None = None

    # -- streams ----------------------------------------------------------------------------------

    def open(
        self,
        source: object,
        *,
        principal: str | None = None,
        linger_s: float | None = None,
        limits: Limits | None = None,
        on_end: OnEnd | None = None,
    ) -> Stream:
        """Open a stream and start its source. Next: be `present` in it, before any await.

        Args:
            source: where the events come from: a `Source`, or any stream object of an SDK, a
                response, an iterator... (docs/reference/sources.md).
            principal: who opens it; nobody else will find it.
            linger_s: how long it may live without a viewer; the default is `limits.linger_s`.
            limits: other bounds for this stream.
            on_end: called once, with the receipt and the Message so far, when the stream has
                ended; may be async. It runs also when nobody is listening.

        Raises:
            NotAcceptingError: draining, or at `max_streams` or `log_bytes_total`.
            TypeError: `source` is no stream, or another argument is of the wrong type; the
                message says what is accepted.
            ValueError: `linger_s` is out of range.
            RuntimeError: the running event loop is not the relay's.
        """
        try:
            self._check_loop()
            bounds = limits_of(limits, self.limits)
            linger = _linger_of(linger_s, bounds)
            _check_callable("on_end", on_end)
        except (TypeError, ValueError, RuntimeError):
            discard(source)
            raise
        well = source_of(source, limits=bounds)
        self._check_accepting()
        try:
            stream = Stream(
                self._new_id(),
                principal=principal,
                log=self._log,
                limits=bounds,
                clock=self._clock,
                linger_s=linger,
                on_ended=self._ended,
                on_viewed=self._viewed,
            )
        except LogFullError as error:
            raise NotAcceptingError(str(error), draining=False) from error
        self._start(stream, well)
        self._streams[stream.id] = stream
        self._ticking[stream] = None
        self._live[stream] = None
        if on_end is not None:
            self._hook_of[stream] = on_end
        self._idle.clear()
        self._arm()
        return stream

    def _start(self, stream: Stream, source: Source) -> None:
        try:
            stream.start(source)
        except BaseException:
            # Nothing was asked and nobody knows the id: the stream has never been.
            self._log.drop(stream.id)
            raise

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            msg = "this Relay was made in another event loop; make one per loop, and open in that"
            raise RuntimeError(msg)

    def _check_accepting(self) -> None:
        if self._draining:
            raise NotAcceptingError("the server is shutting down", draining=True)
        if len(self._live) >= self.limits.max_streams:
            why = f"{len(self._live)} streams are live (max_streams)"
            raise NotAcceptingError(why, draining=False)
        self._make_room()

    def find(self, stream_id: str, *, principal: str | None = None) -> Stream:
        """The stream with this id, if `principal` may know of it.

        Raises:
            UnknownStreamError: no such stream, or somebody else's: the two cannot be told apart.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.principal not in (None, principal):
            raise UnknownStreamError(stream_id)
        return stream

    @property
    def live(self) -> int:
        """How many streams have not ended."""
        return len(self._live)

    @property
    def watched(self) -> bool:
        """Whether anybody is present in any stream, also in one that has ended."""
        return any(stream.watched for stream in self._streams.values())

    @property
    def accepting(self) -> bool:
        """Whether `open` may succeed: false once the drain has begun."""
        return not self._draining

    # -- the end of all of them -------------------------------------------------------------------

    async def drain(self) -> None:
        """Let the streams end, then end them `draining`: all of it within `drain_s`.

        From the first moment no stream is opened, and those that nobody watches end, or whose last
        viewer leaves. Returns when every stream has ended and every `on_end` hook has returned, or
        was cancelled because `drain_s` was over; the viewers may still need a moment to write.
        """
        over_at = self._loop.time() + self.limits.drain_s
        self._draining = True
        for stream in tuple(self._live):
            if not stream.watched:
                stream.end(EndReason.DRAINING, "Nobody was watching.")
            stream.do_not_linger()
        window_s = self.limits.drain_s - min(TERMINALS_S, self.limits.drain_s / 4)
        try:
            async with asyncio.timeout(window_s):
                await self._idle.wait()
        except TimeoutError:
            self.cut(f"drain_s={self.limits.drain_s:g} is over.")
        await self._hooks.done(over_at - self._loop.time())

    def cut(self, detail: str) -> None:
        """End every live stream `draining`, now: the drain window is over, or nobody will wait."""
        self._draining = True
        for stream in tuple(self._live):
            stream.end(EndReason.DRAINING, detail)

    def close(self) -> None:
        """Forget everything and stop the sweeper. The last call; streams must have ended."""
        self.cut("The relay is closed.")
        if self._sweep_handle is not None:
            self._sweep_handle.cancel()
            self._sweep_handle = None
        for stream in tuple(self._streams.values()):
            self._forget(stream)
        self._retained.clear()
        self._overtime.clear()

    # -- time -------------------------------------------------------------------------------------

    def _viewed(self, stream: Stream) -> None:
        self._ticking[stream] = None

    def _ended(self, stream: Stream, ended: Ended) -> None:
        self._live.pop(stream, None)
        self._retained.append((self._clock() + self.limits.retention_s, stream))
        if not self._live:
            self._idle.set()
        try:
            if self._on_ended is not None:
                self._on_ended(stream, ended)
        except Exception as error:  # noqa: BLE001 - a listener's bug must cost no stream its end
            self._report("on_ended failed", error)
        hook = self._hook_of.pop(stream, None)
        if hook is not None:
            self._hooks.run(hook, stream)

    def _arm(self) -> None:
        # One timer for the whole process, and none while it holds no stream.
        if self._sweep_handle is None and self._streams:
            self._sweep_handle = self._loop.call_later(SWEEP_S, self._on_timer)

    def _on_timer(self) -> None:
        self._sweep_handle = None
        try:
            self.sweep()
        finally:
            self._arm()

    def sweep(self) -> None:
        """Let time pass for every stream. The relay calls it every 100 ms by itself."""
        now = self._clock()
        for stream in tuple(self._ticking):
            if stream.wake_at <= now:
                if not stream.settled:
                    self._tick(stream, now)
                if stream.settled:
                    self._ticking.pop(stream, None)
        self._retire(now)

    def _tick(self, stream: Stream, now: float) -> None:
        try:
            stream.tick(now)
        except Exception as error:  # noqa: BLE001 - one stream's bug must not stop the sweeper
            stream.wake_at = now + 1.0
            self._report("sweep failed", error)
            stream.crashed(error)

    def _make_room(self) -> None:
        # What has ended is kept as a courtesy; it must not keep a live stream out.
        while self._log.crowded and self._retained:
            _, stream = self._retained.popleft()
            if stream.watched:
                self._overtime.append((self._clock() + self.limits.write_s, stream))
            else:
                self._forget(stream)

    def _retire(self, now: float) -> None:
        self._make_room()
        for stream in _due(self._retained, now):
            if stream.watched:  # somebody still reads it: as long as a stalled reader may take
                self._overtime.append((now + self.limits.write_s, stream))
            else:
                self._forget(stream)
        for stream in _due(self._overtime, now):
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        stream.forget()
        self._streams.pop(stream.id, None)
        self._ticking.pop(stream, None)
        self._log.drop(stream.id)

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})


def _linger_of(linger_s: object, limits: Limits) -> float:
    if linger_s is None:
        return limits.linger_s
    if isinstance(linger_s, bool) or not isinstance(linger_s, (int, float)):
        raise TypeError(f"linger_s must be a number of seconds, not {type(linger_s).__name__}")
    if not 0 <= linger_s <= DAY_S:
        raise ValueError(f"linger_s must be 0 to {DAY_S:g} seconds, not {linger_s:g}")
    return linger_s


def _check_callable(name: str, hook: object) -> None:
    if hook is not None and not callable(hook):
        raise TypeError(f"{name} must be something to call, not {type(hook).__name__}")


def _due(queue: deque[tuple[float, Stream]], now: float) -> list[Stream]:
    """Take from `queue`, which is in order of time, what is due by `now`."""
    due: list[Stream] = []
    while queue and queue[0][0] <= now:
        due.append(queue.popleft()[1])
    return due
