"""Flask: one line in a view. The relay runs in the background; `adapters.wsgi` says how."""

from __future__ import annotations

from typing import Unpack

from flask import Request, Response

from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.opening import Options
from finalstop.adapters.wsgi import stream_response


def respond(
    request: Request,
    source: object,
    *,
    relay: BackgroundRelay | None = None,
    **options: Unpack[Options],
) -> Response:
    """Answer a request with a stream; return the response from the view.

    Its status is the true one where the failure is known within the commit window, else 200 and
    the view. `on_end` runs outside of the application's context: push one if it needs one.

    The other arguments, and what is raised: see `wsgi.stream_response`.
    """
    status, headers, body = stream_response(source, environ=request.environ, relay=relay, **options)
    # Passed through: what wraps an iterable may hold back what it yields, or not close it.
    return Response(body, status, headers, direct_passthrough=True)
