"""Starlette: `return respond(request, source)` in an endpoint, `async def` or `def`."""

from __future__ import annotations

from typing import Unpack

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from finalstop.adapters.asgi import StreamApp
from finalstop.adapters.opening import Options
from finalstop.runtime.relay import Relay


def respond(
    request: Request,  # noqa: ARG001 - every adapter takes it; ASGI hands it to the response
    source: object,
    *,
    relay: Relay | None = None,
    **options: Unpack[Options],
) -> StreamResponse:
    """The response that streams `source`. Return it; the stream is opened when it is sent.

    Headers and cookies may be set on it before. The status is the true one: it is not known yet.

    What `source`, `relay` and the options are, and what is raised: see `opening.Opening`.
    """
    return StreamResponse(StreamApp(source, relay=relay, **options))


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
