"""One client's view of a stream: log -> encoder -> bytes.

A viewer is a cursor and an outlet, never a queue. While it is caught up and its outlet takes
bytes, the log's own dispatch writes to it: no task wakes, nothing is queued. When the outlet is
full the viewer simply falls behind; its coroutine waits for room, reads one slice of the log and
writes it, until it has caught up again. The upstream is never paused for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from finalstop.core.events import Entry
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.core.timers import SWEEP_S, keep_alive_due
from finalstop.log.contract import Log
from finalstop.runtime.bell import Bell
from finalstop.runtime.producer import Clock
from finalstop.wire.formats import Encoder, encode_batch

# Bytes an outlet may hold before its viewer falls behind: the high-water mark of asyncio's and
# uvloop's own transports, so that a viewer that waits for room finds its transport paused.
OUTLET_BYTES_HIGH: Final = 64 * 1024

# One slice of the log: large enough that catching up costs few turns of the loop, small enough
# that a hundred viewers catching up at once do not hold each other up.
SLICE_BYTES: Final = 256 * 1024

# How often a viewer that waits for its reader is looked at.
STALL_CHECK_S: Final = 1.0


class Outlet(Protocol):
    """Where a viewer's bytes go: in the end, a socket."""

    @property
    def backlog(self) -> int:
        """Bytes written here that the transport below has not taken yet."""

    def write(self, data: bytes) -> int:
        """Take `data` and return the backlog. Never waits."""

    def end(self, data: bytes) -> int:
        """Take the last `data`, which may be none; `write` and `end` are not called again."""

    async def drain(self) -> None:
        """Wait until there is room again.

        Raises:
            ConnectionError: the reader is gone.
        """

    async def flush(self) -> None:
        """Wait until nothing is held back here any more; the last call but `abort`.

        Raises:
            ConnectionError: the reader is gone.
        """

    def abort(self) -> None:
        """Cut the connection, so that no reader takes what it got for the whole.

        A `drain` under way must return or raise, and a later `write` raise.
        """


