"""The routes that produce a stream: `POST /v1/messages` and `POST /stream-claude`.

The order of things, for both: admit, read the body, open the stream and be present in it, hold
the head for the commit window, then either a true status or the view.
"""

from __future__ import annotations

import msgspec
import structlog
from aiohttp import HttpVersion11, web

from finalstop.core.receipt import Ended
from finalstop.gateway.auth import Admission, forwarded_headers
from finalstop.gateway.body import boolean, plain_fields, read_fields, streaming_body
from finalstop.gateway.errors import SERVER, RequestError, ended_response, receipt_link
from finalstop.gateway.front import FRONT, Front, linger_s, stream_headers
from finalstop.gateway.passthrough import pass_through
from finalstop.gateway.view import View, ViewResponse
from finalstop.runtime.head import view_head
from finalstop.runtime.intake import UpstreamSource
from finalstop.runtime.stream import Stream
from finalstop.upstream.contract import UpstreamRequest
from finalstop.wire.formats import encoder_for

log = structlog.get_logger("finalstop.gateway")


async def messages(request: web.Request) -> web.StreamResponse:
    """`POST /v1/messages`: the API's own route, as a stream or as a whole Message."""
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    body, fields = await read_fields(request, front.limits)
    if boolean(fields, "stream", default=False):
        stream = _open(front, request, admission, body, attempts=front.limits.attempts_sdk)
        del admission, body, fields  # a prompt may be large, and the answer long in coming
        return await _stream(front, request, stream, "anthropic")
    if front.settings.nonstream_passthrough:
        return await pass_through(front, request, admission, body)
    whole = streaming_body(fields)
    stream = _open(front, request, admission, whole, attempts=front.limits.attempts_sdk)
    del admission, body, fields, whole
    return await _whole(stream)


async def stream_claude(request: web.Request) -> web.StreamResponse:
    """`POST /stream-claude`: a prompt in, plain text deltas out."""
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    _, fields = await read_fields(request, front.limits)
    settings = front.settings
    full = plain_fields(
        fields, model=settings.default_model, max_tokens=settings.default_max_tokens
    )
    body = streaming_body(full)
    stream = _open(front, request, admission, body, attempts=front.limits.attempts_own)
    del admission, body, fields, full
    return await _stream(front, request, stream, "text")


def _open(
    front: Front, request: web.Request, admission: Admission, body: bytes, *, attempts: int
) -> Stream:
    # Raw: decoded and not encoded again, a query would be another one, or none at all.
    query = request.rel_url.raw_query_string
    asked = UpstreamRequest(
        method="POST",
        path=f"/v1/messages?{query}" if query else "/v1/messages",
        headers={**forwarded_headers(request.headers), **admission.upstream_headers},
        body=body,
        at_once=request.path in front.settings.at_once_routes,
    )
    source = UpstreamSource(front.upstream, asked, attempts=attempts, limits=front.limits)
    linger = linger_s(request, front.limits)
    try:
        return front.relay.open(source, principal=admission.principal, linger_s=linger)
    except ValueError as error:
        # The upstream refuses to carry what would change where it asks, or is no legal header.
        raise RequestError(400, f"The request cannot be passed on: {error}.") from None


async def _stream(
    front: Front, request: web.Request, stream: Stream, wire_format: str
) -> web.StreamResponse:
    with stream.presence() as presence:
        await stream.begun(front.limits.commit_s)
        failed = stream.failed_at_once
        if failed is not None:
            return ended_response(stream, failed)
        if request.version < HttpVersion11:
            why = "the body ends with the connection"
            log.warning("http_1_0_client", stream=stream.id, why=why)
        encoder = encoder_for(wire_format)
        head = view_head(stream, encoder)
        headers = {**head.headers, "link": receipt_link(stream), "server": SERVER}
        return ViewResponse(View(stream, encoder, presence, request, headers))


async def _whole(stream: Stream) -> web.Response:
    """The answer as one JSON Message, or the error with its true status."""
    with stream.presence():
        await stream.receipt()
        ended = stream.ended
        assert ended is not None
        if not ended.receipt.complete:
            return ended_response(stream, ended)
        return await message_response(stream, ended)


async def message_response(stream: Stream, ended: Ended) -> web.Response:
    """The accumulated Message of a complete stream.

    Raises:
        RequestError: 502: a delta of unknown type cannot be accumulated; it is named.
    """
    assert ended.receipt.complete
    message, unknown = await stream.message()
    if unknown is not None:
        why = (
            f"The answer holds {unknown}, which this version cannot put together into a Message; "
            "ask for a stream, or set nonstream_passthrough."
        )
        # The answer is whole and paid for: asking again would only be billed again.
        raise RequestError(502, why, headers={**stream_headers(stream), "x-should-retry": "false"})
    response = web.Response(body=msgspec.json.encode(message), content_type="application/json")
    response.headers.update(stream_headers(stream))
    return response
