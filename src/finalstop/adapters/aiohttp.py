"""aiohttp: one line in a handler.

The view writes straight to the transport, as the gateway's does: `StreamResponse.write` is a
coroutine, and awaiting it would cost a task wake-up per event.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from finalstop.adapters.departure import CLIENT_GONE_STATUS, ClientGoneError, watching
from finalstop.adapters.opening import Opening
from finalstop.core.limits import Limits
from finalstop.runtime.head import Head, head_of, refusal_head
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.stream import Stream
from finalstop.wire.formats import Encoder

log = logging.getLogger("finalstop.adapters")


async def respond(
    request: web.Request,
    source: object,
    *,
    format: str = "anthropic",
    relay: Relay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> web.StreamResponse:
    """Answer a request with a stream; return the response from the handler.

    It returns when the view is over. The status is the true one where the failure is known within
    the commit window, else 200; it is 499 where the client left before the head, with or without
    aiohttp's `handler_cancellation`.

    Args:
        request: the request that is being answered.
        source: what `runtime.sources.source_of` takes: an SDK's stream, a response, an iterator...
        format: the wire format.
        relay: the default is the running loop's shared one.
        limits: other bounds for this stream.
        linger_s: seconds it may live without a viewer; the default is `limits.linger_s`.
        principal: who opens it; nobody else will find it.
        on_end: called once with the receipt and the Message, also when nobody is listening.

    Raises:
        TypeError: `source` is no stream; the message names what was given and what is accepted.
        ValueError: there is no such format; the message lists those there are.
    """
    opening = Opening(
        source,
        format=format,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    try:
        stream = opening.open()
    except NotAcceptingError as refused:
        return _whole(refusal_head(refused))
    with stream.presence():
        try:
            async with watching(lambda: _gone(request)):
                return await _answer(request, stream, opening)
        except ClientGoneError:
            return web.Response(status=CLIENT_GONE_STATUS)


async def _answer(request: web.Request, stream: Stream, opening: Opening) -> web.StreamResponse:
    limits, encoder = opening.limits, opening.encoder
    head = await head_of(stream, encoder, commit_s=limits.commit_s)
    if head.body is not None:
        return _whole(head)
    return await _view(request, stream, encoder, head, write_s=limits.write_s)


def _whole(head: Head) -> web.Response:
    return web.Response(status=head.status, headers=head.headers, body=head.body)


def _gone(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


async def _view(
    request: web.Request, stream: Stream, encoder: Encoder, head: Head, *, write_s: float
) -> web.StreamResponse:
    response = web.StreamResponse(status=head.status, headers=head.headers)
    if request.version < HttpVersion11:
        response.force_close()
        why = "%s: an HTTP/1.0 client: the body ends with the connection, whole or not"
        log.warning(why, stream.id)
    writer = await response.prepare(request)
    assert writer is not None
    outlet = _Outlet(request, writer)
    try:
        await stream.view(encoder, outlet)
        async with asyncio.timeout(write_s):
            await response.write_eof()
    except (ConnectionError, TimeoutError):
        # The reader is gone, or takes nothing: its view ends with a cut, never with a proper end.
        outlet.abort()
    except BaseException:
        outlet.abort()
        raise
    return response


class _Outlet:
    """Keeps `runtime.viewer.Outlet`. A twin of the gateway's, which this room may not open.

    Args:
        request: the request that is being answered.
        writer: what preparing the response returned; nothing else may write to it meanwhile.
    """

    direct = True

    def __init__(self, request: web.Request, writer: AbstractStreamWriter) -> None:
        self._request = request
        self._writer = writer
        # HTTP/1.0 knows no chunks: the body ends with the connection.
        self._chunked = request.version >= HttpVersion11

    @property
    def backlog(self) -> int:
        """Bytes the transport holds back; 0 also when the connection is gone."""
        transport = self._request.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Hand `data` to the transport, as one chunk.

        Raises:
            ClientGoneError: the client has left.
        """
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ClientGoneError("the client has gone")
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

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
            transport.set_write_buffer_limits()

    def abort(self) -> None:
        """Reset the connection."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()
