"""The outlet of an aiohttp response: a viewer's bytes, straight to the transport.

`StreamResponse.write` is a coroutine, and awaiting it would cost a task wake-up per event. So the
head goes out through aiohttp, and the body through here, framed the way the head promised. The
gateway, itself an aiohttp program, writes through it, too, with a head of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

# RFC 9112, section 7.1.
LAST_CHUNK: Final = b"0\r\n\r\n"


class ResponseOutlet:
    """Keeps `runtime.viewer.Outlet`.

    Args:
        transport: the client's connection; nothing else may write to it meanwhile. None if it has
            gone. Once it goes it says that it is closing, and that it holds nothing.
        drain: waits until the transport has room. It may raise `ConnectionError`: the client has
            gone.
        chunked: whether the body is framed; HTTP/1.0 knows no chunks, and ends with the connection.
        head: what goes out before the first bytes, in one write with them.
        tail: what goes out behind the last bytes, in one write with them.
    """

    __slots__ = ("_chunked", "_drain", "_head", "_tail", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport | None,
        drain: Callable[[], Awaitable[object]],
        *,
        chunked: bool,
        head: bytes = b"",
        tail: bytes = b"",
    ) -> None:
        self._head = head
        self._tail = tail
        self._transport = transport
        self._drain = drain
        self._chunked = chunked

    @property
    def backlog(self) -> int:
        """Bytes the transport holds back; 0 also when the connection is gone."""
        transport = self._transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def write(self, data: bytes) -> int:
        """Hand `data` to the transport, as one chunk; return the backlog.

        Raises:
            ConnectionResetError: the client has gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            msg = "the client has gone"
            raise ConnectionResetError(msg)
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
        if self._head:
            framed, self._head = self._head + framed, b""
        transport.write(framed)
        return transport.get_write_buffer_size()

    def end(self, data: bytes) -> int:
        """Hand over the last `data`, which may be none; as `write` otherwise."""
        if self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._chunked = False  # framed it is, and nothing follows
        return self.write(data + self._tail)

    async def drain(self) -> None:
        """Wait until the transport has room."""
        await self._drain()

    async def flush(self) -> None:
        """Wait until the transport has handed everything to the kernel."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        # `drain` waits for the low-water mark only; the connection may serve another request,
        # so its marks are put back.
        transport.set_write_buffer_limits(high=0)
        try:
            await self._drain()
        finally:
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    def open(self) -> None:
        """Write the head now, if it has not gone with the first bytes."""
        transport = self._transport
        if self._head and transport is not None and not transport.is_closing():
            transport.write(self._head)
            self._head = b""

    def abort(self) -> None:
        """Cut the connection, without a proper end."""
        transport = self._transport
        if transport is not None:
            transport.abort()
