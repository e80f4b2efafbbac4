"""Litestar: `return respond(request, source)` in a route handler annotated `-> StreamResponse`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.types import ASGIApp

from finalstop.adapters.asgi import StreamApp
from finalstop.adapters.opening import Options
from finalstop.runtime.relay import Relay


def respond(
    request: Request[Any, Any, Any],  # noqa: ARG001 - every adapter takes it
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


class StreamResponse(Response[None]):
    """A response whose head is made when it is sent, because only then its status is known."""

    def __init__(self, app: StreamApp) -> None:
        self._app = app
        super().__init__(content=None)

    def to_asgi_response(  # type: ignore[override] # Litestar calls what comes back as an ASGI app
        self,
        *_app_and_request: object,
        headers: dict[str, str] | None = None,
        cookies: Iterable[Cookie] | None = None,
        **_rest: object,
    ) -> ASGIApp:
        """The ASGI application that Litestar sends: ours, with the route's headers and cookies."""
        names = {**(headers or {}), **self.headers}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in names.items()]
        crumbs = [*self.cookies, *(cookies or ())]
        self._app.headers = [*raw, *(cookie.to_encoded_header() for cookie in crumbs)]
        return cast("ASGIApp", self._app)
