"""The account: what is known of the cost at any moment, and never more (invariant I8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from finalstop.core.account import Account, characters_of, opening_characters_of
from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    Event,
    MessageDelta,
    MessageHead,
    MessageStart,
    StopView,
    UsageView,
)
from finalstop.core.receipt import Usage, UsageStatus
from tests import builders as b

FINAL, PARTIAL, UNKNOWN = UsageStatus.FINAL, UsageStatus.PARTIAL, UsageStatus.UNKNOWN


def usage_of(events: Sequence[Event]) -> Usage:
    return account_of(events).usage(characters_in(events))


def account_of(events: Sequence[Event]) -> Account:
    account = Account()
    for event in events:
        match event.payload:
            case MessageStart(message=message):
                account = account.began(message)
            case MessageDelta() as report:
                account = account.reported(report)
            case BlockStart() | BlockDelta():
                pass
            case other:
                raise AssertionError(other)
    return account


def characters_in(events: Sequence[Event]) -> int:
    characters = 0
    for event in events:
        match event.payload:
            case BlockStart(content_block=block):
                characters += opening_characters_of(block)
            case BlockDelta() as delta:
                characters += characters_of([delta])
            case _:
                pass
    return characters


def counts(output_tokens: int | None, **others: int) -> dict[str, Any]:
    return {"output_tokens": output_tokens, **others}


START = b.message_start()  # states 12 in, and the placeholder 1 out

# what was said, the usage then
USAGES = [
    # nothing was stated
    ([], Usage(UNKNOWN, 0)),
    ([b.message_start(usage=None)], Usage(UNKNOWN, 0)),
    ([b.message_start(usage=None), b.text_delta("four")], Usage(UNKNOWN, 4)),
    ([b.message_start(usage=None), b.message_delta(usage=None)], Usage(UNKNOWN, 0)),
    # the output count of message_start is a placeholder, whatever it says
    ([START], Usage(PARTIAL, 0, 12, output_tokens_at_least=0)),
    ([b.message_start(usage=counts(99))], Usage(PARTIAL, 0, output_tokens_at_least=0)),
    ([START, b.text_delta("a")], Usage(PARTIAL, 1, 12, output_tokens_at_least=1)),
    ([START, b.signature_delta()], Usage(PARTIAL, 0, 12, output_tokens_at_least=0)),
    # cumulative, but not yet the whole
    ([START, b.message_delta(None)], Usage(PARTIAL, 0, 12, output_tokens_at_least=7)),
    ([START, b.message_delta(None, usage=counts(3)), b.message_delta(None, usage=counts(9))],
     Usage(PARTIAL, 0, 12, output_tokens_at_least=9)),
    # the stop reason alone is no bill
    ([START, b.message_delta(usage=None)], Usage(PARTIAL, 0, 12, output_tokens_at_least=0)),
    ([START, b.message_delta(usage=counts(None))], Usage(PARTIAL, 0, 12, output_tokens_at_least=0)),
    # a count that came before the stop reason may not be the last one
    ([START, b.message_delta(None), b.message_delta(usage=None)],
     Usage(PARTIAL, 0, 12, output_tokens_at_least=7)),
    # both: the bill
    ([START, b.message_delta()], Usage(FINAL, 0, 12, 7)),
    ([b.message_start(usage=None), b.message_delta()], Usage(FINAL, 0, None, 7)),
    ([START, b.message_delta(usage=None), b.message_delta(None)], Usage(FINAL, 0, 12, 7)),
    ([START, b.message_delta(), b.message_delta(None, usage=counts(8))], Usage(FINAL, 0, 12, 8)),
    ([START, b.message_delta(), b.message_delta(usage=None)], Usage(FINAL, 0, 12, 7)),
    ([START, b.message_delta(), b.message_delta(usage=counts(None))], Usage(FINAL, 0, 12, 7)),
    # an explicit 0 stays 0, also where content says otherwise
    ([START, b.text_delta("a"), b.message_delta(usage=counts(0))], Usage(FINAL, 1, 12, 0)),
    ([START, b.text_delta("a"), b.message_delta(None, usage=counts(0))],
     Usage(PARTIAL, 1, 12, output_tokens_at_least=0)),
    ([START, b.message_delta(usage=counts(7, input_tokens=0))], Usage(FINAL, 0, 0, 7)),
    # what is stated later stands; what it leaves out stands as stated earlier
    ([b.message_start(usage=counts(1, input_tokens=12, cache_read_input_tokens=5,
                                   cache_creation_input_tokens=6)), b.message_delta()],
     Usage(FINAL, 0, 12, 7, None, 6, 5)),
    ([b.message_start(usage=counts(1, input_tokens=12, cache_read_input_tokens=5,
                                   cache_creation_input_tokens=6)),
      b.message_delta(usage=counts(7, input_tokens=20, cache_read_input_tokens=0))],
     Usage(FINAL, 0, 20, 7, None, 6, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("said", "usage"), USAGES)
def test_usage_says_what_was_stated_and_how_sure_that_is(said, usage):
    assert usage_of(said) == usage


def test_a_statement_makes_a_new_account_and_leaves_the_old_one():
    began = account_of([START])
    before = began.usage(1)
    later = began.reported(MessageDelta(StopView("end_turn"), UsageView(output_tokens=9)))
    again = later.began(MessageHead("other", "model"))
    assert began.usage(1) == before != later.usage(1)
    assert (began.model, again.model) != (again.model, began.model)


# an event, the characters it brings
CHARACTERS = [
    (b.text_start(), 0),
    (b.text_start(0, "Hi"), 2),
    (b.thinking_start(), 0),
    (b.tool_start(), 0),
    (b.block_start(0, "not_yet_invented"), 0),
    (b.text_delta("The sea"), 7),
    (b.text_delta(""), 0),
    (b.text_delta("né 🌊"), 4),  # characters, not bytes
    (b.thinking_delta("hm"), 2),
    (b.input_json_delta('{"a":'), 5),
    (b.signature_delta(), 0),
    (b.citations_delta(), 0),
    (b.block_delta(0, "not_yet_invented", words="many"), 0),
]


@pytest.mark.parametrize(("event", "characters"), CHARACTERS)
def test_text_thinking_and_tool_input_are_counted_in_characters(event, characters):
    assert characters_in([event]) == characters
    assert characters_in([event, event]) == 2 * characters


def test_the_characters_of_several_deltas_are_those_of_each():
    views = b.together(b.text_delta("né"), b.thinking_delta("hm"), b.input_json_delta("{}")).views
    assert characters_of(views) == sum(characters_of([view]) for view in views) == 6


# reports, the stop reason then
STOPS = [
    ([], None),
    ([b.message_delta(None)], None),
    ([b.message_delta("max_tokens")], "max_tokens"),
    ([b.message_delta("tool_use"), b.message_delta(None)], "tool_use"),
    ([b.message_delta("tool_use"), b.message_delta("end_turn")], "end_turn"),
    ([b.message_delta("not_yet_invented")], "not_yet_invented"),
]


@pytest.mark.parametrize(("reports", "stop_reason"), STOPS)
def test_the_stop_reason_is_the_models_last_word(reports, stop_reason):
    assert account_of(reports).stop_reason == stop_reason


@pytest.mark.parametrize(("named", "model"), [("claude-haiku-5-5", "claude-haiku-5-5"), ("", None)])
def test_the_model_is_as_the_upstream_names_it(named, model):
    assert account_of([b.message_start(model=named)]).model == model
