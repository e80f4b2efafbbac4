"""Django: `return await respond(request, source)` in an async view, `respond_sync` in a sync one.

An async view needs an ASGI server. A sync view works under both: under ASGI the stream lives in the
server's own loop, under WSGI on the background loop of `adapters.wsgi`.
"""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest  # type: ignore[import-untyped]
from django.http import (  # type: ignore[import-untyped]
    HttpRequest,
    HttpResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase  # type: ignore[import-untyped]

from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.opening import Opening
from finalstop.adapters.pulled import Answer, answer_of
from finalstop.adapters.wsgi import stream_response
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import Relay


async def respond(
    request: HttpRequest,
    source: object,
    *,
    format: str = "anthropic",
    relay: Relay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> HttpResponseBase:
    """Open the stream of `source`, hold the head for `commit_s` at most, return the response.

    Headers and cookies may be set on it.

    Args:
        request: the request being answered.
        source: a stream object of an SDK, a response, an iterator... (docs/reference/sources.md).
        format: the wire format: "anthropic" or "text".
        relay: where to open the stream; `finalstop.shared.shared_relay()` if none is given.
        limits: bounds for this stream; the relay's if none are given.
        linger_s: how long it may live without a viewer; the default is `limits.linger_s`.
        principal: who opens it; nobody else will find it.
        on_end: called with the receipt and the Message once the stream has ended; may be async.

    Raises:
        TypeError: `source` is no stream, or the request did not come over ASGI.
        ValueError: no such format.
    """
    if not isinstance(request, ASGIRequest):
        # Django would collect an async body whole before it sends a byte.
        raise TypeError("under WSGI a stream is sent by a sync view: use respond_sync")
    opening = Opening(
        source,
        format=format,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    return _response(await answer_of(opening))


def respond_sync(
    request: HttpRequest,
    source: object,
    *,
    format: str = "anthropic",
    relay: Relay | BackgroundRelay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> HttpResponseBase:
    """The same for a sync view; blocks its thread for `commit_s` at most.

    The arguments are those of `respond`, but for `relay`: under ASGI a `Relay` of the server's
    loop, under WSGI a `BackgroundRelay`.

    Raises:
        TypeError: `source` is no stream, or `relay` is of the other kind.
        ValueError: no such format.
    """
    if isinstance(request, ASGIRequest):
        if isinstance(relay, BackgroundRelay):
            raise TypeError("under ASGI the stream lives in the server's loop: give a Relay")
        return async_to_sync(respond)(
            request,
            source,
            format=format,
            relay=relay,
            limits=limits,
            linger_s=linger_s,
            principal=principal,
            on_end=on_end,
        )
    if isinstance(relay, Relay):
        raise TypeError("under WSGI there is no loop of the server's: give a BackgroundRelay")
    status, headers, body = stream_response(
        source,
        format=format,
        environ=request.META,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    return StreamingHttpResponse(body, status=status, headers=dict(headers))


def _response(answer: Answer) -> HttpResponseBase:
    head = answer.head
    if answer.view is None:
        return HttpResponse(head.body, status=head.status, headers=head.headers)
    return StreamingHttpResponse(answer.view, status=head.status, headers=head.headers)
