"""The SSE decoder along random walks: frames of ours, comments and foreign bytes, cut anywhere.

After every step a naive reader of the standard (tests/wire/sse_oracle.py) reads all that was sent
so far, and both must have seen the same.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from finalstop.wire.frames import encode_comment, encode_frame
from finalstop.wire.sse import Frame, SSEDecoder
from tests.wire.sse_oracle import read_stream

LIMITS = {"event_bytes_max": 200, "event_lines_max": 12}
any_text = st.text(max_size=12) | st.text("\r\n: \0\u2028\U0001f9c2data", max_size=12)
foreign = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"data: ", b"id: 7", b"event: x", b":", b"\xff", b"x"]),
    max_size=6,
).map(b"".join)


class Wire(RuleBasedStateMachine):
    """A sender, whose bytes wait until they are taken in pieces, and a decoder."""

    def __init__(self):
        super().__init__()
        self.decoder = SSEDecoder(**LIMITS)
        self.waiting = b""
        self.sent = b""
        self.frames: list[Frame] = []

    @rule(data=any_text, event=st.sampled_from(["", "message_stop", "x"]), id=st.integers(0, 99))
    def send_a_frame(self, data, event, id):
        self.waiting += encode_frame(data.encode(), event=event, id=f"1-{id}" if id else "")

    @rule(text=any_text)
    def send_a_comment(self, text):
        self.waiting += encode_comment(text)

    @rule(junk=foreign)
    def send_what_nobody_should(self, junk):
        self.waiting += junk

    @rule(size=st.integers(0, 60))
    def take_a_piece(self, size):
        piece, self.waiting = self.waiting[:size], self.waiting[size:]
        self.sent += piece
        self.frames += self.decoder.feed(piece)

    @rule()
    def take_all(self):
        self.take_a_piece(len(self.waiting))

    @invariant()
    def what_was_read_is_what_the_standard_says(self):
        expected = read_stream(self.sent, **LIMITS)
        seen = self.frames
        if expected.failure is None and self.decoder.failure is None:
            assert seen == expected.frames
        else:  # the block that fails may be seen to fail a chunk later
            assert seen == expected.frames[: len(seen)]

    def teardown(self):
        """At the end of the stream the two agree about everything."""
        self.take_all()
        leftover = self.decoder.close()
        expected = read_stream(self.sent, **LIMITS)
        assert (self.decoder.failure is None) is (expected.failure is None)
        assert self.frames == expected.frames
        if expected.failure is None:
            assert leftover == expected.leftover
            assert self.decoder.last_event_id == expected.last_event_id


TestWire = pytest.mark.slow(Wire.TestCase)
TestWire.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
