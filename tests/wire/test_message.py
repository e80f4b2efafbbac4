"""The final Message. Goal: equal to what the official SDK makes of the same bytes; nothing lost.

Method: both read the corpus; rows for what the SDK drops or refuses, and for tool inputs that are
cut anywhere, where the SDK's own JSON reader is the judge.
"""

from __future__ import annotations

import jiter
import msgspec
import pytest

from finalstop.core.events import Event, Unknown
from finalstop.simulator.answers import Ask, answer
from finalstop.simulator.recipes import RECIPES
from finalstop.simulator.script import parse_script
from finalstop.wire.message import CLOSING_TOKENS_MAX, MessageAccumulator
from tests.builders import (
    block_delta,
    block_start,
    block_stop,
    citations_delta,
    error,
    event,
    input_json_delta,
    message_delta,
    message_start,
    message_stop,
    ping,
    signature_delta,
    text_delta,
    text_start,
    thinking_delta,
    thinking_start,
    tool_start,
    unknown,
)
from tests.wire.sdk import final_message, stated
from tests.wire.transcripts import ANSWERS, CORPUS, events_of


def accumulated(events):
    total = MessageAccumulator()
    for one in events:
        total.add(one)
    return total


def content_of(*events):
    return accumulated([message_start(), *events]).message()["content"]


# --- against the official SDK ----------------------------------------------------------------

# Bodies that the SDK reads otherwise than they are meant, and how.
SDK_DIFFERS = {
    "nulls": "it drops events whose `event:` field is missing or wrong",
    "half-pairs": "it keeps halves of surrogate pairs, which no UTF-8 can carry",
}
COMPARED = [name for name in ANSWERS if name not in SDK_DIFFERS]


@pytest.mark.slow  # the SDK builds its models when it first meets them
@pytest.mark.parametrize("name", COMPARED)
def test_the_message_is_the_one_that_the_official_beta_client_accumulates(name):
    ours = accumulated(events_of(CORPUS[name])).message()
    expected = final_message(CORPUS[name], beta=True)
    assert stated(ours) == with_late_unknowns(name, stated(expected))


@pytest.mark.slow  # the same
@pytest.mark.parametrize("name", [name for name in COMPARED if not name.startswith("beta-")])
def test_the_message_is_the_one_that_the_official_client_accumulates(name):
    ours = accumulated(events_of(CORPUS[name])).message()
    expected = final_message(CORPUS[name], beta=False)
    assert stated(ours) == with_late_unknowns(name, stated(expected))


def with_late_unknowns(name, message):
    """Add the one count in the corpus that the SDK does not know and therefore drops."""
    if name == "unknown-block":
        message["usage"]["photons"] = 12
    return message


def test_the_differences_from_the_sdk_are_what_they_are_said_to_be():
    loose, halves = (accumulated(events_of(CORPUS[name])).message() for name in SDK_DIFFERS)
    assert [block["text"] for block in loose["content"]] == ["Loose."]
    assert (loose["stop_reason"], loose["usage"]["output_tokens"]) == ("end_turn", 1)
    assert [block["text"] for block in halves["content"]] == ["salt �� 🧂 \\ud83e"]


@pytest.mark.slow  # one of them is long
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_simulators_events_add_up_to_the_message_it_answers_without_streaming(recipe):
    script = parse_script(f"text,answer={recipe},seed=3")
    expected = answer(script, Ask(prompt="Why is the sea salty?"))
    message = dict(expected.message)
    if recipe == "beta-blocks":
        message["model"] = "claude-opus-5"  # the fallback's: it is the one that answered
    bodies = (msgspec.json.encode(one) for one in expected.events)
    total = accumulated(events_of(b"".join(b"data: " + body + b"\n\n" for body in bodies)))
    if recipe == "unknown-events":
        assert total.unknown == "content_block_delta.delta.type=hologram_delta"
    else:
        assert (total.unknown, stated(total.message())) == (None, stated(message))


# --- at any moment ---------------------------------------------------------------------------


def test_before_message_start_there_is_no_message():
    assert accumulated([unknown()]).message() == {}


def test_the_message_can_be_asked_for_after_every_event_and_asking_changes_nothing():
    events = events_of(CORPUS["tool-use"])
    asked = MessageAccumulator()
    for one in events:
        asked.add(one)
        asked.message()
        asked.broken_inputs()
    assert asked.message() == asked.message() == accumulated(events).message()


def test_a_message_once_given_does_not_grow():
    total = accumulated([message_start(), text_start(), text_delta("Salt")])
    early = total.message()
    for one in (text_delta("water"), citations_delta(), message_delta()):
        total.add(one)
    assert early["content"] == [{"type": "text", "text": "Salt"}]
    assert early["usage"] == {"input_tokens": 12, "output_tokens": 1}
    assert early["stop_reason"] is None


