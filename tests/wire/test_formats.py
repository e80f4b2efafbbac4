"""The formats by name: every one of them keeps the same promises."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.events import Entry
from finalstop.wire.anthropic import AnthropicEncoder
from finalstop.wire.formats import FORMATS, encode_batch, encoder_for
from finalstop.wire.sse import SSEDecoder
from finalstop.wire.text import TextEncoder
from tests.builders import answer, input_json_delta, text_delta, thinking_delta, together
from tests.wire.transcripts import ending, frames_of, log_of


def test_the_names_of_the_formats():
    assert list(FORMATS.items()) == [("anthropic", AnthropicEncoder), ("text", TextEncoder)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_viewer_has_an_encoder_of_its_own(name):
    one, other = encoder_for(name), encoder_for(name)
    assert type(one) is type(other) is FORMATS[name]
    assert one is not other


@pytest.mark.parametrize("name", ["", "Anthropic", "json", "vercel\r\n"])
def test_an_unknown_name_is_refused_with_the_names_there_are(name):
    with pytest.raises(ValueError, match="choose one of: anthropic, text") as refused:
        encoder_for(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_keep_alive_between_any_two_entries_changes_nothing_that_is_said(name):
    encoder = encoder_for(name)
    pieces = [encoder.encode(entry) for entry in log_of(answer("Hi", " there"))]
    plain, kept = frames_of(b"".join(pieces)), frames_of(encoder.keep_alive.join(pieces))
    assert plain == [frame for frame in kept if frame.event != "ping"]


@pytest.mark.parametrize("name", FORMATS)
def test_deltas_together_say_what_they_say_one_by_one(name):
    events = [text_delta("né 🌊"), text_delta(""), thinking_delta("hm"), input_json_delta("{"),
              text_delta('"')]  # fmt: skip
    apart = [encoder_for(name).encode(Entry(3, 8 + at, it)) for at, it in enumerate(events)]
    assert encoder_for(name).encode(Entry(3, 8, together(*events))) == b"".join(apart)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("reason", EndReason)
def test_every_ending_has_last_bytes_and_they_are_one_whole_frame(name, reason):
    if reason is EndReason.COMPLETE:
        [*_, entry] = log_of(answer("Hi"))
    else:
        entry = Entry(3, 1, ending(reason))
    decoder = SSEDecoder()
    assert len(decoder.feed(encoder_for(name).encode(entry))) == 1
    assert decoder.close() is None


class Counting:
    """An encoder that counts. Nothing is known of its state, so it is asked every time."""

    content_type = "x"
    headers: Mapping[str, str] = {}
    keep_alive = b""

    def __init__(self):
        self.asked = 0

    def encode(self, entry):
        self.asked += 1
        return b"%d;" % entry.seq


def test_a_batch_is_its_entries_one_after_the_other():
    batch = log_of(answer("Hi", " there"))
    for name in FORMATS:
        one_by_one = b"".join([encoder_for(name).encode(entry) for entry in batch])
        assert encode_batch(encoder_for(name), batch) == one_by_one


@pytest.mark.parametrize("name", FORMATS)
def test_what_several_viewers_are_told_at_once_is_encoded_once(name):
    batch = log_of(answer("Hi"))
    first = encode_batch(encoder_for(name), batch)
    assert encode_batch(encoder_for(name), batch) is first
    # A batch that only looks the same is another one, and another format is never mistaken.
    assert encode_batch(encoder_for(name), list(batch)) is not first
    others = [encode_batch(encoder_for(other), batch) for other in FORMATS if other != name]
    assert first not in others


def test_an_encoder_that_may_hold_state_is_asked_for_each_viewer():
    batch = log_of(answer("Hi"))
    encoders = Counting(), Counting()
    for encoder in encoders:
        encode_batch(encoder, batch)
        assert encoder.asked == len(batch)
