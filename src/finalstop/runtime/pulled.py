"""A view that is pulled: for whoever takes bytes by asking for them, a framework or a plain loop.

A web server's transport is written to; an async iterator is not, it is asked. Between the two
stands one buffer, bounded as a transport's is: when nobody asks, the viewer falls behind in the
log, and after `write_s` it is cut. It may not know who asks, nor who else is present.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self
from weakref import finalize

from finalstop.runtime.viewer import OUTLET_BYTES_HIGH, Outlet

# Bytes handed over at once. They count as taken when the next piece is asked for, so with small
# pieces a slow reader is soon told from one that takes nothing: `write_s` of 30 s cuts nobody who
# takes more than about half a KiB a second.
PIECE_BYTES: Final = 16 * 1024

# A viewer that waits for room goes on below this: the low-water mark of asyncio's transports.
OUTLET_BYTES_LOW: Final = OUTLET_BYTES_HIGH // 4


class PulledView:
    """One client's view as an async iterator of bytes. It begins at once; a piece is never empty.

    Ends after the terminal event's last byte. Whoever does not iterate to the end must `aclose`
    it, or `close` it from another thread.

    Args:
        view: writes the view to the outlet it is given, e.g. `partial(stream.view, encoder)`.
        on_over: called once, in the loop, when the view is over, however it ended.
        interrupts: whether a reader that takes nothing for `write_s` has its task cancelled while
            it is busy with a piece: for a task that belongs to the response, and would otherwise
            wait for its client for ever.
    """

    def __init__(
        self,
        view: Callable[[Outlet], Coroutine[Any, Any, None]],
        *,
        on_over: Callable[[], None] = lambda: None,
        interrupts: bool = False,
    ) -> None:
        self._outlet = PulledOutlet(on_over=on_over, interrupts=interrupts)
        self._loop = asyncio.get_running_loop()
        self._viewing = self._loop.create_task(view(self._outlet), name="view")
        self._viewing.add_done_callback(self._outlet.over)
        # A framework may drop a response that it has never begun to send, without a word.
        finalize(self, _cancel_soon, self._loop, self._viewing).atexit = False

    @property
    def error(self) -> BaseException | None:
        """What broke the view, once something has."""
        return self._outlet.error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            ConnectionError: nobody asked for `write_s`.
            UnknownStreamError: the retention is over.
        """
        try:
            piece = await self._outlet.take()
        except asyncio.CancelledError:
            self._viewing.cancel()
            raise
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Detach, wherever it is. Returns when the view is over. Idempotent."""
        self._outlet.reader = None
        self._viewing.cancel()
        await asyncio.wait([self._viewing])

    def close(self) -> None:
        """Detach; from any thread. Returns at once. Idempotent."""
        _cancel_soon(self._loop, self._viewing)


class PulledOutlet:
    """Keeps `runtime.viewer.Outlet`: what is written here waits until somebody takes it.

    Attributes:
        backlog: bytes that the reader has not come back for yet.
        error: what broke the view, once something has.
        reader: the task that is busy with a piece.
    """

    def __init__(self, *, on_over: Callable[[], None], interrupts: bool) -> None:
        self.backlog = 0
        self.error: BaseException | None = None
        self.reader: asyncio.Task[object] | None = None
        self._on_over = on_over
        self._interrupts = interrupts
        self._buffer = bytearray()
        self._handed_bytes = 0  # of the backlog: what the reader has and may not be done with
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._aborted = False
        self._closed = False

    def write(self, data: bytes) -> int:
        """Hold `data` for the reader; return the backlog.

        Raises:
            ConnectionAbortedError: after `abort`.
        """
        if self._aborted:
            raise ConnectionAbortedError("the reader was cut off")
        self._buffer += data
        self.backlog += len(data)
        self._news.set()
        return self.backlog

    def end(self, data: bytes) -> int:
        """Hold the last `data`; `over` says that it was. As `write` otherwise."""
        return self.write(data)

    async def drain(self) -> None:
        """Wait until the reader has taken most of it."""
        await self._until(OUTLET_BYTES_LOW)

    async def flush(self) -> None:
        """Wait until the reader has taken everything, and has asked for more."""
        await self._until(0)

    def abort(self) -> None:
        """Hand over nothing more."""
        self._aborted = True
        self._taken.set()

    async def take(self) -> bytes:
        """The next piece; b"" after the last. The one before counts as taken from now on.

        Raises:
            BaseException: what broke the view.
        """
        self.reader = None
        self.backlog -= self._handed_bytes
        self._handed_bytes = 0
        self._taken.set()
        while self._aborted or not self._buffer:
            if self._closed:
                return self._last()
            self._news.clear()
            await self._news.wait()
        piece = bytes(self._buffer[:PIECE_BYTES])
        del self._buffer[:PIECE_BYTES]
        self._handed_bytes = len(piece)
        self.reader = asyncio.current_task()
        return piece

    def over(self, viewing: asyncio.Task[None]) -> None:
        """The view is over: what is left is for the reader, or, where it broke, the reason."""
        self._closed = True
        if viewing.cancelled():
            self._aborted = True
        else:
            self.error = viewing.exception()
        self._news.set()
        reader, self.reader = self.reader, None
        if self.error is not None:
            self._aborted = True
            if self._interrupts and reader is not None:
                reader.cancel()
        self._on_over()

    def _last(self) -> bytes:
        if self.error is not None:
            raise self.error
        if self._aborted:
            raise ConnectionAbortedError("the view was closed")
        return b""

    async def _until(self, bytes_max: int) -> None:
        while self.backlog > bytes_max and not self._aborted:
            self._taken.clear()
            await self._taken.wait()


def _cancel_soon(loop: asyncio.AbstractEventLoop, viewing: asyncio.Task[None]) -> None:
    if not viewing.done() and not loop.is_closed():
        loop.call_soon_threadsafe(viewing.cancel)
