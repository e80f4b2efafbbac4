"""The outlet of an aiohttp response: a viewer's bytes, straight to the transport.

`StreamResponse.write` is a coroutine, and awaiting it would cost a task wake-up per event. So the
head goes out through aiohttp, the body through here, framed the way the head promised, and the
last chunk through aiohttp again. The gateway, itself an aiohttp program, writes through it, too.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter


class ResponseOutlet:
    """Keeps `runtime.viewer.Outlet`.

    Args:
        request: the request that is being answered.
        writer: what preparing the response returned; nothing else may write to it meanwhile.
    """

    def __init__(self, request: web.Request, writer: AbstractStreamWriter) -> None:
        self._request = request
        # Kept for the two calls per event. Once the client has gone it says that it is closing,
        # and that it holds nothing.
        self._transport = request.transport
        self._writer = writer
        # HTTP/1.0 knows no chunks: the body ends with the connection.
        self._chunked = request.version >= HttpVersion11

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
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until the transport has room."""
        await self._writer.drain()

    async def flush(self) -> None:
        """Wait until the transport has handed everything to the kernel."""
        transport = self._request.transport
        if transport is None:
            return
        # `drain` waits for the low-water mark only; the connection may serve another request,
        # so its marks are put back.
        transport.set_write_buffer_limits(high=0)
        try:
            await self._writer.drain()
        finally:
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    def abort(self) -> None:
        """Cut the connection, without a proper end."""
        transport = self._transport
        if transport is not None:
            transport.abort()
