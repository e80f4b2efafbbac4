"""Why a stream ended: the closed set of end reasons, and what follows from each.

An end reason is ours; a stop reason is the model's. The spelling of an end reason is the same on
the wire, in the log line, in metrics, in traces and in the docs, so it is data here and never a
formatted string elsewhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

# The page that every error message points to. Relative, because the page travels with the source.
ENDINGS_PAGE: Final = "docs/reference/endings.md"

# Told to a caller whose stream met a server that is going away or a log that is full: long enough
# for a load balancer to have noticed, short enough for a person to wait.
RETRY_AFTER_S: Final = 2.0


class Party(StrEnum):
    """Whose doing an ending was."""

    MODEL = "model"
    UPSTREAM = "upstream"
    CALLER = "caller"
    RELAY = "relay"
    OPERATOR = "operator"


class EndReason(StrEnum):
    """Why a stream ended. Closed: a new member is a design note, not a patch."""

    COMPLETE = "complete"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_INVALID = "upstream_invalid"
    TRUNCATED = "truncated"
    UNREACHABLE = "unreachable"
    FIRST_CONTENT_TIMEOUT = "first_content_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    DEADLINE = "deadline"
    TOO_LARGE = "too_large"
    STOPPED = "stopped"
    ABANDONED = "abandoned"
    DRAINING = "draining"
    OWNER_LOST = "owner_lost"
    LOG_FAILED = "log_failed"
    INTERNAL_ERROR = "internal_error"


class Ending(Struct, frozen=True):
    """One row of the table of endings: what follows from an end reason.

    Args:
        party: whose doing it was.
        retryable: whether the same request may succeed if sent again. For `upstream_error` the
            upstream's own answer decides (`Refusal.retryable`), and this is only the default.
        status: the HTTP status when the response head is still ours to choose. For
            `upstream_error` the upstream's own status stands instead.
        error_type: the `error.type` in an Anthropic-shaped error. For `upstream_error` the
            upstream's own stands instead.
        trigger: what makes it happen, for the reference page.
        says: the sentence a person reads first.
    """

    party: Party
    retryable: bool
    status: int
    error_type: str
    trigger: str
    says: str


ENDINGS: Final[dict[EndReason, Ending]] = {
    EndReason.COMPLETE: Ending(
        Party.MODEL,
        retryable=False,
        status=200,
        error_type="",
        trigger="`message_stop` after a well-formed sequence",
        says="The model finished its answer.",
    ),
    EndReason.UPSTREAM_ERROR: Ending(
        Party.UPSTREAM,
        retryable=True,
        status=502,
        error_type="api_error",
        trigger="an `error` event, or a non-2xx response",
        says="The upstream answered with an error.",
    ),
    EndReason.UPSTREAM_INVALID: Ending(
        Party.UPSTREAM,
        retryable=False,
        status=502,
        error_type="api_error",
        trigger="bad JSON, events out of order, not an event stream, or an event over its bound",
        says="The upstream sent something that is not a valid stream.",
    ),
    EndReason.TRUNCATED: Ending(
        Party.UPSTREAM,
        retryable=True,
        status=502,
        error_type="api_error",
        trigger="end of body, reset, cut chunk or cut gzip before `message_stop`",
        says="The upstream's answer was cut off before its end.",
    ),
    EndReason.UNREACHABLE: Ending(
        Party.UPSTREAM,
        retryable=True,
        status=502,
        error_type="api_error",
        trigger="name not resolved, connection refused, TLS failure or connect timeout, after "
        "the allowed attempts",
        says="The upstream could not be reached.",
    ),
    EndReason.FIRST_CONTENT_TIMEOUT: Ending(
        Party.UPSTREAM,
        retryable=True,
        status=504,
        error_type="timeout_error",
        trigger="no content event for `first_content_s` since the request was written",
        says="The upstream sent no content in time.",
    ),
    EndReason.IDLE_TIMEOUT: Ending(
        Party.UPSTREAM,
        retryable=True,
        status=504,
        error_type="timeout_error",
        trigger="no content event for `idle_s` since the last one; pings do not count",
        says="The upstream stopped sending content.",
    ),
    EndReason.DEADLINE: Ending(
        Party.RELAY,
        retryable=False,
        status=504,
        error_type="timeout_error",
        trigger="`deadline_s` of total time since the stream was opened",
        says="The stream reached its total time limit.",
    ),
    EndReason.TOO_LARGE: Ending(
        Party.RELAY,
        retryable=False,
        status=502,
        error_type="api_error",
        trigger="the stream passed `stream_bytes`",
        says="The stream passed its size limit.",
    ),
    EndReason.STOPPED: Ending(
        Party.CALLER,
        retryable=False,
        status=409,
        error_type="conflict_error",
        trigger="someone asked, with `DELETE /streams/{id}` or `Stream.stop()`",
        says="The stream was stopped on request.",
    ),
    EndReason.ABANDONED: Ending(
        Party.CALLER,
        retryable=False,
        status=499,
        error_type="api_error",
        trigger="the last viewer left and `linger_s` ran out",
        says="Nobody was reading any more.",
    ),
    EndReason.DRAINING: Ending(
        Party.OPERATOR,
        retryable=True,
        status=503,
        error_type="overloaded_error",
        trigger="the server is shutting down and its drain window is over",
        says="The server is shutting down.",
    ),
    EndReason.OWNER_LOST: Ending(
        Party.RELAY,
        retryable=True,
        status=503,
        error_type="api_error",
        trigger="the process that produced the stream died and its lease ran out",
        says="The server that produced the stream was lost.",
    ),
    EndReason.LOG_FAILED: Ending(
        Party.RELAY,
        retryable=True,
        status=503,
        error_type="api_error",
        trigger="the log refused an append, or is down and was configured as required",
        says="The server could not record the stream.",
    ),
    EndReason.INTERNAL_ERROR: Ending(
        Party.RELAY,
        retryable=False,
        status=500,
        error_type="api_error",
        trigger="a bug in finalstop",
        says="finalstop, or the source that it was given, failed.",
    ),
}

# A stop reason after which the answer is all the model meant to say. The others (`max_tokens`,
# `pause_turn`, `refusal`, `model_context_window_exceeded`, unknown ones) end a `complete` stream
# whose answer is not whole.
WHOLE_STOP_REASONS: Final = frozenset({"end_turn", "stop_sequence", "tool_use"})

# What the API's own error types mean in HTTP (Messages API, errors). Used for an `error` that is
# the very first event, and for a refusal whose body names a type.
ERROR_STATUS: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
ERROR_TYPE: Final[dict[int, str]] = {status: name for name, status in ERROR_STATUS.items()}

# Worth another attempt: what the official SDKs retry, plus every other 5xx.
RETRYABLE_STATUSES: Final = frozenset({408, 409, 429})
REQUEST_TIMEOUT: Final = 408
SERVER_ERROR: Final = 500


def error_type_of(status: int) -> str:
    """The API's `error.type` for an HTTP status that came without one."""
    if status in ERROR_TYPE:
        return ERROR_TYPE[status]
    if status == REQUEST_TIMEOUT:
        return "timeout_error"
    return "invalid_request_error" if status < SERVER_ERROR else "api_error"


