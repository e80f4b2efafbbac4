"""Events: what a view holds, what it leaves to the JSON, and which types have one."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from finalstop.core.events import (
    KNOWN_TYPES,
    LEAN_NESTING_MAX,
    SHORT_BYTES,
    Block,
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    Entry,
    Event,
    Known,
    MessageDelta,
    MessageHead,
    MessageStart,
    MessageStop,
    Ping,
    StopView,
    Unknown,
    UpstreamError,
    UsageView,
    delta_of,
    is_lean,
    together,
)
from tests import builders as b

# event, the view of it
VIEWS = [
    (b.message_start(), MessageStart(MessageHead("msg_1", b.MODEL, UsageView(12, 1)))),
    (b.message_start(model="m", usage=None), MessageStart(MessageHead("msg_1", "m"))),
    (b.text_start(3), BlockStart(3, Block("text", text=""))),
    (b.tool_start(1), BlockStart(1, Block("tool_use", "toolu_1", "get_weather"))),
    (b.block_start(0, "container_upload", x=[]), BlockStart(0, Block("container_upload"))),
    (b.block_start(0, "not_yet_invented"), BlockStart(0, Block("not_yet_invented"))),
    (b.text_delta("hé"), BlockDelta(0, Delta("text_delta", text="hé"))),
    (b.thinking_delta("hm", 2), BlockDelta(2, Delta("thinking_delta", thinking="hm"))),
    (b.input_json_delta('{"a'), BlockDelta(0, Delta("input_json_delta", partial_json='{"a'))),
    (b.signature_delta(), BlockDelta(0, Delta("signature_delta"))),
    (b.citations_delta(), BlockDelta(0, Delta("citations_delta"))),
    (b.block_delta(0, "not_yet_invented", x=1), BlockDelta(0, Delta("not_yet_invented"))),
    (b.block_stop(4), BlockStop(4)),
    (b.message_delta(None), MessageDelta(StopView(), UsageView(output_tokens=7))),
    (b.message_delta("refusal", usage=None), MessageDelta(StopView("refusal"))),
    (b.message_stop(), MessageStop()),
    (b.ping(), Ping()),
    (b.error(request_id="req_1"), UpstreamError(b.OVERLOADED, "req_1")),
    (b.unknown("heartbeat", n=1), Unknown("heartbeat")),
]  # fmt: skip


@pytest.mark.parametrize(("event", "view"), VIEWS, ids=lambda it: getattr(it, "type", ""))
def test_a_view_holds_what_a_relay_decides_by(event, view):
    assert event.payload == view


@pytest.mark.parametrize("event", [event for event, _ in VIEWS], ids=lambda it: it.type)
def test_the_type_of_an_event_is_the_type_in_its_json(event):
    assert msgspec.json.decode(event.json)["type"] == event.type


def test_what_a_view_leaves_out_is_still_in_the_json():
    event = b.block_delta(0, "text_delta", text="x", surprise={"deep": [1]})
    assert b'"surprise":{"deep":[1]}' in event.json


def test_every_view_has_its_type_among_the_known_ones():
    tags = {view.__struct_config__.tag for view in get_args(Known)}
    assert tags == KNOWN_TYPES


def test_each_known_type_is_shown_above():
    assert {event.type for event, _ in VIEWS} >= KNOWN_TYPES


# A known type of the wrong shape; the JSON path that the refusal must name.
WRONG_SHAPES = [
    ({"type": "message_start"}, "message"),
    ({"type": "content_block_start", "index": 0}, "content_block"),
    ({"type": "content_block_start", "index": 0, "content_block": {}}, "type"),
    ({"type": "content_block_delta", "index": "0", "delta": {"type": "text_delta"}}, "index"),
    ({"type": "content_block_stop"}, "index"),
    ({"type": "message_delta", "delta": {"stop_reason": 1}}, "stop_reason"),
    ({"type": "error", "error": "Overloaded"}, "error"),
]


@pytest.mark.parametrize(("body", "path"), WRONG_SHAPES)
def test_a_known_type_of_the_wrong_shape_has_no_view(body, path):
    with pytest.raises(msgspec.ValidationError, match=path):
        b.event(body)


@pytest.mark.parametrize("view", [view for _, view in VIEWS], ids=lambda it: type(it).__name__)
def test_facts_are_frozen(view):
    with pytest.raises(AttributeError, match="immutable"):
        view.type = "other"


def test_an_event_is_the_same_fact_when_its_parts_are():
    assert Event("ping", Ping(), b'{"type":"ping"}') == b.ping()
    assert Event("ping", Ping(), b'{"type": "ping"}') != b.ping()


@pytest.mark.parametrize("text", ["", "Hi", "a\nb", "\u4e16\U0001f30a"])
def test_what_is_lean_is_had_again_from_its_json(text):
    delta = b.text_delta(text)
    assert delta.lean
    assert delta_of(delta.json) == delta


def nested(depth: int) -> Event:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return b.event({"type": "content_block_delta", "index": 0, "delta": {"type": "x"}, "y": inner})


WORD, TOKEN = b.text_delta("The sea "), b.thinking_delta("hm", 1)
PING, LONG, DEEP = b.ping(), b.text_delta("x" * 9_000), nested(LEAN_NESTING_MAX)


# JSON as far as it counts: how long it is, what it nests, and whether it is one line
LEAN = [
    (b"[" * SHORT_BYTES, True),
    (b"[" * (SHORT_BYTES + 1), False),
    (b"{" * (SHORT_BYTES + 1), False),
    (b"[" * LEAN_NESTING_MAX + b"x" * SHORT_BYTES, True),
    (b"[" * (LEAN_NESTING_MAX - 1) + b"{" + b"x" * SHORT_BYTES, True),
    (b"[" * LEAN_NESTING_MAX + b"{" + b"x" * SHORT_BYTES, False),
    (b"x" * 10_000, True),
    (b"[\n]", False),
    (b"x" * 10_000 + b"\n", False),
]


@pytest.mark.parametrize(("json", "lean"), LEAN)
def test_a_delta_is_lean_up_to_a_depth_that_can_be_read_from_anywhere(json, lean):
    assert is_lean(json) is lean


def test_deltas_are_their_events_in_order():
    events = [WORD, TOKEN, b.text_delta("is né")]
    assert b.together(*events).events() == events


@pytest.mark.parametrize(
    ("events", "facts"),
    [
        ([], []),
        ([PING], [PING]),
        ([WORD], [b.together(WORD)]),
        ([WORD, TOKEN, WORD], [b.together(WORD, TOKEN, WORD)]),
        ([PING, PING, WORD, WORD], [PING, PING, b.together(WORD, WORD)]),
        ([WORD, LONG, DEEP, WORD, PING], [b.together(WORD, LONG), DEEP, b.together(WORD), PING]),
    ],
)
def test_events_come_together_where_they_are_lean(events, facts):
    assert together(events) == facts


def test_an_entry_of_deltas_stands_under_the_number_of_its_first():
    hi = b.text_delta("Hi")
    assert Entry(1, 7, hi).last == 7
    assert Entry(1, 7, b.together(hi)).last == 7
    assert Entry(1, 7, b.together(hi, hi, hi)).last == 9
