"""aiohttp: `return await respond(request, source)` in a handler.

The view writes straight to the transport; `adapters.outlet` says why.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Unpack

from aiohttp import HttpVersion11, web

from finalstop.adapters.departure import CLIENT_GONE_STATUS, ClientGoneError, watching
from finalstop.adapters.opening import Opening, Options
from finalstop.adapters.outlet import ResponseOutlet
from finalstop.runtime.head import Head, head_of, refusal_head
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.stream import Stream
from finalstop.wire.formats import Encoder

log = logging.getLogger("finalstop.adapters")


async def respond(
    request: web.Request,
    source: object,
    *,
    relay: Relay | None = None,
    **options: Unpack[Options],
) -> web.StreamResponse:
    """Answer a request with a stream; return the response from the handler.

    It returns when the view is over. The status is the true one where the failure is known within
    the commit window, else 200; it is 499 where the client left before the head, with or without
    aiohttp's `handler_cancellation`.

    What `source`, `relay` and the options are, and what is raised: see `opening.Opening`.
    """
    opening = Opening(source, relay=relay, **options)
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
    chunked = request.version >= HttpVersion11
    outlet = ResponseOutlet(request.transport, writer.drain, chunked=chunked)
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
