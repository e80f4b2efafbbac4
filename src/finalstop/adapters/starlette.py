"""Starlette: `return respond(request, source)` in an endpoint, `async def` or `def`."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from finalstop.adapters.asgi import StreamApp
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import Relay


def respond(
    request: Request,  # noqa: ARG001 - every adapter takes it; ASGI hands it to the response
    source: object,
    *,
    format: str = "anthropic",
    relay: Relay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> StreamResponse:
    """The response that streams `source`. Return it; the stream is opened when it is sent.

    Headers and cookies may be set on it before. The status is the true one: it is not known yet.

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
        TypeError: `source` is no stream; the message says what is accepted.
        ValueError: no such format.
    """
    app = StreamApp(
        source,
        format=format,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    return StreamResponse(app)


class StreamResponse(Response):
    """A response whose head is made when it is sent, because only then its status is known."""

    def __init__(self, app: StreamApp, background: BackgroundTask | None = None) -> None:
        self._app = app
        super().__init__(background=background)
        self.raw_headers.clear()  # Starlette's guess: an empty body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, then run the background task."""
        self._app.headers = self.raw_headers
        await self._app(scope, receive, send)
        if self.background is not None:
            await self.background()
