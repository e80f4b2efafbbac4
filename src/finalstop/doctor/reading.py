"""From an exchange to frames with arrival times: lenient, and nothing thrown away.

It shares no parser with the code that it may have to judge, and it keeps what a browser would
drop: comments, lines that are no field, and the text after the last blank line. It knows the
grammar of three carriers (Server-Sent Events, JSON lines, plain text) and no dialect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from finalstop.doctor.observations import Exchange


class Carrier(StrEnum):
    """What carries the frames."""

    SSE = "event stream"
    JSON_LINES = "JSON lines"
    TEXT = "plain text"
    DOCUMENT = "one document"  # JSON or HTML as a whole: no stream
    NOTHING = "no body"


@dataclass(frozen=True, slots=True)
class Frame:
    """One block of an event stream, one JSON line, or one arrival of plain text.

    `at_s` is when its last byte arrived; `start` and `end` are offsets in the body. `data` is None
    where there is no data at all (a block of comments). `fields` is the data read as a JSON object,
    empty if it is none. `odd` are lines that are no field of the grammar.
    """

    at_s: float
    start: int
    end: int
    event: str = ""
    data: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """All of a body. `tail` is what came after the last blank line: a browser drops it.

    Of more than FRAMES_MAX frames only the first ones and those of the last END_BYTES are read:
    `skipped_bytes` lie between them.
    """

    carrier: Carrier
    frames: tuple[Frame, ...]
    tail: str = ""
    valid_utf8: bool = True
    skipped_bytes: int = 0


# No model speaks so much; a test server that never ends does, and the report must not wait for it.
FRAMES_MAX: Final = 10_000
END_BYTES: Final = 64 * 1024


# A line ends with CR LF, LF or CR (WHATWG #parsing-an-event-stream). Only the end is sought: a
# pattern of the whole line would look at a long line without an end once from each of its bytes.
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_FIELD: Final = re.compile(rb"(?:data|event|id|retry)(?::|$)|:")
_FIELDS: Final = frozenset({"data", "event", "id", "retry"})
_BOM: Final = b"\xef\xbb\xbf"
_SNIFFED_BYTES: Final = 65_536
_JSON: Final = msgspec.json.Decoder()


def read(exchange: Exchange) -> Reading:
    """The frames of an exchange's body. Linear in its length; any bytes will do."""
    body = exchange.body
    clock = _Clock(exchange)
    carrier = _carrier_of(exchange, body)
    valid = _is_utf8(body)
    match carrier:
        case Carrier.SSE:
            start = len(_BOM) if body.startswith(_BOM) else 0
            frames, tail, skipped = _both_ends(body, start, clock, _event_stream, _BLANK_LINE)
            return Reading(carrier, frames, tail, valid, skipped)
        case Carrier.JSON_LINES:
            frames, tail, skipped = _both_ends(body, 0, clock, _json_lines, _LINE_END)
            return Reading(carrier, frames, tail, valid, skipped)
        case _:
            return Reading(carrier, tuple(_pieces(exchange)), "", valid)


