"""Litestar: `return respond(request, source)` in a route handler annotated `-> StreamResponse`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.types import ASGIApp

from finalstop.adapters.asgi import StreamApp
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import Relay


def respond(
    request: Request[Any, Any, Any],  # noqa: ARG001 - every adapter takes it
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
