"""A second reader of event streams, to compare ours with: naive, slow, plainly the standard's text.

It takes the whole stream at once and works on text, in the order of the standard's steps
(#event-stream-interpretation). `surrogateescape` keeps the bytes that are not UTF-8 apart, so that
nothing is lost on the way. It shares no code with the decoder, only the types of the result.
"""

from __future__ import annotations

import re

from finalstop.wire.sse import Frame, Leftover
from tests.wire.sse_corpus import Outcome


def read_stream(stream: bytes, *, event_bytes_max: int, event_lines_max: int) -> Outcome:
    """Tell all that a reader may tell of this stream, once it has ended."""
    reader = _Reader(event_bytes_max, event_lines_max)
    text = _text(stream)
    *lines, unfinished = re.split("\r\n|\n|\r", text.removeprefix("\N{BOM}"))
    for line in lines:
        if reader.failure is None:
            reader.process_line(line)
    if reader.failure is None:
        reader.end(unfinished)
    return Outcome(
        reader.frames, reader.leftover, reader.last_event_id, reader.retry_ms, reader.failure
    )


class _Reader:
    """The buffers the standard names, and beside them what our limits need."""

    def __init__(self, event_bytes_max: int, event_lines_max: int) -> None:
        self.event_bytes_max = event_bytes_max
        self.event_lines_max = event_lines_max
        self.frames: list[Frame] = []
        self.leftover: Leftover | None = None
        self.failure: str | None = None
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self.data_buffer = ""
        self.event_type_buffer = ""
        self.id_buffer = ""
        self.block: list[str] = []

    def process_line(self, line: str) -> None:
        if line == "":
            self.dispatch()
            return
        self.block.append(line)
        if self.block_bytes() > self.event_bytes_max:
            self.failure = "event_bytes_max"
        if line.startswith(":"):
            return
        if ":" in line:
            field, value = line.split(":", 1)
            value = value.removeprefix(" ")
        else:
            field, value = line, ""
        # Beyond the limit of lines nothing is read: such a block fails, or is cut off by the end.
        if len(self.block) <= self.event_lines_max:
            self.process_field(field, value)

    def process_field(self, field: str, value: str) -> None:
        if field == "event":
            self.event_type_buffer = value
        elif field == "data":
            self.data_buffer += value + "\n"
        elif field == "id":
            if "\x00" not in value:
                self.id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            digits = value.lstrip("0") or "0"
            largest = 9_007_199_254_740_991
            self.retry_ms = largest if len(digits) > 16 else min(int(digits), largest)

    def dispatch(self) -> None:
        if len(self.block) > self.event_lines_max:
            self.failure = "event_lines_max"
            return
        self.last_event_id = _shown(self.id_buffer)
        if self.data_buffer != "":
            data = self.data_buffer[:-1]
            malformed = any("\udc80" <= letter <= "\udcff" for letter in "".join(self.block))
            event = _shown(self.event_type_buffer)
            self.frames.append(Frame(event, _bytes(data), self.last_event_id, malformed))
        self.data_buffer = ""
        self.event_type_buffer = ""
        self.block = []

    def end(self, unfinished: str) -> None:
        rest = "".join(line + "\n" for line in self.block) + unfinished
        if len(_bytes(rest)) > self.event_bytes_max:
            self.failure = "event_bytes_max"
        elif rest:
            self.leftover = Leftover(len(_bytes(rest)), _bytes(rest)[:64])

    def block_bytes(self) -> int:
        return sum(len(_bytes(line)) + 1 for line in self.block)


def _text(stream: bytes) -> str:
    return stream.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(text: str) -> str:
    return _bytes(text).decode("utf-8", "replace")
