"""Reading: every byte is kept, and each frame knows when it was whole."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalstop.doctor.reading import END_BYTES, FRAMES_MAX, Carrier, object_of, read
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

    small, large = min(took_s(1000) for _ in range(3)), min(took_s(8000) for _ in range(3))
    assert large < 8 * small * 4


ENDLESS = [
    # what it is, a body that would go on for ever, frames at most
    ("small frames", A.encode() * 200_000, FRAMES_MAX + END_BYTES // len(A)),
    ("JSON lines", b'{"a":1}\n' * 500_000, FRAMES_MAX + END_BYTES // 8 + 1),
    ("one line", b"data: " + b"x" * (4 << 20), 0),
    ("no line end at all", b"x" * (4 << 20), 1),
    ("blank lines", b"data: a\n\n" + b"\r\n" * (2 << 20), 1),
    ("comments", b": k\n" * (1 << 20), 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("body", "most"), [r[1:] for r in ENDLESS], ids=[r[0] for r in ENDLESS])
def test_a_body_without_end_is_read_in_no_time(body, most):
    kind = "application/x-ndjson" if body.startswith(b"{") else "text/event-stream"
    it = exchange(body, kind=kind)
    began = time.process_time()
    frames = read(it).frames
    # Where it is quadratic it takes hours.
    assert time.process_time() - began < 5.0
    assert len(frames) <= most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "frame", "last"),
    [
        ("text/event-stream", A, 'data: {"event":"end"}\n\n'),
        ("text/event-stream", A.replace("\n", "\r\n"), 'data: {"event":"end"}\r\n\r\n'),
        ("application/x-ndjson", '{"text":"a"}\n', '{"event":"end"}\n'),
    ],
)
def test_of_very_many_frames_both_ends_are_read_and_the_rest_is_counted(kind, frame, last):
    few = read(exchange(frame * 100, last, kind=kind))
    many = read(exchange(frame * 30_000, last, "data: ha", kind=kind))
    assert (len(few.frames), few.skipped_bytes) == (101, 0)
    assert many.frames[-1].fields == few.frames[-1].fields == {"event": "end"}
    assert FRAMES_MAX < len(many.frames) < 30_000
    assert {it.end - it.start for it in many.frames[:-1]} == {len(frame)}
    assert many.skipped_bytes == (30_001 - len(many.frames)) * len(frame)
    assert many.tail == "data: ha"
