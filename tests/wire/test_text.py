"""The plain language. Goal: the words, nothing but the words, and one word at the end.

Method: rows of one event and its frame, and the corpus, whose text must arrive whole.
"""

from __future__ import annotations

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.events import BlockDelta, BlockStart, Entry, Event
from finalstop.wire.anthropic import decode_json
from finalstop.wire.sse import SSEDecoder
from finalstop.wire.text import TextEncoder
from tests.builders import (
    answer,
    block_delta,
    block_start,
    block_stop,
    citations_delta,
    error,
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
    together,
    tool_start,
    unknown,
)
from tests.wire.transcripts import (
    ANSWERS,
    CORPUS,
    ended_of,
    ending,
    events_of,
    frames_of,
    log_of,
)

FAILURES = [reason for reason in EndReason if reason is not EndReason.COMPLETE]


def encode(event):
    return TextEncoder().encode(Entry(3, 9, event))


# --- pieces ----------------------------------------------------------------------------------

SPOKEN = [
    (text_delta("Hi"), b'id: 3-9\ndata: {"text":"Hi"}\n\n'),
    (text_delta('a\r\n"b"'), b'id: 3-9\ndata: {"text":"a\\r\\n\\"b\\""}\n\n'),
    (text_delta("\u2028🧂"), 'id: 3-9\ndata: {"text":"\u2028🧂"}\n\n'.encode()),
    (text_start(text="First"), b'id: 3-9\ndata: {"text":"First"}\n\n'),
]


@pytest.mark.parametrize(("event", "frame"), SPOKEN)
def test_text_is_one_frame(event, frame):
    assert encode(event) == frame


def test_of_deltas_together_those_with_text_have_a_frame_under_their_own_number():
    events = [text_delta("Hi"), thinking_delta("hm"), text_delta(""), text_delta("né")]
    assert encode(together(*events)) == (
        'id: 3-9\ndata: {"text":"Hi"}\n\nid: 3-12\ndata: {"text":"né"}\n\n'.encode()
    )


SILENT = [
    message_start(),
    text_start(),
    text_delta(""),
    block_delta(type="text_delta"),
    block_delta(type="hologram_delta", text="not ours to read"),
    block_start(type="hologram", text="not ours to read"),
    block_start(type="text"),
    thinking_start(),
    thinking_delta("Hm."),
    signature_delta(),
    tool_start(),
    input_json_delta("{"),
    citations_delta(),
    block_stop(),
    message_delta(),
    message_stop(),
    ping(),
    error(),
    unknown(text="not ours to read"),
]


@pytest.mark.parametrize("event", SILENT, ids=lambda event: event.json.decode()[:60])
def test_everything_else_is_no_byte_at_all(event):
    assert encode(event) == b""


@pytest.mark.parametrize("name", ANSWERS)
def test_the_frames_of_an_answer_hold_its_text_and_nothing_else(name):
    events = events_of(CORPUS[name])
    encoder = TextEncoder()
    *pieces, _ = frames_of(b"".join(encoder.encode(entry) for entry in log_of(events)))
    said = [decode_json(piece.data) for piece in pieces]
    assert all(list(one) == ["text"] and one["text"] for one in said)
    assert "".join(one["text"] for one in said) == text_of(events)


def text_of(events: list[Event]) -> str:
    views = [event.payload for event in events]
    starts = {v.index: v.content_block.type for v in views if isinstance(v, BlockStart)}
    deltas = [v for v in views if isinstance(v, BlockDelta) and starts[v.index] == "text"]
    return "".join(v.delta.text or "" for v in deltas)


# --- the last word ---------------------------------------------------------------------------


def test_a_complete_stream_ends_with_end_and_its_receipt():
    [*_, entry] = log_of(answer("Hi"))
    [last] = frames_of(TextEncoder().encode(entry))
    said = decode_json(last.data)
    receipt = decode_json(ended_of(entry).receipt.to_json())
    assert (last.event, last.id) == ("", f"{entry.epoch}-{entry.seq}")
    assert said == {"event": "end", **receipt}
    assert list(said) == ["event", *receipt]
    assert said["reason"] == "complete"


@pytest.mark.parametrize("reason", FAILURES)
def test_a_failed_stream_ends_with_error_its_reason_and_its_receipt(reason):
    ended = ending(reason, [message_start(), text_start()], detail="It was noon.")
    [last] = frames_of(encode(ended))
    said = decode_json(last.data)
    receipt = decode_json(ended.receipt.to_json())
    assert list(said)[:3] == ["event", "reason", "message"]
    assert said == {"event": "error", "message": ended.error["message"], **receipt}
    assert said["reason"] == reason


# --- around the entries ----------------------------------------------------------------------


def test_the_keep_alive_is_a_comment_that_nobody_dispatches():
    assert TextEncoder.keep_alive == b": keep-alive\n\n"
    decoder = SSEDecoder()
    assert decoder.feed(TextEncoder.keep_alive) == []
    assert decoder.close() is None


def test_the_response_head():
    encoder = TextEncoder()
    assert encoder.content_type == "text/event-stream; charset=utf-8"
    assert encoder.headers == {}
