"""The engine room's surroundings, each a fake that keeps its contract.

Nothing here sleeps. A test moves the clock, lets readers take bytes, and turns the loop by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from finalstop.core.endings import EndReason
from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended
from finalstop.log.contract import Log
from finalstop.log.memory import MemoryLog
from finalstop.runtime.producer import Producer
from finalstop.runtime.relay import Relay
from finalstop.runtime.stream import Stream
from finalstop.runtime.viewer import OUTLET_BYTES_HIGH

# Turns of the loop after which everything that can happen without time has happened.
TURNS: int = 25


async def settle() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class FakeClock:
    """Monotonic seconds that move when told to."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


class FaultyLog(MemoryLog):
    """A memory log that breaks once, before it has accepted anything of a batch."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.error: Exception | None = None

    def append(self, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        super().append(stream, batch)


class RecordingCall:
    """An upstream call that writes down how it was let go."""

    def __init__(self) -> None:
        self.fate: list[str] = []

    def release(self) -> None:
        self.fate.append("released")

    def cancel(self) -> None:
        self.fate.append("cancelled")


class ScriptedSource:
    """A source that hands its producer to the test, which plays the upstream."""

    def __init__(self, error: Exception | None = None) -> None:
        self.call = RecordingCall()
        self.error = error
        self._producer: Producer | None = None

    @property
    def producer(self) -> Producer:
        assert self._producer is not None
        return self._producer

    def start(self, producer: Producer) -> RecordingCall:
        if self.error is not None:
            raise self.error
        self._producer = producer
        return self.call


class RecordingWatcher:
    """A producer's watcher that writes down what it was told, and what the log held by then."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended: list[Ended] = []

    def on_begun(self) -> None:
        self.begun += 1

    def on_ended(self, ended: Ended) -> None:
        self.ended.append(ended)


class PlainEncoder:
    """One word per entry, so that a test can read the wire: `1 2 ~ 3 4:stopped.`."""

    content_type = "text/plain"
    headers: Mapping[str, str] = {}
    keep_alive = b"~ "

    def __init__(self, *, silent: frozenset[int] = frozenset(), padding: int = 0) -> None:
        self._silent = silent
        self._padding = b"_" * padding

    def encode(self, entry: Entry) -> bytes:
        if entry.seq in self._silent:
            return b""
        if isinstance(entry.event, Ended):
            return b"%d:%s." % (entry.seq, entry.event.reason.encode())
        return b"%d%b " % (entry.seq, self._padding)


class BrokenEncoder(PlainEncoder):
    """An encoder with a bug: it raises at one sequence number."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def encode(self, entry: Entry) -> bytes:
        if entry.seq == self._at:
            raise LookupError("no such index")
        return super().encode(entry)


class BufferOutlet:
    """A transport and its reader, as asyncio's are: `write` takes all, `drain` waits for room.

    It is full above `high` bytes, and has room again once no more than `low` are left.
    With `takes=True` the reader takes everything at once. Otherwise it takes what `take` says.
    After `abort`, or `leave`, a waiting `drain` returns without a word, as aiohttp's may; `write`
    raises.
    """

    def __init__(
        self,
        *,
        takes: bool = True,
        high: int = OUTLET_BYTES_HIGH,
        low: int = OUTLET_BYTES_HIGH // 4,
    ) -> None:
        self.takes = takes
        self.aborted = False
        self.gone = False
        self.taken = bytearray()
        self.writes: list[bytes] = []
        self.ended = 0
        self.error: Exception | None = None
        self._held = bytearray()
        self._high = high
        self._low = low
        self._room = asyncio.Event()
        self._room.set()

    @property
    def backlog(self) -> int:
        return len(self._held)

    @property
    def words(self) -> list[str]:
        """What was written, keep-alives included, whether it was taken or not."""
        return b"".join(self.writes).decode().split()

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        if self.gone:
            raise ConnectionResetError("the reader has gone")
        self.writes.append(data)
        self._held += data
        if self.takes:
            self.take()
        else:
            self._look()
        return self.backlog

    def end(self, data: bytes) -> int:
        self.ended += 1
        return self.write(data)

    async def drain(self) -> None:
        await self._room.wait()

    async def flush(self) -> None:
        high, low, self._high, self._low = self._high, self._low, 0, 0
        self._look()
        try:
            await self.drain()
        finally:
            self._high, self._low = high, low

    def abort(self) -> None:
        self.aborted = True
        self.leave()

    # -- the reader -------------------------------------------------------------------------------

    def take(self, size: int | None = None) -> None:
        """The reader takes `size` bytes, or all."""
        size = len(self._held) if size is None else size
        self.taken += self._held[:size]
        del self._held[:size]
        self._look()

    def leave(self) -> None:
        """The connection is lost."""
        self.gone = True
        self._held.clear()
        self._look()

    def _look(self) -> None:
        if len(self._held) > self._high:
            self._room.clear()
        elif len(self._held) <= self._low:
            self._room.set()


def timers() -> int:
    """How many timers are armed on the running loop."""
    return sum(not it.cancelled() for it in vars(asyncio.get_running_loop())["_scheduled"])


class Bench:
    """A relay over a log with a fake clock: what most tests of this room stand on."""

    def __init__(
        self,
        limits: Limits = DEFAULTS,
        *,
        log: Log | None = None,
        on_ended: Callable[[Stream, Ended], None] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.limits = limits
        self.log: Log = log or MemoryLog(limits)
        self.ended: list[tuple[Stream, Ended]] = []
        self.relay = Relay(
            self.log,
            limits,
            on_ended=on_ended or (lambda stream, ended: self.ended.append((stream, ended))),
            clock=self.clock,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, **options: Any) -> tuple[Stream, ScriptedSource]:
        source = ScriptedSource()
        return self.relay.open(source, **options), source

    def watch(
        self,
        stream: Stream,
        outlet: BufferOutlet,
        *,
        encoder: PlainEncoder | None = None,
        after: int = 0,
    ) -> asyncio.Task[None]:
        """A client: present in the stream, viewing it."""

        async def client() -> None:
            with stream.presence():
                await stream.view(encoder or PlainEncoder(), outlet, after=after)

        return self.task(client())

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task

    def sweep(self, after_s: float = 0.0) -> None:
        """Let time pass, then sweep once."""
        self.clock.advance(after_s)
        self.relay.sweep()

    def sweep_for(self, seconds: float, step_s: float = 0.1) -> None:
        """Let time pass as it does: sweep by sweep."""
        for _ in range(round(seconds / step_s)):
            self.sweep(step_s)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            await asyncio.wait([task])
        self.relay.close()


def reason_of(stream: Stream) -> EndReason | None:
    return None if stream.ended is None else stream.ended.reason


@contextmanager
def reported_bugs() -> Iterator[list[dict[str, Any]]]:
    """What the loop's exception handler is told meanwhile."""
    loop = asyncio.get_running_loop()
    seen: list[dict[str, Any]] = []
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: seen.append(context))
    try:
        yield seen
    finally:
        loop.set_exception_handler(previous)
