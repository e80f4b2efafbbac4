"""Faults that strike with the response head, or in place of it.

Each builder gets a `Stage` and returns the moves. It may not know about sockets.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final

from finalstop.simulator.answers import compact
from finalstop.simulator.moves import PIECE_BYTES, Begin, Finish, Framing, Head, Move, Raw, Say
from finalstop.simulator.stage import EVENT_STREAM, Stage, api_headers

Builder = Callable[[Stage], Iterable[Move]]

RETRY_AFTER_S: Final = 1
HUGE_HEAD_BYTES: Final = 1 << 20
PAGE: Final = (
    "<html>\n<head><title>{title}</title></head>\n"
    "<body><center><h1>{title}</h1></center><hr><center>proxy</center></body>\n</html>\n"
)


def respond(
    status: int,
    reason: str,
    body: bytes,
    content_type: str,
    headers: tuple[tuple[str, str], ...] = (),
) -> list[Move]:
    """A whole short response, its length stated."""
    lines = (("content-type", content_type), *headers)
    return [Begin(Head(status, reason, lines, Framing.LENGTH, len(body))), Say(body), Finish()]


def respond_json(
    status: int, value: object, request_id: str, *extra: tuple[str, str]
) -> list[Move]:
    """A whole response of one JSON value, with the headers the API always sends."""
    body = compact(value).encode()
    headers = (*api_headers(request_id), *extra)
    return respond(status, REASONS[status], body, "application/json", headers)


def respond_error(
    status: int, kind: str, message: str, request_id: str, *extra: tuple[str, str]
) -> list[Move]:
    """A whole error response, shaped as the API shapes them."""
    error = {"type": kind, "message": message}
    value = {"type": "error", "error": error, "request_id": request_id}
    return respond_json(status, value, request_id, *extra)


def _status(status: int, kind: str, message: str, stage: Stage) -> Iterable[Move]:
    wait_s = stage.script.retry_after
    if wait_s is None and status == _TOO_MANY:
        wait_s = RETRY_AFTER_S
    extra = () if wait_s is None else (("retry-after", str(wait_s)),)
    return respond_error(status, kind, message, _request_id(stage), *extra)


def _spend_limit(stage: Stage) -> Iterable[Move]:
    message = "This workspace has reached its spend limit."
    stop = ("x-should-retry", "false")
    return respond_error(_TOO_MANY, "rate_limit_error", message, _request_id(stage), stop)


def _page(status: int, stage: Stage) -> Iterable[Move]:
    wait_s = stage.script.retry_after
    extra = () if wait_s is None else (("retry-after", str(wait_s)),)
    title = f"{status} {REASONS[status]}"
    return respond(status, REASONS[status], PAGE.format(title=title).encode(), "text/html", extra)


def _status_stall(stage: Stage) -> Iterable[Move]:
    headers = (("content-type", "application/json"), *api_headers(_request_id(stage)))
    return [Begin(Head(500, REASONS[500], headers, Framing.LENGTH, 120)), *stage.hang()]


def _redirect(stage: Stage) -> Iterable[Move]:
    del stage
    return respond(307, REASONS[307], b"", "text/plain", (("location", "/v1/elsewhere"),))


def _wrong_content_type(stage: Stage) -> Iterable[Move]:
    kind = ("content-type", "application/octet-stream")
    return stage.headed(replace(stage.head, headers=(kind, *stage.head.headers[1:])))


def _empty(stage: Stage) -> Iterable[Move]:
    return respond(200, "OK", b"", EVENT_STREAM, stage.head.headers[1:])


def _json(stage: Stage) -> Iterable[Move]:
    return respond_json(200, stage.message, _request_id(stage))


def _no_content(stage: Stage) -> Iterable[Move]:
    del stage
    return [Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), Finish()]


def _unknown_encoding(stage: Stage) -> Iterable[Move]:
    headers = (*stage.head.headers, ("content-encoding", "br"))
    return stage.headed(replace(stage.head, headers=headers))


def _huge_head(stage: Stage) -> Iterator[Move]:
    line = b"x-salt: " + b"salty " * 160 + b"\r\n"
    total = HUGE_HEAD_BYTES if stage.script.bytes is None else stage.script.bytes
    piece = line * (PIECE_BYTES // len(line))
    pieces = (Raw(piece) for _ in range(0, total, len(piece)))
    return chain([Raw(b"HTTP/1.1 200 OK\r\n")], pieces, [Raw(b"\r\n")], stage.hang())


def _not_http(stage: Stage) -> Iterable[Move]:
    return [Raw(b"220 mail.example.com ESMTP ready\r\n"), *stage.hang()]


def _no_head(stage: Stage) -> Iterable[Move]:
    return stage.hang()


def _request_id(stage: Stage) -> str:
    return dict(stage.head.headers)["request-id"]


_TOO_MANY: Final = 429
REASONS: Final = {
    200: "OK",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Overloaded",
}
_STATUS_ERRORS: Final = (
    (400, "invalid_request_error", "messages: at least one message is required"),
    (401, "authentication_error", "invalid x-api-key"),
    (402, "billing_error", "Your credit balance is too low to access the API."),
    (403, "permission_error", "Your API key does not have permission to use this model."),
    (404, "not_found_error", "model: no such model"),
    (408, "timeout_error", "The request took too long to arrive."),
    (409, "conflict_error", "The resource is being changed by another request."),
    (413, "request_too_large", "Request exceeds the maximum size."),
    (422, "invalid_request_error", "The request could not be processed."),
    (429, "rate_limit_error", "This request would exceed your rate limit."),
    (500, "api_error", "Internal server error"),
    (504, "timeout_error", "The request timed out while processing."),
    (529, "overloaded_error", "Overloaded"),
)
HEADS: Final[dict[str, Builder]] = {
    **{f"status-{row[0]}": partial(_status, *row) for row in _STATUS_ERRORS},
    "status-429-spend": _spend_limit,
    "status-502": partial(_page, 502),
    "status-503": partial(_page, 503),
    "status-stall": _status_stall,
    "redirect": _redirect,
    "wrong-content-type": _wrong_content_type,
    "html-200": partial(_page, 200),
    "empty-200": _empty,
    "json-200": _json,
    "no-content-204": _no_content,
    "unknown-encoding": _unknown_encoding,
    "huge-head": _huge_head,
    "not-http": _not_http,
    "no-head": _no_head,
}
