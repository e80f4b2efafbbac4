"""Quart: `return await respond(request, source)` in a view function."""

from __future__ import annotations

from quart import Request, Response

from finalstop.adapters.opening import Opening
from finalstop.adapters.pulled import answer_of
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import Relay


async def respond(
    request: Request,  # noqa: ARG001 - every adapter takes it
    source: object,
    *,
    format: str = "anthropic",
    relay: Relay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> Response:
    """Open the stream of `source`, hold the head for `commit_s` at most, return the response.

    Headers and cookies may be set on it. Quart's RESPONSE_TIMEOUT, 60 s of total time, is off for
    it: the stream has its own limits.

    Args:
        request: the request being answered; `quart.request` will do.
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
    opening = Opening(
        source,
        format=format,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    answer = await answer_of(opening)
    head = answer.head
    response = Response(answer.view or head.body, head.status, dict(head.headers))
    response.timeout = None
    return response
