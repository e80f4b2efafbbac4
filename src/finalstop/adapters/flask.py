"""Flask: one line in a view. The relay runs in the background; `adapters.wsgi` says how."""

from __future__ import annotations

from flask import Request, Response

from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.wsgi import stream_response
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import OnEnd


def respond(
    request: Request,
    source: object,
    *,
    format: str = "anthropic",
    relay: BackgroundRelay | None = None,
    limits: Limits | None = None,
    linger_s: float | None = None,
    principal: str | None = None,
    on_end: OnEnd | None = None,
) -> Response:
    """Answer a request with a stream; return the response from the view.

    Its status is the true one where the failure is known within the commit window, else 200 and
    the view. `on_end` runs outside of the application's context: push one if it needs one.

    Args:
        request: the request that is being answered (`flask.request`).
        source: what `runtime.sources.source_of` takes: an SDK's stream, a response, an iterator...
        format: the wire format.
        relay: the default is the one that all handlers of the process share.
        limits: other bounds for this stream.
        linger_s: seconds it may live without a viewer; the default is `limits.linger_s`.
        principal: who opens it; nobody else will find it.
        on_end: called once with the receipt and the Message, also when nobody is listening.

    Raises:
        TypeError: `source` is no stream; the message names what was given and what is accepted.
        ValueError: there is no such format; the message lists those there are.
        RuntimeError: the relay was closed.
    """
    status, headers, body = stream_response(
        source,
        format=format,
        environ=request.environ,
        relay=relay,
        limits=limits,
        linger_s=linger_s,
        principal=principal,
        on_end=on_end,
    )
    # Passed through: what wraps an iterable may hold back what it yields, or not close it.
    return Response(body, status, headers, direct_passthrough=True)
