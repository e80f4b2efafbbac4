"""Errors of the gateway's own making, and how every failure is answered before the head.

One shape for all: the API's, `{"type": "error", "error": {"type", "message"}}`, so that an SDK
raises what it would raise against the API itself.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog
from aiohttp import web

from finalstop.core.endings import error_type_of
from finalstop.core.receipt import Ended
from finalstop.gateway.auth import AuthError
from finalstop.log.contract import UnknownStreamError
from finalstop.runtime.head import Head, error_head, refusal_head
from finalstop.runtime.relay import NotAcceptingError
from finalstop.runtime.stream import Stream, TooManyViewersError

# What answers call the server. aiohttp's own word is its version, and Python's.
SERVER: Final = "finalstop"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger("finalstop.gateway")


class RequestError(Exception):
    """A request that cannot be served; the message says what was wrong and what to do.

    Args:
        status: the HTTP status to answer with.
        message: for a person; holds no part of a prompt.
        headers: further response headers.
    """

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def error_response(
    status: int,
    message: str,
    *,
    error_type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """An Anthropic-shaped error."""
    error = {"type": error_type or error_type_of(status), "message": message}
    body = msgspec.json.encode({"type": "error", "error": error})
    return _json(status, body, headers or {})


def ended_response(stream: Stream, ended: Ended) -> web.Response:
    """The true status of a stream that failed before its head was sent."""
    head = error_head(stream, ended)
    return _whole(head, link=receipt_link(stream))


def receipt_link(stream: Stream) -> str:
    """The `link` header to a stream's receipt (RFC 8288)."""
    return f'</streams/{stream.id}/receipt>; rel="receipt"'


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal in the API's shape; let nothing escape as plain text."""
    try:
        return await handler(request)
    except RequestError as error:
        return error_response(error.status, error.message, headers=error.headers)
    except AuthError as error:
        return error_response(
            error.status, error.message, error_type=error.type, headers=error.headers
        )
    except UnknownStreamError:
        message = "No such stream: the id is wrong, not yours, or its retention is over."
        return error_response(404, message)
    except NotAcceptingError as error:
        return _whole(refusal_head(error))
    except TooManyViewersError as error:
        return error_response(429, f"{error}; retry later.")
    except web.HTTPException as error:
        return _http_exception(request, error)
    except ConnectionError:
        raise  # the client has gone; there is nobody to tell
    except Exception as error:  # noqa: BLE001 - whatever it was, the client gets one shape
        log.error(  # noqa: TRY400 - the text of an exception may hold a prompt
            "handler_failed", path=request.path, error=type(error).__name__, where=place_of(error)
        )
        return error_response(500, f"finalstop failed ({type(error).__name__}); see its log.")


def place_of(error: BaseException) -> str:
    """Where it was raised, as `file:line`: with its type, all that may be told of it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _http_exception(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        headers["allow"] = allowed
        message = f"{request.method} is not allowed on {request.path}; allowed: {allowed}."
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        message = "The request body is larger than body_bytes."
    elif isinstance(error, web.HTTPNotFound):
        message = f"No route {request.path}; GET / lists them."
    else:
        message = error.reason or "The request failed."
    return error_response(error.status, message, headers=headers)


def _whole(head: Head, **more: str) -> web.Response:
    assert head.body is not None
    return _json(head.status, head.body, {**head.headers, **more})


def _json(status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    response = web.Response(status=status, body=body, content_type="application/json")
    response.headers.update(headers)
    return response
