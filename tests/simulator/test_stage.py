"""The stage: frames as the API writes them, and the cut at each phase."""

import json

import pytest

from finalstop.simulator.answers import Ask
from finalstop.simulator.catalogue import Phase
from finalstop.simulator.forms import STYLES
from finalstop.simulator.moves import Begin, Close, Finish, Framing, Say, Wait
from finalstop.simulator.script import ScriptError, parse_script
from finalstop.simulator.stage import Style, api_headers, plain_stage, set_stage

EVENT: dict[str, object] = {"type": "ping", "n": [1, 2]}


def staged(spec, *, stream=True, pace_ms=0):
    ask = Ask(stream=stream)
    return set_stage(parse_script(spec), ask, "req_1", style=Style(), pace_ms=pace_ms)


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("", b'event: ping\ndata: {"type":"ping","n":[1,2]}\n\n'),
        ("crlf", b'event: ping\r\ndata: {"type":"ping","n":[1,2]}\r\n\r\n'),
        ("cr-only", b'event: ping\rdata: {"type":"ping","n":[1,2]}\r\r'),
        ("no-space", b'event:ping\ndata:{"type":"ping","n":[1,2]}\n\n'),
        ("no-event-names", b'data: {"type":"ping","n":[1,2]}\n\n'),
        (
            "multi-line-data",
            b'event: ping\ndata: {\ndata: "type":"ping",\ndata: "n":[1,2]\ndata: }\n\n',
        ),
        (
            "extra-fields",
            b": a comment\nid: 7\nretry: 3000\nevent: ping\nflavour: salt\nlonely\n%b"
            % b'data: {"type":"ping","n":[1,2]}\n\n',
        ),
    ],
)
def test_a_style_writes_an_event_its_own_way(name, frame):
    assert STYLES.get(name, Style()).frame(EVENT) == frame


def said(moves):
    return [json.loads(m.data.split(b"data: ")[1])["type"] for m in moves if isinstance(m, Say)]


@pytest.mark.parametrize(
    ("spec", "last_before", "first_after"),
    [
        ("stall@after-head", None, "message_start"),
        ("stall@before-first-delta", "ping", "content_block_delta"),
        ("stall@mid-text", "content_block_delta", "content_block_delta"),
        ("stall@mid-thinking", "content_block_delta", "content_block_delta"),
        ("stall@mid-tool-json", "content_block_delta", "content_block_delta"),
        ("stall@before-message-stop", "message_delta", "message_stop"),
    ],
)
def test_each_phase_cuts_where_its_name_says(spec, last_before, first_after):
    stage = staged(spec)
    assert (said(stage.before) or [None])[-1] == last_before
    assert said(stage.after)[0] == first_after
    assert said(stage.before) + said(stage.after) == [e["type"] for e in stage.events]
    assert stage.next_event["type"] == first_after


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        ("stall@mid-text,answer=no-content", "mid-text"),
        ("stall@mid-thinking,answer=text", "mid-thinking"),
        ("stall@mid-tool-json,answer=text", "mid-tool-json"),
        ("stall@before-first-delta,answer=empty-text", "before-first-delta"),
        ("stall@mid-text,words=1", "mid-text"),
    ],
)
def test_a_phase_that_the_answer_does_not_have_is_refused(spec, missing):
    with pytest.raises(ScriptError, match=f"has no {missing}; name another"):
        staged(spec)


def test_pace_is_a_wait_after_each_delta_and_nowhere_else():
    stage = staged("text,words=20", pace_ms=30)
    waits = [move for move in stage.after if isinstance(move, Wait)]
    deltas = [event for event in stage.events if event["type"] == "content_block_delta"]
    assert waits == [Wait(0.03)] * len(deltas)


def test_an_answer_that_is_no_stream_is_cut_in_its_middle():
    stage = staged("stall@mid-thinking", stream=False)
    (first,), (second,) = stage.before, stage.after
    assert json.loads(first.data + second.data) == stage.message
    assert stage.head.framing is Framing.CHUNKED
    assert stage.next_event is None


def test_a_whole_answer_that_is_no_stream_states_its_length():
    stage = plain_stage(parse_script("text"), {"input_tokens": 3}, "req_1")
    *_, say, finish = stage.onward()
    assert (say, finish) == (Say(b'{"input_tokens":3}'), Finish())
    assert (stage.head.framing, stage.head.length) == (Framing.LENGTH, 18)


def test_responses_carry_what_the_api_puts_onto_all_of_them():
    headers = dict(api_headers("req_9"))
    assert headers["request-id"] == "req_9"
    assert "anthropic-organization-id" in headers
    assert headers["anthropic-ratelimit-output-tokens-reset"].endswith("Z")
    assert len([name for name in headers if name.startswith("anthropic-ratelimit-")]) == 12


def test_before_the_head_nothing_is_begun_and_onward_begins_late():
    stage = staged("stall@before-head")
    assert stage.script.phase is Phase.BEFORE_HEAD
    assert list(stage.cut([Wait(1)])) == [Wait(1)]
    kinds = [type(move).__name__ for move in stage.onward([Wait(1)])]
    assert kinds[:3] == ["Wait", "Begin", "Say"]


def test_a_stage_can_be_told_in_five_ways():
    stage = staged("fin@before-message-stop,words=4,pace_ms=2")
    healthy = [event["type"] for event in stage.events]
    note = stage.frame(EVENT)
    assert said(stage.cut([note])) == [*healthy[:-1], "ping"]
    assert said(stage.onward([note])) == [*healthy[:-1], "ping", "message_stop"]
    assert said(stage.instead(note)) == [*healthy[:-1], "ping"]
    assert said(stage.headed(stage.head, [note])) == [*healthy, "ping"]
    assert said(stage.retold([EVENT])) == ["ping"]
    for moves in (stage.onward(), stage.instead(note), stage.headed(stage.head), stage.retold([])):
        first, *_, last = moves
        assert (first, last) == (Begin(stage.head), Finish())


def test_a_stage_knows_how_long_to_hang_and_how_often_to_repeat():
    stage = staged("stall,hold_s=7")
    assert stage.hang() == (Wait(7.0), Close())
    assert stage.repeat_s == 0.1
    assert staged("stall,pace_ms=0").repeat_s == 0.001
    assert stage.ping == b'event: ping\ndata: {"type":"ping"}\n\n'
    says = [move for move in stage.before + stage.after if isinstance(move, Say)]
    assert stage.body_bytes == sum(len(move.data) for move in says)
