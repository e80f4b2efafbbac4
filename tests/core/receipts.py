"""A second opinion on receipts: what each must say, worked out from the log the stream left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from finalstop.core.endings import EndReason
from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Deltas,
    Event,
    MessageDelta,
    MessageStart,
    UsageView,
)
from finalstop.core.receipt import Ended, OpenBlock, UsageStatus
from tests.core.model import Model

WHOLE: Final = {"end_turn", "stop_sequence", "tool_use"}


def check_receipt(
    ended: Ended, out: Sequence[Event | Deltas | Ended], model: Model, now: float
) -> str:
    """What is wrong with a terminal; "" if nothing is."""
    return next((what for what, right in claims(ended, out, model, now) if not right), "")


def claims(
    ended: Ended, out: Sequence[Event | Deltas | Ended], model: Model, now: float
) -> Iterator[tuple[str, bool]]:
    """What must be so, and whether it is."""
    receipt, log = ended.receipt, model.said
    complete = receipt.reason is EndReason.COMPLETE
    terminals = [it for it in out if isinstance(it, Ended)]
    yield "one terminal, and it is the last (I1)", terminals == [ended] and out[-1] is ended
    yield "complete is what the reason says (I5)", receipt.complete is complete
    yield "message_stop is kept, and never forged", bool(ended.json) is complete
    yield (
        "a refusal for an upstream_error only",
        (ended.refusal is not None) is (receipt.reason is EndReason.UPSTREAM_ERROR),
    )
    yield "the status is 200 for complete only", (ended.status == 200) is complete
    yield "complete asks for no retry", not (complete and receipt.retryable)
    yield (
        "the error names the reason",
        complete or f"finalstop: {receipt.reason};" in str(ended.error["message"]),
    )
    yield "last_seq is the number of entries", receipt.last_seq == len(log) + 1
    open_ = open_blocks(log)
    yield "the open blocks are listed", receipt.open == open_
    half_call = any(block.type == "tool_use" for block in open_)
    yield (
        "whole is complete, and the model was done",
        receipt.whole is (complete and receipt.stop_reason in WHOLE and not half_call),
    )
    yield "the stop reason is the last that was given", receipt.stop_reason == stop_reason(log)
    yield "the times fit", timings_fit(ended, now)
    yield from usage_claims(ended, log)


def usage_claims(ended: Ended, log: Sequence[Event]) -> Iterator[tuple[str, bool]]:
    """What must be so of the usage (I8)."""
    usage = ended.receipt.usage
    reports = [it.payload for it in log if isinstance(it.payload, MessageDelta)]
    heads = [it.payload.message for it in log if isinstance(it.payload, MessageStart)]
    # Where in the reports stands an output count, and where a stop reason.
    counted = [(at, n) for at, it in enumerate(reports) if (n := count_in(it)) is not None]
    told = [at for at, it in enumerate(reports) if it.delta.stop_reason is not None]
    final = bool(told and counted) and counted[-1][0] >= told[0]
    count = counted[-1][1] if counted else None
    usages = [*(it.usage for it in heads), *(it.usage for it in reports)]
    stated = any(it not in {None, UsageView()} for it in usages)
    status = UsageStatus.PARTIAL if stated else UsageStatus.UNKNOWN
    status = UsageStatus.FINAL if final else status
    yield "the usage says how sure it is", usage.status is status
    yield "the characters are those in the log", usage.characters == characters(log)
    yield "only a final usage has a total", usage.output_tokens == (count if final else None)
    floor = min(usage.characters, 1) if count is None else count
    at_least = floor if status is UsageStatus.PARTIAL else None
    yield "a partial usage has a lower bound", usage.output_tokens_at_least == at_least


def count_in(report: MessageDelta) -> int | None:
    """The output count that a report states, if any."""
    return None if report.usage is None else report.usage.output_tokens


def open_blocks(log: Sequence[Event]) -> tuple[OpenBlock, ...]:
    """The blocks that were opened and not closed, in the order of their opening."""
    closed = {it.payload.index for it in log if isinstance(it.payload, BlockStop)}
    opened = [it.payload for it in log if isinstance(it.payload, BlockStart)]
    return tuple(
        OpenBlock(it.index, it.content_block.type, it.content_block.id, it.content_block.name)
        for it in opened
        if it.index not in closed
    )


def stop_reason(log: Sequence[Event]) -> str | None:
    """The model's own word, the last it gave."""
    reports = [it.payload.delta for it in log if isinstance(it.payload, MessageDelta)]
    return next((it.stop_reason for it in reversed(reports) if it.stop_reason), None)


def characters(log: Sequence[Event]) -> int:
    """The characters that the log holds."""
    grown = [it.payload.delta for it in log if isinstance(it.payload, BlockDelta)]
    opened = [it.payload.content_block for it in log if isinstance(it.payload, BlockStart)]
    said = [it.text or it.thinking or it.partial_json or "" for it in grown]
    return len("".join([*said, *(it.text or "" for it in opened)]))


def timings_fit(ended: Ended, now: float) -> bool:
    """Whether the times of a stream that was opened at 0 are in order."""
    times = ended.receipt.timings
    first = times.first_content_s
    in_order = first is None or 0 <= first <= times.total_s
    return times.total_s == now and in_order and 0 <= times.longest_gap_s <= times.total_s
