"""Every wire format along random walks: one stream, and viewers that come at any moment.

A real lifecycle feeds a real memory log. Viewers come with a cursor and a format, read what there
is when it suits them, and their decoders get the bytes cut anywhere. At the end each must hold the
tail of what a viewer of the whole stream holds, with one last word and nothing after it, and the
format's own judge looks at the whole of it. A new format needs a judge here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from finalstop.core.endings import EndReason
from finalstop.core.events import BlockDelta, BlockStart, BlockStop, Deltas, Entry, Event, is_lean
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS
from finalstop.core.receipt import Ended
from finalstop.log.memory import MemoryLog
from finalstop.wire.anthropic import decode_event
from finalstop.wire.formats import FORMATS, Encoder, encode_batch, encoder_for
from finalstop.wire.sse import Frame, SSEDecoder
from tests import builders as b

# -- the judges: a whole view, and the log that it is a view of ------------------------------------


def judge_anthropic(frames: Sequence[Frame], log: Sequence[Entry]) -> None:
    """Every event as it came, blocks as balanced as they were, and the upstream's own last word."""
    *said, last = frames
    events, ended = events_in(log), ended_in(log)
    assert [joined(it) for it in events] == [decode_event(it) for it in said]
    assert last.event == ("message_stop" if ended.receipt.complete else "error")
    body = msgspec.json.decode(last.data)
    assert body["type"] == last.event
    if not ended.receipt.complete:
        assert body["finalstop"]["reason"] == ended.reason
    opened = [it.payload.index for it in events if isinstance(it.payload, BlockStart)]
    closed = [it.payload.index for it in events if isinstance(it.payload, BlockStop)]
    left_open = [it for it in opened if it not in closed]
    # Nobody closes a block in the upstream's name; what stays open is in the receipt.
    assert left_open == [it.index for it in ended.receipt.open]
    assert sorted(closed + left_open) == sorted(opened)


def judge_text(frames: Sequence[Frame], log: Sequence[Entry]) -> None:
    """The text and only the text, then the receipt under one last word."""
    *said, last = [msgspec.json.decode(it.data) for it in frames]
    texts, ended = [text_in(it) for it in events_in(log)], ended_in(log)
    assert [it["text"] for it in said] == [it for it in texts if it]
    assert last["event"] == ("end" if ended.receipt.complete else "error")
    assert last["reason"] == ended.reason


JUDGES: dict[str, Callable[[Sequence[Frame], Sequence[Entry]], None]] = {
    "anthropic": judge_anthropic,
    "text": judge_text,
}


def events_in(log: Sequence[Entry]) -> list[Event]:
    return [it.event for it in log if isinstance(it.event, Event)]


def ended_in(log: Sequence[Entry]) -> Ended:
    ended = log[-1].event
    assert isinstance(ended, Ended)
    return ended


def joined(event: Event) -> Event:
    """The event as SSE can carry it: every line end in its JSON is LF."""
    json = event.json.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return replace(event, json=json, lean=event.lean and is_lean(json))


def text_in(event: Event) -> str:
    payload = event.payload
    if isinstance(payload, BlockDelta) and payload.delta.type == "text_delta":
        return payload.delta.text or ""
    if isinstance(payload, BlockStart) and payload.content_block.type == "text":
        return payload.content_block.text or ""
    return ""


def test_every_format_has_its_judge():
    assert set(JUDGES) == set(FORMATS)


# -- the walk -------------------------------------------------------------------------------------


@dataclass
class View:
    """A viewer: its format, its first cursor, and what its own decoder made of the bytes."""

    format: str
    start: int
    cursor: int
    encoder: Encoder
    decoder: SSEDecoder = field(default_factory=SSEDecoder)
    unread: bytes = b""
    frames: list[Frame] = field(default_factory=list)


any_text = st.text(max_size=8) | st.text('\r\n: \0\u2028\U0001f9c2\u00e9"\\', max_size=8)
formats = st.sampled_from(sorted(FORMATS))
ENDS = [None, EndReason.STOPPED, EndReason.IDLE_TIMEOUT, EndReason.DRAINING]


def spaced(event: Event, indent: int, line_end: bytes) -> Event:
    """The same event as a provider may write it: over several lines, ended as it likes."""
    json = msgspec.json.format(event.json, indent=indent) if indent else event.json
    json = json.replace(b"\n", line_end)
    return replace(event, json=json, lean=event.lean and is_lean(json))


