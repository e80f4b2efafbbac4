"""Routes that are not streams: asked upstream as they are, answered as they come."""

from __future__ import annotations

from aiohttp import web

from finalstop.core.endings import ENDINGS
from finalstop.gateway.auth import Admission, forwarded_headers
from finalstop.gateway.body import read_fields
from finalstop.gateway.errors import RequestError, error_response
from finalstop.gateway.front import FRONT, Front
from finalstop.upstream.contract import UpstreamFailedError, UpstreamRequest


async def count_tokens(request: web.Request) -> web.Response:
    """`POST /v1/messages/count_tokens`."""
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    body, _ = await read_fields(request, front.limits)
    return await pass_through(front, request, admission, body)


async def models(request: web.Request) -> web.Response:
    """`GET /v1/models` and `GET /v1/models/{id}`."""
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    return await pass_through(front, request, admission, b"")


async def pass_through(
    front: Front, request: web.Request, admission: Admission, body: bytes
) -> web.Response:
    """Ask the upstream the same thing and answer with what it says.

    A failure to get a whole answer is answered with the status of its end reason.
    """
    asked = UpstreamRequest(
        method=request.method,
        # Not `raw_path`: in a request to a proxy that is a whole URL (RFC 9112, section 3.2.2).
        path=request.rel_url.raw_path_qs,
        headers={**forwarded_headers(request.headers), **admission.upstream_headers},
        body=body,
    )
    try:
        answer = await front.upstream.fetch(asked, timeout_s=front.limits.first_content_s)
    except UpstreamFailedError as error:
        row = ENDINGS[error.reason]
        message = f"{row.says} {error.detail} [finalstop: {error.reason}]"
        return error_response(row.status, message, error_type=row.error_type)
    except ValueError as error:
        # The upstream refuses to carry what would change where it asks.
        raise RequestError(400, f"The request cannot be passed on: {error}.") from None
    response = web.Response(status=answer.head.status, body=answer.body)
    response.headers["content-type"] = answer.head.headers.get("content-type", "application/json")
    response.headers.update(answer.head.passed)
    if "x-should-retry" in answer.head.headers:
        response.headers["x-should-retry"] = answer.head.headers["x-should-retry"]
    return response