class Refusal(Struct, frozen=True):
    """The upstream's own error: a non-2xx response, or an `error` event.

    Args:
        status: the HTTP status it was, or that its type means when it came in the stream.
        error: the `error` object as the upstream sent it, unknown fields included; at least
            `type` and `message`.
        retry_after_s: from `retry-after`, in seconds.
        should_retry: the upstream's own `x-should-retry`, which wins over the status.
    """

    status: int
    error: dict[str, Any]
    retry_after_s: float | None = None
    should_retry: bool | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed if sent again, as the upstream sees it."""
        if self.should_retry is not None:
            return self.should_retry
        return self.status in RETRYABLE_STATUSES or self.status >= SERVER_ERROR


def party_of(reason: EndReason, refusal: Refusal | None) -> Party:
    """Whose doing an ending was. A 4xx is about the request, so it is the caller's to mend."""
    if refusal is not None and refusal.status < SERVER_ERROR:
        return Party.CALLER
    return ENDINGS[reason].party


def retry_after_s_of(reason: EndReason, refusal: Refusal | None) -> float | None:
    """How long to wait before a retry, in seconds; None where nobody has said."""
    if refusal is not None:
        return refusal.retry_after_s
    return RETRY_AFTER_S if reason in {EndReason.DRAINING, EndReason.LOG_FAILED} else None