class Views(RuleBasedStateMachine):
    """One stream and its viewers."""

    def __init__(self):
        super().__init__()
        self.life = Lifecycle("s1", DEFAULTS, now=0.0)
        self.log = MemoryLog(DEFAULTS)
        self.log.open("s1", lambda _accepted, _why: None)
        self.entries: list[Entry] = []
        self.views: list[View] = []
        self.open: set[int] = set()
        self.used = 0

    @initialize(format=formats)
    def begin(self, format):
        self.views.append(coming(format, 0))
        self.append(self.life.receive([b.message_start()], now=0.0))

    def append(self, batch: Sequence[Event | Deltas | Ended]) -> None:
        if batch:
            self.log.append("s1", batch)
            self.entries = list(read(self.log, 0))

    @rule(type=st.sampled_from(["text", "thinking", "tool_use", "hologram"]), text=any_text)
    @precondition(lambda self: self.life.ended is None)
    def a_block_opens(self, type, text):
        self.open.add(self.used)
        self.append(self.life.receive([b.block_start(self.used, type, text=text)], now=0.0))
        self.used += 1

    @rule(text=any_text, kind=st.sampled_from(["text", "thinking", "foo"]), data=st.data(),
          indent=st.integers(0, 2), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))  # fmt: skip
    @precondition(lambda self: self.life.ended is None and self.open)
    def a_block_grows(self, text, kind, data, indent, line_end):
        index = data.draw(st.sampled_from(sorted(self.open)))
        fields: dict[str, Any] = {kind: text}
        event = spaced(b.block_delta(index, f"{kind}_delta", **fields), indent, line_end)
        self.append(self.life.receive([event], now=0.0))

    @rule(data=st.data())
    @precondition(lambda self: self.life.ended is None and self.open)
    def a_block_closes(self, data):
        index = data.draw(st.sampled_from(sorted(self.open)))
        self.open.discard(index)
        self.append(self.life.receive([b.block_stop(index)], now=0.0))

    @rule(name=st.sampled_from(["tide", "a b", "x" * 200]))
    @precondition(lambda self: self.life.ended is None)
    def something_unknown_comes(self, name):
        self.append(self.life.receive([b.unknown(name)], now=0.0))

    @rule(format=formats, data=st.data())
    def a_viewer_comes(self, format, data):
        cursor = data.draw(st.integers(0, len(self.entries)))
        self.views.append(coming(format, cursor))

    @rule(data=st.data(), bytes_max=st.integers(1, 3000), size=st.integers(0, 400))
    def a_viewer_reads_on(self, data, bytes_max, size):
        view = data.draw(st.sampled_from(self.views))
        self.encode(view, bytes_max)
        piece, view.unread = view.unread[:size], view.unread[size:]
        view.frames += view.decoder.feed(piece)

    @rule(reason=st.sampled_from(ENDS))
    @precondition(lambda self: len(self.entries) > 6 and self.life.ended is None)
    def it_ends(self, reason):
        if reason is None:
            self.append(self.life.receive([b.message_delta(), b.message_stop()], now=1.0))
        else:
            self.append(self.life.end(reason, now=1.0))

    def encode(self, view: View, bytes_max: int) -> None:
        batch = read(self.log, view.cursor, bytes_max)
        view.unread += encode_batch(view.encoder, batch) if batch else b""
        view.cursor = batch[-1].seq if batch else view.cursor

    def teardown(self):
        """Everybody reads to the end."""
        self.append(self.life.eof(now=2.0))
        for format, judge in JUDGES.items():
            whole = coming(format, 0)
            self.read_out(whole)
            judge(whole.frames, self.entries)
            ids = [it.id for it in whole.frames]
            assert len(set(ids)) == len(ids)
            for view in [it for it in self.views if it.format == format]:
                self.read_out(view)
                assert view.frames == [it for it in whole.frames if seq_of(it) > view.start]

    def read_out(self, view: View) -> None:
        self.encode(view, 1 << 30)
        view.frames += view.decoder.feed(view.unread)
        assert (view.decoder.close(), view.decoder.failure) == (None, None)


def coming(format: str, cursor: int) -> View:
    """A viewer that has seen nothing beyond `cursor`."""
    return View(format, cursor, cursor, encoder_for(format))


def seq_of(frame: Frame) -> int:
    """The sequence number in a frame's id."""
    return int(frame.id.rpartition("-")[2])


def read(log: MemoryLog, after: int, bytes_max: int = 1 << 30) -> Sequence[Entry]:
    """What the memory log answers at once: its coroutine never waits."""
    try:
        log.read("s1", after, bytes_max=bytes_max).send(None)
    except StopIteration as answer:
        entries: Sequence[Entry] = answer.value
        return entries
    raise AssertionError("the memory log waited")


TestViews = pytest.mark.slow(Views.TestCase)
TestViews.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