class Viewer:
    """One view. Create it, then `run` it once.

    Args:
        stream: the stream id.
        log: where to read.
        encoder: the wire format; an encoder may hold state, so it is this viewer's own.
        outlet: where to write.
        after: the cursor: the sequence number of the last event this client has, 0 for none.
        limits: the bounds to keep.
        clock: monotonic seconds.
    """

    __slots__ = (
        "_backlog", "_caught_up", "_clock", "_encoder", "_error", "_limits", "_log", "_news",
        "_outlet", "_sent_bytes", "_stream", "_taken_at", "_taken_bytes", "_written_at", "cursor",
        "done",
    )  # fmt: skip

    def __init__(
        self,
        stream: str,
        log: Log,
        encoder: Encoder,
        outlet: Outlet,
        *,
        after: int,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self.cursor = after
        self.done = False
        self._stream = stream
        self._log = log
        self._encoder = encoder
        self._outlet = outlet
        self._limits = limits
        self._clock = clock
        self._error: Exception | None = None
        self._caught_up = False
        self._news = Bell()
        self._written_at = clock()
        # What tells a slow reader from one that takes nothing: bytes handed over, how many of them
        # the reader had taken at the last look, and when it last took some or owed us nothing.
        self._sent_bytes = 0
        self._taken_bytes = 0
        self._taken_at = self._written_at
        self._backlog = 0

    async def run(self) -> None:
        """Write the view, from the cursor to the terminal entry. Returns when that is written.

        Cancel it, or let the outlet fail, to detach. It never ends the stream.

        Raises:
            ConnectionError: the reader is gone, or took nothing for `write_s`.
            UnknownStreamError: the log no longer holds the stream.
        """
        unfollow = self._log.follow(self._stream, self)
        try:
            while not self.done:
                await self._catch_up()
                if self._stays_caught_up():
                    await self._news.heard()
                self._raise_if_broken()
            if self._outlet.backlog:
                await self._outlet.flush()
                self._raise_if_broken()
        finally:
            unfollow()
            self.done = True
            self._error = None  # what is raised holds this frame, and with it this viewer

    # -- the fast path: called in the log's dispatch ----------------------------------------------

    def entries(self, batch: Sequence[Entry]) -> None:
        """The log has accepted `batch`: write it if that can be done now, else fall behind."""
        if self._caught_up and batch[0].seq == self.cursor + 1:
            self._write(batch)
            if not self.done and self._backlog <= OUTLET_BYTES_HIGH:
                return
        elif batch[-1].seq <= self.cursor and isinstance(batch[-1].event, Ended):
            self.done = True  # the cursor was at or past the end: nothing is left to write
        self._wake()

    def broken(self, error: Exception) -> None:
        """Writing failed: the view is over, the stream is not. The first error stays."""
        self._error = self._error or error
        self._wake()

    def abort(self, why: str) -> None:
        """Cut this reader off, whatever it still waits for. Never raises."""
        self.broken(ConnectionAbortedError(why))
        with suppress(Exception):  # there may be nothing left to cut
            self._outlet.abort()

    def _wake(self) -> None:
        self._caught_up = False
        self._news.ring()

    # -- the slow path ----------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        is_first = True
        while not self.done:
            self._news.silence()
            if self._outlet.backlog:
                await self._drain()
            batch = await self._log.read(self._stream, self.cursor, bytes_max=SLICE_BYTES)
            if not batch:
                return
            if not is_first:
                await asyncio.sleep(0)  # many slices in a row must not hold everybody else up
                self._raise_if_broken()
            self._write(batch)
            is_first = False

    def _stays_caught_up(self) -> bool:
        # A log that answers later may have told of more since it was read.
        self._caught_up = not self.done and not self._news.rings
        return self._caught_up

    async def _drain(self) -> None:
        await self._outlet.drain()
        # A connection that we cut may wake its waiter without a word.
        self._raise_if_broken()

    def _raise_if_broken(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self, batch: Sequence[Entry]) -> None:
        last = batch[-1]
        data = encode_batch(self._encoder, batch)
        self.cursor = last.last
        self.done = type(last.event) is Ended
        if data or self.done:
            self._put(data)

    def _put(self, data: bytes) -> None:
        backlog = self._outlet.end(data) if self.done else self._outlet.write(data)
        self._sent_bytes += len(data)
        self._written_at = now = self._clock()
        if not backlog or not self._backlog:
            self._taken_at = now  # until now the reader owed us nothing
        self._backlog = backlog

    # -- time -------------------------------------------------------------------------------------

    def tick(self, now: float) -> float:
        """Let time pass; return the instant at which to call again. Never raises.

        Sends a keep-alive if the wire was silent too long, and cuts a reader that takes nothing.
        """
        try:
            if self._error is None:
                return self._tick(now)
        except Exception as error:  # noqa: BLE001 - a lost reader must not cost the others theirs
            self.broken(error)
        return math.inf

    def _tick(self, now: float) -> float:
        limits = self._limits
        self._look(now)
        if self._backlog and now - self._taken_at >= limits.write_s:
            self.abort(f"the reader took nothing for write_s={limits.write_s:g}")
            return math.inf
        if keep_alive_due(self._written_at, limits, now):
            self._keep_alive(now)
        keep_alive_at = self._written_at + limits.keep_alive_s - SWEEP_S
        if not self._backlog:
            return min(keep_alive_at, now + limits.write_s)
        return min(keep_alive_at, now + STALL_CHECK_S, self._taken_at + limits.write_s)

    def _look(self, now: float) -> None:
        # Not the backlog itself: a reader that takes as fast as we write leaves it as it is.
        self._backlog = self._outlet.backlog
        taken_bytes = self._sent_bytes - self._backlog
        if taken_bytes > self._taken_bytes or not self._backlog:
            self._taken_at = now
        self._taken_bytes = taken_bytes

    def _keep_alive(self, now: float) -> None:
        self._written_at = now
        if self._caught_up:  # if not, bytes are waiting for the reader already
            self._put(self._encoder.keep_alive)
