"""The pipe between a view, which lives in an event loop, and the thread that takes its bytes.

One end keeps `runtime.viewer.Outlet`; the other blocks. What the thread has taken counts as backlog
until it comes for more: only then has its server written it. It may not know what WSGI is.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from finalstop.runtime.viewer import OUTLET_BYTES_HIGH

# Low enough that a thread which takes all it finds wakes the view once, not for every chunk.
LOW_BYTES: Final = OUTLET_BYTES_HIGH // 4

# From the last byte to the server's `close`; one that never calls it is not waited for.
LEAVE_S: Final = 1.0

# A backlog that there cannot be: what waits for it waits until the pipe breaks.
NEVER: Final = -1


class Pipe:
    """Bytes from one loop to one thread. Make it anywhere; each end belongs to its side.

    On the loop's side at most one coroutine may wait at a time.

    Args:
        cut_off: breaks the connection below, for a thread that is stuck in writing to it.
        alive: whether the loop still runs.
        check_s: how often a waiting thread asks that.
    """

    def __init__(
        self, *, cut_off: Callable[[], None], alive: Callable[[], bool], check_s: float
    ) -> None:
        self._cut_off = cut_off
        self._alive = alive
        self._check_s = check_s
        self._news = threading.Condition()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._handed_bytes = 0
        self._closed = False
        self._broken = False
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    # -- the loop's end ---------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that the thread's server has not written yet."""
        with self._news:
            return self._held_bytes + self._handed_bytes

    def write(self, data: bytes) -> int:
        """Hand `data` over; return the backlog. Never waits.

        Raises:
            ConnectionResetError: the pipe is broken.
        """
        with self._news:
            self._raise_if_broken()
            self._held.append(data)
            self._held_bytes += len(data)
            self._news.notify()
            return self._held_bytes + self._handed_bytes

    def end(self, data: bytes) -> int:
        """Hand the last `data` over; `close` says that it was. As `write` otherwise."""
        return self.write(data)

    async def drain(self) -> None:
        """Wait until there is room again.

        Raises:
            ConnectionResetError: the pipe is broken.
        """
        await self._until_backlog_is(LOW_BYTES)

    async def flush(self) -> None:
        """Wait until the thread's server has written everything.

        Raises:
            ConnectionResetError: the pipe is broken.
        """
        await self._until_backlog_is(0)

    async def close(self) -> None:
        """No more is to come: the body ends properly. Wait until the thread has left, a moment."""
        with self._news:
            self._closed = True
            self._news.notify()
        with suppress(ConnectionResetError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._until_backlog_is(NEVER)

    def abort(self) -> None:
        """Break the pipe: the thread gets an error, so that its server cuts the body."""
        self.leave()
        self._cut_off()

    # -- the thread's end -------------------------------------------------------------------------

    def take(self) -> bytes | None:
        """Wait for bytes and take all there are; None at the proper end. Blocks.

        Raises:
            ConnectionResetError: the pipe is broken, or nobody is left at its other end.
        """
        with self._news:
            self._handed_bytes = 0
            self._wake_the_view()
            while not (self._held or self._closed or self._broken):
                if not self._news.wait(self._check_s) and not self._alive():
                    self._broken = True
            self._raise_if_broken()
            data = b"".join(self._held)
            self._held.clear()
            self._held_bytes, self._handed_bytes = 0, len(data)
            return data or None

    def leave(self) -> None:
        """Break the pipe from either end. May be called twice."""
        with self._news:
            self._broken = True
            self._news.notify()
            self._wake_the_view()

    # -- both, with the lock held -----------------------------------------------------------------

    def _raise_if_broken(self) -> None:
        if self._broken:
            # With its number: that is how gunicorn tells it from a fault worth a traceback.
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone, or takes nothing")

    def _wake_the_view(self) -> None:
        # Only a view that waits is woken: a wake-up costs more than a chunk.
        if self._waiter is not None:
            loop, moved = self._waiter
            self._waiter = None
            with suppress(RuntimeError):  # the loop is closed, and the view with it
                loop.call_soon_threadsafe(moved.set)

    async def _until_backlog_is(self, bytes_max: int) -> None:
        while True:
            with self._news:
                self._raise_if_broken()
                if self.backlog <= bytes_max:
                    return
                moved = asyncio.Event()
                self._waiter = (asyncio.get_running_loop(), moved)
            await moved.wait()
