"""The receipt: the account that every stream leaves, and `Ended`, the event that carries it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, final

import msgspec
from msgspec import Struct

from finalstop.core.endings import ENDINGS, ENDINGS_PAGE, EndReason, Party, Refusal


class UsageStatus(StrEnum):
    """How far the token counts can be believed."""

    FINAL = "final"  # the upstream stated the total together with the stop reason
    PARTIAL = "partial"  # the stream was cut before that
    UNKNOWN = "unknown"  # the upstream never said anything about usage


class Usage(Struct, frozen=True, omit_defaults=True):
    """What the stream cost, and how sure that is (invariant I8).

    Args:
        status: `final`, `partial` or `unknown`.
        characters: characters of text, thinking and tool input that were logged.
        input_tokens: as stated by the upstream; None when it was not.
        output_tokens: only when `final`.
        output_tokens_at_least: only when `partial`: a lower bound.
        cache_creation_input_tokens: as stated by the upstream.
        cache_read_input_tokens: as stated by the upstream.
    """

    status: UsageStatus
    characters: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_at_least: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class Timings(Struct, frozen=True):
    """Seconds since the stream was opened; None for what never happened.

    Args:
        connect_s: until a connection to the upstream was ready.
        first_content_s: until the first content event.
        total_s: until the end.
        longest_gap_s: the longest silence after a content event; the last one, until the end,
            included.
    """

    connect_s: float | None
    first_content_s: float | None
    total_s: float
    longest_gap_s: float


class OpenBlock(Struct, frozen=True, omit_defaults=True):
    """A content block that was never closed. Nobody closes it in the upstream's name."""

    index: int
    type: str
    id: str | None = None
    name: str | None = None


class Receipt(Struct, frozen=True):
    """The account of one stream, spelled the same wherever a format has a place for it.

    Args:
        stream: the stream id.
        reason: why it ended.
        party: whose doing that was.
        complete: whether `message_stop` was seen after a well-formed sequence.
        whole: `complete`, and the model stopped because it was done.
        detail: one sentence for a person: what was seen.
        stop_reason: the model's own word, if it gave one.
        last_seq: the sequence number of the terminal entry.
        model: the model that answered, as the upstream names it.
        request_id: the upstream's request id.
        usage: tokens and characters.
        timings: seconds.
        retryable: whether the same request may succeed if sent again.
        retry_after_s: how long to wait before that, if anybody said so.
        open: the content blocks that were never closed.
        resumable: whether the log keeps the stream for `retention_s`.
    """

    stream: str
    reason: EndReason
    party: Party
    complete: bool
    whole: bool
    detail: str
    stop_reason: str | None
    last_seq: int
    model: str | None
    request_id: str | None
    usage: Usage
    timings: Timings
    retryable: bool
    retry_after_s: float | None
    open: tuple[OpenBlock, ...] = ()
    resumable: bool = True

    def to_json(self) -> bytes:
        """The receipt as one line of JSON."""
        return msgspec.json.encode(self)


@final
class Ended(Struct, frozen=True):
    """The terminal event: the last entry of every log, built in one place (`Lifecycle`).

    Args:
        receipt: the account.
        json: the upstream's own `message_stop`, exactly as it came; empty unless complete.
        refusal: the upstream's own error, for `upstream_error`.
    """

    receipt: Receipt
    json: bytes = b""
    refusal: Refusal | None = None

    lean: ClassVar[bool] = False
    """As an event's: it must be kept whole."""

    @property
    def reason(self) -> EndReason:
        """Why the stream ended."""
        return self.receipt.reason

    @property
    def status(self) -> int:
        """The HTTP status to answer with while the response head is not sent."""
        return self.refusal.status if self.refusal else ENDINGS[self.reason].status

    @property
    def error(self) -> dict[str, Any]:
        """The Anthropic-shaped `error` object; its message names the reason and its page."""
        assert not self.receipt.complete
        row = ENDINGS[self.reason]
        kept = dict(self.refusal.error) if self.refusal else {"type": row.error_type}
        said = kept.get("message") or f"{row.says} {self.receipt.detail}".rstrip()
        kept["message"] = f"{said} [finalstop: {self.reason}; see {ENDINGS_PAGE}#{self.reason}]"
        return kept
