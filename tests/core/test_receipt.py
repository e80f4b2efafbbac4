"""The receipt and the terminal that carries it: their spelling, their status, their error."""

from __future__ import annotations

import msgspec
import pytest

from finalstop.core.endings import ENDINGS, ENDINGS_PAGE, EndReason, Refusal, party_of
from finalstop.core.receipt import Ended, OpenBlock, Receipt, Timings, Usage, UsageStatus

USAGE = Usage(UsageStatus.PARTIAL, 5, input_tokens=12, output_tokens_at_least=1)
TIMINGS = Timings(connect_s=0.1, first_content_s=None, total_s=2.5, longest_gap_s=0.0)


def ended(
    reason: EndReason,
    *,
    detail: str = "",
    refusal: Refusal | None = None,
    usage: Usage = USAGE,
    open: tuple[OpenBlock, ...] = (),  # noqa: A002
) -> Ended:
    receipt = Receipt(
        stream="s1",
        reason=reason,
        party=party_of(reason, refusal),
        complete=False,
        whole=False,
        detail=detail,
        stop_reason=None,
        last_seq=3,
        model="m",
        request_id=None,
        usage=usage,
        timings=TIMINGS,
        retryable=ENDINGS[reason].retryable,
        retry_after_s=None,
        open=open,
    )
    return Ended(receipt, refusal=refusal)


def test_a_receipt_is_one_line_of_json_with_these_names():
    tool = OpenBlock(1, "tool_use", "toolu_1", "get_weather")
    receipt = ended(EndReason.IDLE_TIMEOUT, detail="Two\nlines.", open=(tool,)).receipt
    line = receipt.to_json()
    assert b"\n" not in line
    assert msgspec.json.decode(line) == {
        "stream": "s1",
        "reason": "idle_timeout",
        "party": "upstream",
        "complete": False,
        "whole": False,
        "detail": "Two\nlines.",
        "stop_reason": None,
        "last_seq": 3,
        "model": "m",
        "request_id": None,
        "usage": {
            "status": "partial",
            "characters": 5,
            "input_tokens": 12,
            "output_tokens_at_least": 1,
        },
        "timings": {
            "connect_s": 0.1,
            "first_content_s": None,
            "total_s": 2.5,
            "longest_gap_s": 0.0,
        },
        "retryable": True,
        "retry_after_s": None,
        "open": [{"index": 1, "type": "tool_use", "id": "toolu_1", "name": "get_weather"}],
        "resumable": True,
    }


def test_a_receipt_comes_back_from_its_json_as_it_was():
    receipt = ended(EndReason.TRUNCATED, open=(OpenBlock(0, "text"),)).receipt
    assert msgspec.json.decode(receipt.to_json(), type=Receipt) == receipt


def test_the_usage_statuses_are_spelled_so():
    assert [str(status) for status in UsageStatus] == ["final", "partial", "unknown"]


# usage, its JSON. What is not known is left out; an explicit 0 is known.
USAGES = [
    (Usage(UsageStatus.UNKNOWN, 0), {"status": "unknown", "characters": 0}),
    (
        Usage(UsageStatus.FINAL, 0, input_tokens=0, output_tokens=0),
        {"status": "final", "characters": 0, "input_tokens": 0, "output_tokens": 0},
    ),
    (
        Usage(UsageStatus.PARTIAL, 0, output_tokens_at_least=0, cache_read_input_tokens=0),
        {
            "status": "partial",
            "characters": 0,
            "output_tokens_at_least": 0,
            "cache_read_input_tokens": 0,
        },
    ),
]


@pytest.mark.parametrize(("usage", "json"), USAGES)
def test_an_explicit_zero_is_written_and_an_unknown_count_is_not(usage, json):
    assert msgspec.to_builtins(usage) == json


@pytest.mark.parametrize("reason", EndReason)
def test_a_terminal_has_the_reason_of_its_receipt(reason):
    assert ended(reason).reason is reason


@pytest.mark.parametrize("reason", EndReason)
def test_without_a_refusal_the_status_is_the_tables(reason):
    assert ended(reason).status == ENDINGS[reason].status


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_a_refusals_status_is_passed_on(status):
    refusal = Refusal(status, {"type": "x", "message": "y"})
    assert ended(EndReason.UPSTREAM_ERROR, refusal=refusal).status == status


def seal(reason: str) -> str:
    return f" [finalstop: {reason}; see {ENDINGS_PAGE}#{reason}]"


# reason, refusal, detail, the error object
ERRORS = [
    (
        EndReason.TRUNCATED, None, "The body ended.",
        {"type": "api_error",
         "message": f"{ENDINGS[EndReason.TRUNCATED].says} The body ended." + seal("truncated")},
    ),
    (
        EndReason.STOPPED, None, "",
        {"type": "conflict_error", "message": ENDINGS[EndReason.STOPPED].says + seal("stopped")},
    ),
    (
        EndReason.UPSTREAM_ERROR,
        Refusal(400, {"type": "invalid_request_error", "message": "No.", "details": {"a": 1}}),
        "The upstream answered 400.",
        {"type": "invalid_request_error", "details": {"a": 1},
         "message": "No." + seal("upstream_error")},
    ),
    (
        EndReason.UPSTREAM_ERROR, Refusal(529, {"type": "overloaded_error", "message": ""}),
        "The upstream answered 529.",
        {"type": "overloaded_error",
         "message": "The upstream answered with an error. The upstream answered 529."
         + seal("upstream_error")},
    ),
    (
        EndReason.UPSTREAM_ERROR, Refusal(500, {"type": "api_error"}), "",
        {"type": "api_error",
         "message": "The upstream answered with an error." + seal("upstream_error")},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "refusal", "detail", "error"), ERRORS)
def test_an_error_keeps_what_the_upstream_said_and_names_the_reason(reason, refusal, detail, error):
    assert ended(reason, detail=detail, refusal=refusal).error == error


def test_making_an_error_leaves_the_refusal_as_it_was():
    body = {"type": "api_error", "message": "No."}
    terminal = ended(EndReason.UPSTREAM_ERROR, refusal=Refusal(500, body))
    assert terminal.error == terminal.error
    assert body == {"type": "api_error", "message": "No."}
