"""Django: `return await respond(request, source)` in an async view, `respond_sync` in a sync one.

An async view needs an ASGI server. A sync view works under both: under ASGI the stream lives in the
server's own loop, under WSGI on the background loop of `adapters.wsgi`.
"""

from __future__ import annotations

from typing import Unpack

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest  # type: ignore[import-untyped]
from django.http import (  # type: ignore[import-untyped]
    HttpRequest,
    HttpResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase  # type: ignore[import-untyped]

from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.opening import Opening, Options
from finalstop.adapters.pulled import Answer, answer_of
from finalstop.adapters.wsgi import stream_response
from finalstop.runtime.relay import Relay


async def respond(
    request: HttpRequest,
    source: object,
    *,
    relay: Relay | None = None,
    **options: Unpack[Options],
) -> HttpResponseBase:
    """Open the stream of `source`, hold the head for `commit_s` at most, return the response.

    Headers and cookies may be set on it.

    What `source`, `relay` and the options are: see `opening.Opening`.

    Raises:
        TypeError: `source` is no stream, or the request did not come over ASGI.
        ValueError: there is no such format.
    """
    if not isinstance(request, ASGIRequest):
        # Django would collect an async body whole before it sends a byte.
        raise TypeError("under WSGI a stream is sent by a sync view: use respond_sync")
    return _response(await answer_of(Opening(source, relay=relay, **options)))


def respond_sync(
    request: HttpRequest,
    source: object,
    *,
    relay: Relay | BackgroundRelay | None = None,
    **options: Unpack[Options],
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
        return async_to_sync(respond)(request, source, relay=relay, **options)
    if isinstance(relay, Relay):
        raise TypeError("under WSGI there is no loop of the server's: give a BackgroundRelay")
    status, headers, body = stream_response(source, environ=request.META, relay=relay, **options)
    return StreamingHttpResponse(body, status=status, headers=dict(headers))


def _response(answer: Answer) -> HttpResponseBase:
    head = answer.head
    if head.body is not None:
        # Django leaves it to a middleware that not everyone has.
        size = {"content-length": str(len(head.body))}
        return HttpResponse(head.body, status=head.status, headers={**head.headers, **size})
    return StreamingHttpResponse(answer.view, status=head.status, headers=head.headers)
