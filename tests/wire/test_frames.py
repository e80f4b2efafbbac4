"""The bytes of frames. Goal: exactly what was asked, and nothing that would not be read back."""

from __future__ import annotations

import pytest

from finalstop.wire.frames import encode_comment, encode_frame, encode_numbered, encode_run
from finalstop.wire.sse import SSEDecoder

ENCODED = [
    (encode_frame(b"a"),                                     b"data: a\n\n"),
    (encode_frame(b""),                                      b"data: \n\n"),
    (encode_frame(b" a"),                                    b"data:  a\n\n"),
    (encode_frame(b"a", event="x"),                          b"event: x\ndata: a\n\n"),
    (encode_frame(b"a", id="1-0"),                           b"id: 1-0\ndata: a\n\n"),
    (encode_frame(b"a", retry_ms=0),                         b"retry: 0\ndata: a\n\n"),
    (encode_frame(b"a", event="x", id="1", retry_ms=5),
     b"retry: 5\nid: 1\nevent: x\ndata: a\n\n"),
    (encode_frame(b"a\nb"),                                  b"data: a\ndata: b\n\n"),
    (encode_frame(b"a\r\nb\rc"),                             b"data: a\ndata: b\ndata: c\n\n"),
    (encode_frame(b"\n"),                                    b"data: \ndata: \n\n"),
    (encode_frame(b"\xe2\x80\xa8\xff"),                      b"data: \xe2\x80\xa8\xff\n\n"),
    (encode_frame(b"a", event="A-z.0_9:"),                   b"event: A-z.0_9:\ndata: a\n\n"),
    (encode_numbered(b"a", "", 3, 12)  ,                 b"id: 3-12\ndata: a\n\n"),
    (encode_numbered(b"a\r\nb", "x", 1, 1),
     b"id: 1-1\nevent: x\ndata: a\ndata: b\n\n"),
    (encode_comment("keep-alive"),                           b": keep-alive\n\n"),
    (encode_comment(""),                                     b": \n\n"),
    (encode_comment("a\r\nb\rc\nd"),                         b": a\n: b\n: c\n: d\n\n"),
    (encode_comment("\u20ac\ud800"),                         b": \xe2\x82\xac?\n\n"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), ENCODED)
def test_the_encoder_writes_exactly_these_bytes(written, expected):
    assert written == expected


@pytest.mark.parametrize("data", [b"", b"{}", b"a\nb", b"a\rb", b"a\r\nb\n"])
@pytest.mark.parametrize("event", ["", "message_stop"])
def test_a_numbered_frame_is_a_frame_with_that_id(data, event):
    framed = encode_frame(data, event=event, id="2-40")
    assert encode_numbered(data, event, 2, 40) == framed


@pytest.mark.parametrize("datas", [[], [b"{}"], [b"{}", b"", b"%d %b", b"\xff"]])
def test_a_run_is_the_numbered_frames_of_each(datas):
    frames = [encode_numbered(data, "x", 2, seq) for seq, data in enumerate(datas, 40)]
    assert encode_run(datas, "x", 2, 40) == b"".join(frames)


def test_a_numbered_frame_refuses_what_a_frame_refuses():
    with pytest.raises(ValueError, match=r"event must be .* not 'a b'"):
        encode_numbered(b"", "a b", 1, 1)
    with pytest.raises(ValueError, match=r"event must be .* not 'a b'"):
        encode_run([b""], "a b", 1, 1)


REFUSED = [
    ({"event": "a b"}, "event must be .* not 'a b'"),
    ({"event": "a\ndata: b"}, r"event must be .* not 'a\\ndata: b'"),
    ({"event": "x" * 129}, r"event must be 1 to 128 .* not 'x{64}\.\.\.'"),
    ({"event": "\u0661"}, "event must be"),
    ({"id": "a\r"}, r"id must be .* not 'a\\r'"),
    ({"id": "a\n"}, r"id must be .* not 'a\\n'"),
    ({"id": "\0"}, r"id must be .* not '\\x00'"),
    ({"id": "x" * 129}, "id must be 1 to 128"),
    ({"retry_ms": -1}, "retry_ms must be 0 to 9007199254740991, not -1"),
    ({"retry_ms": 2**53}, "retry_ms must be 0 to .*, not 9007199254740992"),
]


@pytest.mark.parametrize(("fields", "complaint"), REFUSED)
def test_the_encoder_refuses_by_name_what_would_not_survive_the_wire(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        encode_frame(b"a", **fields)
    with pytest.raises(ValueError, match=complaint):  # nothing refused is remembered as good
        encode_frame(b"a", **fields)


def test_the_longest_names_are_written():
    longest = "x" * 128
    (frame,) = SSEDecoder().feed(encode_frame(b"a", event=longest, id=longest))
    assert (frame.event, frame.id) == (longest, longest)