def object_of(text: str) -> Mapping[str, Any]:
    """The text as a JSON object; empty if it is none."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = _decoded(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _decoded(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(text)  # slower, and more lenient: it takes NaN and half a surrogate pair


class _Clock:
    """Tells when the byte at an offset arrived; the offsets asked for may only grow."""

    def __init__(self, exchange: Exchange) -> None:
        self._arrivals = iter(exchange.arrivals)
        self._end = 0
        self._at_s = 0.0

    def at(self, offset: int) -> float:
        """When the last of the first `offset` bytes arrived."""
        while self._end < offset and (arrival := next(self._arrivals, None)):
            self._end += len(arrival.data)
            self._at_s = arrival.at_s
        return self._at_s


def _carrier_of(exchange: Exchange, body: bytes) -> Carrier:
    kind = exchange.header("content-type").partition(";")[0].strip().lower()
    head = body.removeprefix(_BOM)[:_SNIFFED_BYTES]
    if not head.strip():
        return Carrier.SSE if kind == "text/event-stream" else Carrier.NOTHING
    if kind == "text/event-stream" or _looks_like_events(head):
        return Carrier.SSE
    if kind == "text/html" or _is_markup(head):
        return Carrier.DOCUMENT
    if kind in {"application/x-ndjson", "application/jsonl", "application/json-lines"}:
        return Carrier.JSON_LINES
    return _sniffed(kind, head)


def _sniffed(kind: str, head: bytes) -> Carrier:
    lines = [line for line in head.split(b"\n")[:8] if line.strip()]
    if len(lines) > 1 and all(object_of(line.decode("utf-8", "replace")) for line in lines[:-1]):
        return Carrier.JSON_LINES
    if kind.endswith("json") or object_of(head.decode("utf-8", "replace")):
        return Carrier.DOCUMENT
    return Carrier.TEXT


def _is_markup(head: bytes) -> bool:
    return head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def _looks_like_events(head: bytes) -> bool:
    return _FIELD.match(head.lstrip(b"\r\n")) is not None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that was cut off at the very end is a cut, no wrong charset.
        return error.end == len(body) and error.reason == "unexpected end of data"
    return True


# Reads frames from an offset on, at most FRAMES_MAX; gives them and the offset of what is left.
_Reader = Callable[[bytes, int, _Clock], tuple[list[Frame], int]]


def _both_ends(
    body: bytes, start: int, clock: _Clock, reader: _Reader, boundary: re.Pattern[bytes]
) -> tuple[tuple[Frame, ...], str, int]:
    """All frames, or those of the two ends; the tail; how many bytes lie between the ends."""
    frames, left = reader(body, start, clock)
    skipped = 0
    if len(frames) == FRAMES_MAX:
        near_end = max(left, len(body) - END_BYTES)
        found = boundary.search(body, near_end) if near_end > left else None
        onward = found.end() if found else near_end
        more, end = reader(body, onward, clock)
        skipped, left = onward - left, end
        frames += more
    return tuple(frames), body[left:].decode("utf-8", "replace"), skipped


def _event_stream(body: bytes, start: int, clock: _Clock) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    lines: list[str] = []
    position = start
    for found in _LINE_END.finditer(body, position):
        line, position = body[position : found.start()], found.end()
        if line:
            lines.append(line.decode("utf-8", "replace"))
            continue
        if lines:
            frames.append(_block(lines, clock.at(position), start, position))
        lines, start = [], position
        if len(frames) == FRAMES_MAX:
            break
    return frames, start


def _block(lines: list[str], at_s: float, start: int, end: int) -> Frame:
    if len(lines) == 1 and lines[0].startswith("data:"):
        text = lines[0][5:].removeprefix(" ")
        return Frame(at_s, start, end, "", text, object_of(text))
    return _block_of_many(lines, at_s, start, end)


def _block_of_many(lines: list[str], at_s: float, start: int, end: int) -> Frame:
    data: list[str] = []
    comments: list[str] = []
    odd: list[str] = []
    event, identity = "", None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                comments.append(value)
            case "data":
                data.append(value)
            case "event":
                event = value
            case "id":
                identity = value
            case _:
                if name not in _FIELDS:
                    odd.append(line)
    text = "\n".join(data) if data else None
    return Frame(
        at_s, start, end, event, text, object_of(text or ""), tuple(comments), tuple(odd), identity
    )


def _json_lines(body: bytes, start: int, clock: _Clock) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    end = start
    for found in _LINE_END.finditer(body, start):
        start, end = end, found.end()
        line = body[start : found.start()]
        if line.strip():
            frames.append(_line(line, clock.at(end), start, end))
        if len(frames) == FRAMES_MAX:
            return frames, end
    rest = body[end:]
    # The last line needs no line end: if it is whole JSON, it is a line.
    if rest.strip() and object_of(rest.decode("utf-8", "replace")):
        frames.append(_line(rest, clock.at(len(body)), end, len(body)))
        end = len(body)
    return frames, end


def _line(line: bytes, at_s: float, start: int, end: int) -> Frame:
    text = line.decode("utf-8", "replace")
    return Frame(at_s, start, end, data=text, fields=object_of(text))


def _pieces(exchange: Exchange) -> Iterator[Frame]:
    end = 0
    for arrival in exchange.arrivals:
        start, end = end, end + len(arrival.data)
        if arrival.data:
            yield Frame(arrival.at_s, start, end, data=arrival.data.decode("utf-8", "replace"))
