"""Laws of the languages. Goal: what holds for the corpus holds for whatever an upstream may send.

Method: hypothesis makes bytes, JSON that is nearly an event, and answers of any blocks in any
order of pieces; the real lifecycle stands between the decoder and the encoders, as it does in a
relay. The SDK's JSON reader judges tool inputs that are cut off.
"""

from __future__ import annotations

from typing import Any

import jiter
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.core.events import KNOWN_TYPES, Event
from finalstop.wire.anthropic import (
    AnthropicEncoder,
    Malformed,
    decode_deltas,
    decode_event,
    decode_json,
    decode_refusal,
    request_id_of,
)
from finalstop.wire.formats import FORMATS, encoder_for
from finalstop.wire.message import MessageAccumulator
from finalstop.wire.sse import SSEDecoder
from finalstop.wire.text import TextEncoder
from tests.builders import (
    block_delta,
    block_start,
    block_stop,
    message_delta,
    message_start,
    message_stop,
    unknown,
)
from tests.wire.transcripts import frame, frames_of, log_of

# The same examples on every run; a slow machine is no failure.
law = settings(derandomize=True, deadline=None, max_examples=150)

pytestmark = pytest.mark.slow  # hundreds of examples each

text = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)

# --- anything at all -------------------------------------------------------------------------

