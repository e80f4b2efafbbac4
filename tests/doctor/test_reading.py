"""Reading: every byte is kept, and each frame knows when it was whole."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalstop.doctor.reading import Carrier, object_of, read
from tests.doctor.exchanges import A, B, exchange


def test_a_frame_is_there_when_its_blank_line_is():
    reading = read(exchange('data: {"te', 'xt":"a"}\n', "\n", B, every_s=1.0, head_s=0.0))
    assert [(it.at_s, it.data) for it in reading.frames] == [
        (2.0, '{"text":"a"}'),
        (3.0, '{"text":"b"}'),
    ]


KEPT = [
    # bytes, event, data, comments, odd
    (b"data: a\n\n", "", "a", (), ()),
    (b"data:a\r\n\r\n", "", "a", (), ()),
    (b"data: a\rdata:  b\r\r", "", "a\n b", (), ()),
    (b"\xef\xbb\xbfdata: a\n\n", "", "a", (), ()),
    (b": ping\n\n", "", None, ("ping",), ()),
    (b"event: end\n\n", "end", None, (), ()),
    (b"event: end\ndata\n\n", "end", "", (), ()),
    (b"Internal Server Error\ndata: a\n\n", "", "a", (), ("Internal Server Error",)),
]


@pytest.mark.parametrize(("body", "event", "data", "comments", "odd"), KEPT)
def test_nothing_of_a_block_is_lost(body, event, data, comments, odd):
    (frame,) = read(exchange(body)).frames
    assert (frame.event, frame.data, frame.comments, frame.odd) == (event, data, comments, odd)


def test_what_a_browser_would_drop_is_the_tail():
    assert read(exchange(A, "Internal Server Error")).tail == "Internal Server Error"
    assert read(exchange(A, "data: half\n")).tail == "data: half\n"
    assert read(exchange(A)).tail == ""


CARRIERS = [
    # content type, body, what carries it
    ("text/event-stream", "", Carrier.SSE),
    ("text/plain", A, Carrier.SSE),
    ("text/plain", ": hi\n\n" + A, Carrier.SSE),
    ("text/plain", "The ocean", Carrier.TEXT),
    ("application/x-ndjson", '{"a":1}\n{"a":2}\n', Carrier.JSON_LINES),
    ("application/json", '{"a":1}\n{"a":2}\n', Carrier.JSON_LINES),
    ("application/json", '{"a":1}', Carrier.DOCUMENT),
    ("text/html; charset=utf-8", "<p>", Carrier.DOCUMENT),
    ("", "<!DOCTYPE html>", Carrier.DOCUMENT),
    ("text/plain", "", Carrier.NOTHING),
]


@pytest.mark.parametrize(("kind", "body", "carrier"), CARRIERS)
def test_the_body_says_what_carries_it(kind, body, carrier):
    assert read(exchange(*([body] if body else []), kind=kind)).carrier is carrier


def test_the_last_json_line_needs_no_line_end_but_must_be_whole():
    kind = "application/x-ndjson"
    assert len(read(exchange('{"a":1}\n{"a":2}', kind=kind)).frames) == 2
    cut = read(exchange('{"a":1}\n{"a":', kind=kind))
    assert (len(cut.frames), cut.tail) == (1, '{"a":')


def test_a_character_cut_at_the_end_is_a_cut_and_a_wrong_byte_is_a_wrong_charset():
    assert read(exchange(b"data: \xc3")).valid_utf8
    assert not read(exchange(b"data: \xe9t\xe9\n\n")).valid_utf8


@pytest.mark.parametrize("text", ["[1]", "1", "", "{", "nothing", '{"a":' * 5000])
def test_what_is_no_object_has_no_fields(text):
    assert object_of(text) == {}


@pytest.mark.slow
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_can_be_read_and_none_is_in_two_frames(pieces):
    frames = read(exchange(*pieces)).frames
    assert all(it.start < it.end for it in frames)
    assert all(left.end <= right.start for left, right in itertools.pairwise(frames))


@pytest.mark.slow
@given(st.lists(st.integers(1, 60), max_size=12))
def test_chunk_boundaries_never_change_the_frames(cuts):
    body = (A + ": k\r\n\r\n" + "event: x\rdata: y\r\r" + B + "tail").encode()
    places = sorted({0, len(body), *(it % len(body) for it in cuts)})
    pieces = [body[left:right] for left, right in itertools.pairwise(places)]
    whole, cut = read(exchange(body)), read(exchange(*pieces))
    assert [(it.start, it.data) for it in cut.frames] == [
        (it.start, it.data) for it in whole.frames
    ]
    assert cut.tail == whole.tail


@pytest.mark.slow
def test_reading_is_linear():
    def took_s(frames: int) -> float:
        it = exchange(A * frames)
        began = time.perf_counter()
        assert len(read(it).frames) == frames
        return time.perf_counter() - began

    small, large = min(took_s(4000) for _ in range(3)), min(took_s(32_000) for _ in range(3))
    assert large < 8 * small * 4
