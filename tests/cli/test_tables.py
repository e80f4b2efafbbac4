"""What a terminal shows: settings, receipts, and a model's text without orders in it."""

from __future__ import annotations

import sys

import msgspec
import pytest

from finalstop.cli.tables import print_receipt, print_settings, printable, settings_json
from finalstop.core.endings import EndReason, Party
from finalstop.core.receipt import Receipt, Timings, Usage, UsageStatus
from finalstop.gateway.config import Row

COMPLETE = Receipt(
    stream="s",
    reason=EndReason.COMPLETE,
    party=Party.MODEL,
    complete=True,
    whole=True,
    detail="",
    stop_reason="end_turn",
    last_seq=9,
    model="claude-x",
    request_id="req_1",
    usage=Usage(UsageStatus.FINAL, 100, input_tokens=5, output_tokens=25),
    timings=Timings(0.1, 0.25, 2.0, 0.5),
    retryable=False,
    retry_after_s=None,
)
CUT = msgspec.structs.replace(
    COMPLETE,
    reason=EndReason.TRUNCATED,
    party=Party.UPSTREAM,
    complete=False,
    detail="reset \x1b[2Jby peer",
    stop_reason=None,
    model=None,
    request_id=None,
    usage=Usage(UsageStatus.PARTIAL, 7, output_tokens_at_least=3),
    timings=Timings(None, None, 1.0, 0.0),
    retryable=True,
)

# receipt -> its lines, spaces folded
RECEIPTS = [
    (COMPLETE, [
        "ended complete (model)", "stop reason end_turn", "model claude-x",
        "usage final, 5 tokens in, 25 tokens out, 100 characters", "first content 0.25 s",
        "total 2.00 s, longest gap 0.50 s", "request id req_1",
    ]),
    (CUT, [
        "ended truncated (upstream)", "detail reset [2Jby peer", "model unknown",
        "usage partial, at least 3 tokens out, 7 characters", "total 1.00 s, longest gap 0.00 s",
        "retryable yes",
    ]),
]  # fmt: skip


def folded(text):
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(("receipt", "lines"), RECEIPTS)
def test_a_receipt_goes_to_standard_error(receipt, lines, capsys):
    print_receipt(receipt)
    shown = capsys.readouterr()
    assert folded(shown.err) == lines
    assert shown.out == ""


RETRIES = [(False, None, "no"), (True, None, "yes"), (True, 2.5, "yes, after 2.5 s")]


@pytest.mark.parametrize(("retryable", "after_s", "said"), RETRIES)
def test_a_receipt_says_whether_a_retry_may_help(retryable, after_s, said, capsys):
    receipt = msgspec.structs.replace(CUT, retryable=retryable, retry_after_s=after_s)
    print_receipt(receipt)
    assert folded(capsys.readouterr().err)[-1] == f"retryable {said}"


VALUES = [
    (None, "-"), ((), "-"), (("a", "b"), "a, b"), (True, "true"), (5.0, "5"), (0.25, "0.25"),
    (16777216, "16777216"), ("[bold]x", "[bold]x"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "shown"), VALUES)
def test_a_value_is_shown_as_it_is_written(value, shown, capsys):
    print_settings([Row("name", value, "default", "why " * 30)])
    lines = folded(capsys.readouterr().out)
    assert lines == ["setting value source why", f"name {shown} default {'why ' * 30}".strip()]


def test_settings_are_json_for_programs():
    rows = [Row("a", (), "default", "why"), Row("b", 1.5, "x", "y")]
    assert msgspec.json.decode(settings_json(rows), type=list[Row]) == [
        Row("a", [], "default", "why"),
        Row("b", 1.5, "x", "y"),
    ]


# text,                                 on a terminal
TEXTS = [
    ("plain\ttext\n", "plain\ttext\n"),
    ("caf\u00e9 \U0001f30a \u2028", "caf\u00e9 \U0001f30a \u2028"),
    ("\x1b]0;title\x07", "]0;title"),
    ("\x1b[2J\x1b[H", "[2J[H"),
    ("over\rwrite\b", "overwrite"),
    ("\x9b31m\x7f\x00", "31m"),
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_a_terminal_takes_no_orders_from_a_model(text, shown, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert printable(text) == shown


@pytest.mark.parametrize(("text", "_shown"), TEXTS)
def test_a_file_gets_every_character(text, _shown):
    assert printable(text, is_terminal=False) == text