types = st.sampled_from([*sorted(KNOWN_TYPES), "tide", "", "a\nb"])
part_types = st.sampled_from(
    ["text", "tool_use", "text_delta", "input_json_delta", "citations_delta", "compaction_delta",
     "signature_delta", "thinking_delta", "fallback", "hologram", "end_turn"]
)  # fmt: skip
KEYS = [
    "type", "index", "delta", "content_block", "message", "usage", "error", "text", "id", "model",
    "stop_reason", "output_tokens", "content", "citation", "signature", "partial_json", "input",
    "to",
]  # fmt: skip
near_parts = st.recursive(
    values | st.integers(0, 2) | part_types,
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
near_events = st.builds(
    lambda type_, fields: {**fields, "type": type_},
    types | scalars,
    st.dictionaries(st.sampled_from(KEYS), near_parts, max_size=5),
)
near_json = near_events.map(msgspec.json.encode)
SPOILERS = [b'"', b"\\", b"\xff", b"\\ud83e", b"1e999", b"}", b"null", b"\n"]


@st.composite
def spoiled_json(draw: st.DrawFn) -> bytes:
    """An event's JSON with something put in somewhere."""
    json = draw(near_json)
    at = draw(st.integers(0, len(json)))
    return json[:at] + draw(st.sampled_from(SPOILERS)) + json[at:]


anything = st.binary(max_size=60) | near_json | spoiled_json()


@law
@given(data=anything, event=types)
def test_whatever_a_frame_holds_it_is_an_event_with_these_bytes_or_malformed(data, event):
    decoded = decode_event(frame(data, event))
    if isinstance(decoded, Malformed):
        assert decoded.detail.endswith(".")
    else:
        assert decoded.json == data
        assert (decoded.type in KNOWN_TYPES) == (type(decoded.payload).__name__ != "Unknown")


@law
@given(data=anything)
def test_an_event_that_was_decoded_is_valid_json_to_the_sdks_reader_too(data):
    decoded = decode_event(frame(data))
    if isinstance(decoded, Event) and b"\\ud83e" not in data:
        assert isinstance(jiter.from_json(data), dict)


# Mostly those of a delta, or a whole chunk of them would hardly ever come up.
heads = st.sampled_from(
    [*[b"event: content_block_delta\ndata: "] * 9, b"data: ", b"event: ping\ndata: ", b""]
)
ends = st.sampled_from([*[b"\n\n"] * 9, b"\n", b"\r\n\r\n", b""])
near_deltas = st.just(block_delta(0, "text_delta", text="sea").json) | st.builds(
    lambda index, fields: msgspec.json.encode(
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", **fields}}
    ),
    st.integers(0, 2) | scalars,
    st.dictionaries(st.sampled_from(KEYS), near_parts, max_size=3),
)


@law
@given(blocks=st.lists(st.tuples(heads, near_deltas | anything, ends), max_size=6))
def test_deltas_that_are_read_together_are_what_their_frames_say(blocks):
    chunk = b"".join(head + json + end for head, json, end in blocks)
    deltas = decode_deltas(chunk)
    if deltas is not None:
        assert deltas.events() == [decode_event(it) for it in frames_of(chunk)]
        assert deltas.size_bytes == sum(map(len, deltas.jsons))


@law
@given(datas=st.lists(anything, max_size=12), began=st.booleans())
def test_whatever_the_lifecycle_accepts_every_reader_can_take(datas, began):
    decoded = [decode_event(frame(data)) for data in datas]
    events = [event for event in decoded if isinstance(event, Event)]
    log = log_of([message_start(), *events] if began else events)
    total = MessageAccumulator()
    for entry in log:
        if isinstance(entry.event, Event):
            total.add(entry.event)
    msgspec.json.encode(total.message())
    for name in FORMATS:
        encoder = encoder_for(name)
        sent = [encoder.encode(entry) for entry in log]
        assert len(frames_of(sent[-1])) == 1
        assert len(frames_of(b"".join(sent))) == sum(bool(piece) for piece in sent)


@law
@given(
    status=st.integers(300, 599),
    body=anything,
    headers=st.dictionaries(
        st.sampled_from(["content-type", "retry-after", "retry-after-ms", "request-id"]), text
    ),
)
def test_any_refusal_is_an_error_with_a_type_and_a_message(status, body, headers):
    refusal = decode_refusal(status, headers, body, http_now=0.0)
    assert isinstance(refusal.error["type"], str)
    assert isinstance(refusal.error["message"], str)
    assert refusal.retry_after_s is None or refusal.retry_after_s >= 0
    assert isinstance(request_id_of(headers, body), str | None)


# --- answers ---------------------------------------------------------------------------------

FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
pieces = st.tuples(st.sampled_from([*FIELDS, "foo_delta"]), text)
blocks = st.tuples(st.sampled_from(["text", "thinking", "tool_use", "hologram"]),
                   st.lists(pieces, max_size=5))  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """A whole answer of any blocks, unknown events between them."""
    events = [message_start()]
    for index, (type_, deltas) in enumerate(draw(st.lists(blocks, max_size=4))):
        events.append(block_start(index, type_, text=""))
        events += [block_delta(index, d, **{FIELDS.get(d, "beam"): said}) for d, said in deltas]
        events.append(block_stop(index))
        if draw(st.booleans()):
            events.append(unknown(draw(st.text(min_size=1, max_size=5).map(lambda t: "x" + t))))
    return [*events, message_delta(), message_stop()]


@law
@given(events=answers())
def test_the_native_format_passes_every_event_on_as_it_came(events):
    encoder = AnthropicEncoder()
    sent = frames_of(b"".join(encoder.encode(entry) for entry in log_of(events)))
    assert [one.data for one in sent] == [event.json for event in events]
    assert [one.id for one in sent] == [f"3-{seq}" for seq in range(1, len(events) + 1)]
    assert [decode_event(one) for one in sent] == events


@law
@given(events=answers())
def test_the_plain_format_says_all_of_the_text_and_only_that(events):
    encoder = TextEncoder()
    *said, last = frames_of(b"".join(encoder.encode(entry) for entry in log_of(events)))
    bodies = [decode_json(event.json) for event in events]
    texts = [
        body["delta"]["text"]
        for body in bodies
        if body["type"] == "content_block_delta" and body["delta"]["type"] == "text_delta"
    ]
    assert [decode_json(one.data)["text"] for one in said] == [one for one in texts if one]
    assert decode_json(last.data)["event"] == "end"


@law
@given(events=answers(), name=st.sampled_from(list(FORMATS)), data=st.data())
def test_where_the_bytes_are_cut_never_changes_what_is_read(events, name, data):
    encoder = encoder_for(name)
    wire = b"".join(encoder.encode(entry) for entry in log_of(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    decoder = SSEDecoder()
    read = [
        one
        for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)
        for one in decoder.feed(wire[a:b])
    ]
    assert read == frames_of(wire)


@law
@given(said=text, cuts=st.lists(st.integers(0, 12), max_size=5), kind=st.sampled_from([*FIELDS]))
def test_how_a_block_is_cut_into_deltas_never_changes_the_message(said, cuts, kind):
    ends = sorted(min(cut, len(said)) for cut in cuts)
    parts = [said[a:b] for a, b in zip([0, *ends], [*ends, len(said)], strict=True)]
    assert message_of(kind, parts) == message_of(kind, [said])


def message_of(kind: str, parts: list[str]) -> dict[str, Any]:
    total = MessageAccumulator()
    for event in (message_start(), block_start(type="tool_use", input={})):
        total.add(event)
    for part in parts:
        total.add(block_delta(0, kind, **{FIELDS[kind]: part}))
    return total.message()


@law
@given(value=st.lists(values, max_size=4) | st.dictionaries(text, values, max_size=4),
       data=st.data(), spaces=st.booleans())  # fmt: skip
def test_a_tool_input_cut_anywhere_holds_what_the_sdk_holds(value, data, spaces):
    raw = msgspec.json.encode(value)
    raw = msgspec.json.format(raw, indent=1 if spaces else 0)
    whole = raw.decode()
    cut = whole[: data.draw(st.integers(1, len(whole)))]
    expected = jiter.from_json(cut.encode(), partial_mode=True)
    assert message_of("input_json_delta", [cut])["content"][0]["input"] == expected
