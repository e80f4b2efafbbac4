"""Answers: the events and the Message are the same thing, told twice."""

import json
import re

import pytest

from finalstop.simulator.answers import Ask, answer, compact, delta_event, delta_kind
from finalstop.simulator.catalogue import Kind, names
from finalstop.simulator.script import parse_script

ANSWERS = names(Kind.ANSWER)
DELTAS = {
    "text_delta", "input_json_delta", "citations_delta", "thinking_delta", "signature_delta",
    "compaction_delta", "hologram_delta",
}  # fmt: skip
EVENTS = {
    "message_start", "content_block_start", "content_block_delta", "content_block_stop",
    "message_delta", "message_stop", "ping", "message_note",
}  # fmt: skip


def answered(spec, **ask):
    return answer(parse_script(spec), Ask(**ask))


def accumulate(events):
    """A reader of our own, as plain as can be: events to Message."""
    message: dict = {}
    texts: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = json.loads(json.dumps(event["message"]))
            case "content_block_start":
                message["content"].append(json.loads(json.dumps(event["content_block"])))
            case "content_block_delta":
                block = message["content"][event["index"]]
                kind, (_, field) = delta_kind(event), event["delta"]
                value = event["delta"][field]
                if kind == "input_json_delta":
                    texts[event["index"]] = texts.get(event["index"], "") + value
                elif kind == "citations_delta":
                    block["citations"].append(value)
                elif kind in {"text_delta", "thinking_delta"}:
                    block[field] += value
                elif kind in {"signature_delta", "compaction_delta"}:
                    block[field] = value
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case _:
                pass
    for index, text in texts.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


@pytest.mark.parametrize("name", [n for n in ANSWERS if n != "max-tokens-tool"])
def test_accumulated_events_are_the_message(name):
    told = answered(name)
    assert accumulate(told.events) == told.message


def test_a_tool_call_that_ran_out_of_tokens_is_broken_json():
    told = answered("max-tokens-tool")
    pieces = [e["delta"]["partial_json"] for e in told.events if delta_kind(e)]
    with pytest.raises(ValueError, match="Expecting"):
        json.loads("".join(pieces))
    assert list(told.message["content"][0]["input"]) == ["place"]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_in_order(name):
    events = answered(name).events
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] in (["message_delta", "message_stop"], ["message_note", "message_stop"])
    open_blocks: list[int] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert not open_blocks
            open_blocks = [event["index"]]
        if event["type"] == "content_block_delta":
            assert open_blocks == [event["index"]]
        if event["type"] == "content_block_stop":
            assert open_blocks.pop() == event["index"]
    assert not open_blocks


def test_every_event_and_every_delta_is_said_by_some_answer():
    events = [event for name in ANSWERS for event in answered(name).events]
    assert {event["type"] for event in events} == EVENTS
    assert {delta_kind(event) for event in events} - {""} == DELTAS


def test_the_count_in_message_start_is_a_placeholder_and_the_last_one_is_not():
    told = answered("text")
    assert told.events[0]["message"]["usage"]["output_tokens"] == 1
    assert told.events[-2]["usage"]["output_tokens"] > 200
    assert told.events[-2]["usage"] | {"service_tier": "standard"} == told.message["usage"]


def test_the_same_seed_is_the_same_answer_and_another_is_not():
    assert answered("thinking,seed=5") == answered("thinking,seed=5")
    assert answered("thinking,seed=5") != answered("thinking,seed=6")


def test_the_request_shows_in_the_answer():
    message = answered("text", model="claude-x", input_tokens=77).message
    assert message["model"] == "claude-x"
    assert message["usage"]["input_tokens"] == 77


def test_tool_json_is_split_inside_escapes():
    deltas = (e for e in answered("tools").events if delta_kind(e) == "input_json_delta")
    pieces = [delta["delta"]["partial_json"] for delta in deltas]
    assert [piece for piece in pieces if re.search(r"\\u[0-9a-f]{0,3}$", piece)]


def test_json_is_compact_and_keeps_its_characters():
    assert compact(delta_event(0, "text_delta", "text", "\u00e9\u2028")) == (
        '{"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"\u00e9\u2028"}}'
    )


def test_what_is_no_delta_has_no_delta_kind():
    assert delta_kind({"type": "message_delta", "delta": {"type": "x"}}) == ""
    assert delta_kind({"type": "content_block_delta"}) == ""