# --- blocks ----------------------------------------------------------------------------------

CITATION = {"type": "char_location", "cited_text": "salt", "document_index": 0}

# events after message_start,                                   the content
BLOCKS = [
    ([text_start(text="Sa"), text_delta("lt"), text_delta("")], [{"type": "text", "text": "Salt"}]),
    ([block_start(text=None), text_delta("x")], [{"type": "text", "text": "x"}]),
    ([block_start(), text_delta("x")], [{"type": "text", "text": "x"}]),
    ([block_start(text="x")], [{"type": "text", "text": "x"}]),
    ([text_start(), block_delta(type="text_delta", text=None)], [{"type": "text", "text": ""}]),
    # Indexes skip and alternate; their order is the order of the blocks.
    ([text_start(7, "b"), text_start(2, "a"), text_delta("!", 7), block_stop(2)],
     [{"type": "text", "text": "a"}, {"type": "text", "text": "b!"}]),
    ([thinking_start(), thinking_delta("H"), thinking_delta("m"), signature_delta("1"),
      signature_delta("2")], [{"type": "thinking", "thinking": "Hm", "signature": "2"}]),
    ([block_start(citations=[0]), citations_delta()],
     [{"type": "text", "citations": [0, CITATION]}]),
    ([block_start(citations=None), citations_delta()],
     [{"type": "text", "citations": [CITATION]}]),
    # A delta grows its field whatever its block is.
    ([block_start(type="hologram", beams=[1]), text_delta("x"), thinking_delta("y"),
      input_json_delta("[2]")],
     [{"type": "hologram", "beams": [1], "text": "x", "thinking": "y", "input": [2]}]),
    ([block_start(type="hologram", thinking={"deep": 1}), thinking_delta("y")],
     [{"type": "hologram", "thinking": "y"}]),
    ([block_start(type="compaction", content=None), block_delta(
        type="compaction_delta", content="x", encrypted_content="y", later="z")],
     [{"type": "compaction", "content": "x", "encrypted_content": "y", "later": "z"}]),
    # What says nothing of the message.
    ([ping(), unknown(), error(), message_stop()], []),
]  # fmt: skip


@pytest.mark.parametrize(("events", "content"), BLOCKS)
def test_blocks_grow_by_their_deltas(events, content):
    assert content_of(*events) == content


def test_content_that_a_message_starts_with_stays():
    start = event({"type": "message_start", "message": {"content": [{"type": "text"}, "odd"]}})
    total = accumulated([start, text_start(2, "new")])
    assert total.message() == {"content": [{"type": "text"}, {}, {"type": "text", "text": "new"}]}


# --- unknown deltas --------------------------------------------------------------------------


def test_the_first_thing_that_cannot_be_added_up_is_named():
    total = accumulated([message_start(), text_start(), text_delta("x")])
    assert total.unknown is None
    for type_ in ("foo_delta", "bar_delta"):
        total.add(block_delta(type=type_))
    assert total.unknown == "content_block_delta.delta.type=foo_delta"
    assert total.message()["content"] == [{"type": "text", "text": "x"}]


def test_json_that_only_the_whole_look_finds_unreadable_is_named_and_does_not_raise():
    odd = event({"type": "content_block_start", "index": 0, "content_block": {"type": "x"}})
    huge = Event(odd.type, odd.payload, odd.json.replace(b'"x"', b'"x","size":1e999'))
    total = accumulated([message_start(), huge, text_delta("x")])
    assert total.unknown == "content_block_start: Number out of range - at `$[...][...]`"
    assert total.message()["content"] == [{"text": "x"}]


# --- the stop and the usage ------------------------------------------------------------------


def late(delta, usage=None, **top):
    return event({"type": "message_delta", "delta": delta, "usage": usage, **top})


def test_counts_are_cumulative_and_what_is_left_out_stands():
    first = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4, "new": 1}
    total = accumulated([
        message_start(usage=first),
        late({}, {"output_tokens": 5, "input_tokens": None, "server_tool_use": {"a": 1}}),
        late({}, {"output_tokens": 0, "new": 2}),
        late({}),
    ])  # fmt: skip
    assert total.message()["usage"] == {
        "input_tokens": 9,
        "output_tokens": 0,
        "cache_read_input_tokens": 4,
        "new": 2,
        "server_tool_use": {"a": 1},
    }


def test_usage_may_first_be_stated_at_the_end():
    total = accumulated([message_start(usage=None), message_delta(usage={"output_tokens": 3})])
    assert total.message()["usage"] == {"output_tokens": 3}


