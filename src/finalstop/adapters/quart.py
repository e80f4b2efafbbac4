"""Quart: `return await respond(request, source)` in a view function."""

from __future__ import annotations

from typing import Unpack

from quart import Request, Response

from finalstop.adapters.opening import Opening, Options
from finalstop.adapters.pulled import answer_of
from finalstop.runtime.relay import Relay


async def respond(
    request: Request,  # noqa: ARG001 - every adapter takes it
    source: object,
    *,
    relay: Relay | None = None,
    **options: Unpack[Options],
) -> Response:
    """Open the stream of `source`, hold the head for `commit_s` at most, return the response.

    Headers and cookies may be set on it. Quart's RESPONSE_TIMEOUT, 60 s of total time, is off for
    it: the stream has its own limits.

    What `source`, `relay` and the options are, and what is raised: see `opening.Opening`.
    """
    answer = await answer_of(Opening(source, relay=relay, **options))
    head = answer.head
    response = Response(answer.view or head.body, head.status, dict(head.headers))
    response.timeout = None
    return response
