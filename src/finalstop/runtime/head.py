"""The response head: what to answer before the first byte of the answer.

The commit window keeps statuses true. Until the stream's first event has come, at most `commit_s`,
nothing is promised; then it is either an error with its own status, or 200 and the view.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

import msgspec
from msgspec import Struct

from finalstop.core.receipt import Ended
from finalstop.runtime.relay import NotAcceptingError
from finalstop.runtime.stream import Stream
from finalstop.wire.anthropic import error_body
from finalstop.wire.formats import Encoder

STREAM_ID_HEADER: Final = "finalstop-stream-id"

UNAVAILABLE: Final = 503

# The API's own answer to more load than it takes; the SDKs know it and back off.
OVERLOADED: Final = 529

# Whoever is refused comes back when another server has taken over, or a stream has ended.
RETRY_AFTER_S: Final = 2

# A proxy that follows these passes bytes on as they come and changes none of them.
UNBUFFERED: Final[Mapping[str, str]] = {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


class Head(Struct, frozen=True):
    """A response head, with its body where that is all there will be.

    Args:
        status: the HTTP status.
        headers: lower-case names.
        body: the whole body of an error; None where the view follows.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None = None


async def head_of(stream: Stream, encoder: Encoder, *, commit_s: float) -> Head:
    """Hold the head for the commit window, then say what it is. Be present in the stream."""
    await stream.begun(commit_s)
    failed = stream.failed_at_once
    return view_head(stream, encoder) if failed is None else error_head(stream, failed)


def view_head(stream: Stream, encoder: Encoder) -> Head:
    """The head of a view that follows."""
    named = {"content-type": encoder.content_type}
    return Head(200, {**UNBUFFERED, **encoder.headers, **stream_headers(stream), **named})


def error_head(stream: Stream, ended: Ended) -> Head:
    """The true status of a stream that failed before its head was sent, and the whole answer."""
    receipt = ended.receipt
    headers = {**stream_headers(stream), "content-type": "application/json"}
    headers["x-should-retry"] = "true" if receipt.retryable else "false"
    if receipt.retry_after_s is not None:
        # RFC 9110, section 10.2.3: whole seconds. The upstream's own word, also a date, stays.
        headers.setdefault("retry-after", str(ceil(receipt.retry_after_s)))
    return Head(ended.status, headers, error_body(ended))


def refusal_head(refused: NotAcceptingError) -> Head:
    """The whole answer to a request whose stream was not opened: 503 in a drain, 529 at a bound."""
    status = UNAVAILABLE if refused.draining else OVERLOADED
    message = f"No new stream is accepted now: {refused}."
    error = {"type": "overloaded_error", "message": message}
    headers = {
        "content-type": "application/json",
        "retry-after": str(RETRY_AFTER_S),
        "x-should-retry": "true",
    }
    return Head(status, headers, msgspec.json.encode({"type": "error", "error": error}))


def stream_headers(stream: Stream) -> dict[str, str]:
    """The headers that every answer about a stream carries: its id, and the upstream's."""
    return {STREAM_ID_HEADER: stream.id, **stream.upstream_headers}