def test_a_null_erases_nothing_and_unknown_fields_survive():
    total = accumulated([
        message_start(),
        late({"stop_reason": "refusal", "stop_details": {"type": "refusal"}, "mood": "calm"},
             context_management={"applied_edits": []}, tide={"high": True}),
        late({"stop_reason": None, "stop_details": None, "container": None, "mood": None}),
    ])  # fmt: skip
    message = total.message()
    assert (message["stop_reason"], message["mood"]) == ("refusal", "calm")
    assert (message["stop_details"], message["tide"]) == ({"type": "refusal"}, {"high": True})
    assert message["context_management"] == {"applied_edits": []}
    assert "container" not in message


def test_a_message_delta_cannot_change_who_the_message_is():
    start = message_start()
    total = accumulated([start, late({"id": "x", "role": "x", "content": "x"}, model="x")])
    assert total.message() == accumulated([start]).message()


# --- a tool's input --------------------------------------------------------------------------


def input_of(raw):
    total = accumulated([message_start(), tool_start(), *map(input_json_delta, raw)])
    [block] = total.message()["content"]
    return block["input"], total.broken_inputs()


def test_an_input_comes_in_pieces_cut_anywhere():
    raw = '{"place": "Dead Sea 🧂", "depths_m": [0, 1.5], "deep": {"a": null, "b": true}}'
    assert input_of(raw) == (
        {"place": "Dead Sea 🧂", "depths_m": [0, 1.5], "deep": {"a": None, "b": True}},
        {},
    )


@pytest.mark.parametrize("raw", ["", " ", "\n\t"])
def test_a_tool_without_input_keeps_the_one_it_was_opened_with(raw):
    assert input_of([raw]) == ({}, {})


SAMPLES = [
    '{"a": 1, "b": "x, ]}", "c": [1, 2.5e3, -0.5, {"d": null}], "e": {"f": {"g": [[], {}]}}}',
    '{"a\\"b": "\\u00e9\\\\", "\\ud83e\\uddc2": true, "n": false , "m" : [ "x" , "y" ] }',
    '[{"a": [1, [2, [3, "4"]]]}, "five", 6]',
]


@pytest.mark.parametrize("text", SAMPLES)
def test_an_input_cut_anywhere_holds_what_the_sdk_holds_and_its_text_is_kept(text):
    for end in range(1, len(text)):
        cut = text[:end]
        expected = jiter.from_json(cut.encode(), partial_mode=True)
        assert input_of([cut]) == (expected, {0: cut.strip()}), cut


# Here the SDK raises, and loses the whole answer.
NOT_JSON = ["nul", '"hel', "salt", '{"a":1, x', '{"a":1,}', "]", "{]", '{"a":01}', "{'a':1}"]


@pytest.mark.parametrize("raw", NOT_JSON)
def test_an_input_that_is_not_json_is_handed_on_as_text_and_never_raises(raw):
    with pytest.raises(ValueError, match=r"."):
        jiter.from_json(raw.encode(), partial_mode=True)
    assert input_of([raw]) == ({"INVALID_JSON": raw}, {0: raw})


@pytest.mark.parametrize("raw", ['{"a":1}}', '{"a":1} x', "[1]]"])
def test_what_follows_a_whole_input_is_ignored_as_the_sdk_does_but_its_text_is_kept(raw):
    expected = jiter.from_json(raw.encode(), partial_mode=True)
    assert input_of([raw]) == (expected, {0: raw})


DEEP = ["[" * 30_000, '{"a":' * 30_000, "[" * 30_000 + "]" * 30_000]


@pytest.mark.slow  # long inputs are the subject
@pytest.mark.parametrize("raw", DEEP, ids=["arrays", "objects", "closed"])
def test_an_input_nested_beyond_reason_is_handed_on_as_text(raw):
    assert input_of([raw]) == ({"INVALID_JSON": raw}, {0: raw})


@pytest.mark.slow  # the same
def test_an_input_is_closed_up_to_a_number_of_tokens_and_beyond_it_handed_on_as_text():
    # Two tokens per member, and the bracket.
    fits, exceeds = ("[" + "1," * (CLOSING_TOKENS_MAX // 2 + more) for more in (-1, 0))
    assert input_of([fits]) == ([1] * (CLOSING_TOKENS_MAX // 2 - 1), {0: fits})
    assert input_of([exceeds]) == ({"INVALID_JSON": exceeds}, {0: exceeds})


def test_broken_inputs_are_told_by_their_place_in_the_content():
    total = accumulated([
        message_start(), text_start(3), tool_start(5), tool_start(9),
        input_json_delta("{}", 5), input_json_delta('{"a', 9),
    ])  # fmt: skip
    assert total.broken_inputs() == {2: '{"a'}


def test_an_unknown_event_is_not_an_unknown_delta():
    note = Event("message_note", Unknown("message_note"), b'{"type":"message_note"}')
    assert accumulated([message_start(), note]).unknown is None
