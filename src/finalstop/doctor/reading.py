"""From an exchange to frames with arrival times: lenient, and nothing thrown away.

It shares no parser with the code that it may have to judge, and it keeps what a browser would
drop: comments, lines that are no field, and the text after the last blank line. It knows the
grammar of three carriers (Server-Sent Events, JSON lines, plain text) and no dialect.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any, Final

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
    """All of a body. `tail` is what came after the last blank line: a browser drops it."""

    carrier: Carrier
    frames: tuple[Frame, ...]
    tail: str = ""
    valid_utf8: bool = True


# A line ends with CR LF, LF or CR (WHATWG #parsing-an-event-stream).
_LINE: Final = re.compile(rb"([^\r\n]*)(?:\r\n|\n|\r)")
_FIELD: Final = re.compile(rb"(?:data|event|id|retry)(?::|$)|:")
_FIELDS: Final = frozenset({"data", "event", "id", "retry"})
_BOM: Final = b"\xef\xbb\xbf"
_SNIFFED_BYTES: Final = 65_536


def read(exchange: Exchange) -> Reading:
    """The frames of an exchange's body. Linear in its length; any bytes will do."""
    body = exchange.body
    clock = _Clock(exchange)
    carrier = _carrier_of(exchange, body)
    valid = _is_utf8(body)
    match carrier:
        case Carrier.SSE:
            frames, tail = _event_stream(body, clock)
            return Reading(carrier, frames, tail, valid)
        case Carrier.JSON_LINES:
            frames, tail = _json_lines(body, clock)
            return Reading(carrier, frames, tail, valid)
        case _:
            return Reading(carrier, tuple(_pieces(exchange)), "", valid)


def object_of(text: str) -> Mapping[str, Any]:
    """The text as a JSON object; empty if it is none."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class _Clock:
    """Tells when the byte at an offset arrived."""

    def __init__(self, exchange: Exchange) -> None:
        self._ends = list(accumulate(len(it.data) for it in exchange.arrivals))
        self._times = [it.at_s for it in exchange.arrivals]

    def at(self, offset: int) -> float:
        """When the last of the first `offset` bytes arrived."""
        place = bisect_left(self._ends, offset)
        return self._times[min(place, len(self._times) - 1)] if self._times else 0.0


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


def _event_stream(body: bytes, clock: _Clock) -> tuple[tuple[Frame, ...], str]:
    frames: list[Frame] = []
    lines: list[str] = []
    start = position = len(_BOM) if body.startswith(_BOM) else 0
    for found in _LINE.finditer(body, position):
        position = found.end()
        if found[1]:
            lines.append(found[1].decode("utf-8", "replace"))
            continue
        if lines:
            frames.append(_block(lines, clock.at(position), start, position))
        lines, start = [], position
    rest = body[start:].decode("utf-8", "replace")
    return tuple(frames), rest


def _block(lines: list[str], at_s: float, start: int, end: int) -> Frame:
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


def _json_lines(body: bytes, clock: _Clock) -> tuple[tuple[Frame, ...], str]:
    frames: list[Frame] = []
    end = 0
    for found in _LINE.finditer(body):
        end = found.end()
        if found[1].strip():
            frames.append(_line(found[1], clock.at(end), found.start(), end))
    rest = body[end:]
    # The last line needs no line end: if it is whole JSON, it is a line.
    if rest.strip() and object_of(rest.decode("utf-8", "replace")):
        frames.append(_line(rest, clock.at(len(body)), end, len(body)))
        rest = b""
    return tuple(frames), rest.decode("utf-8", "replace")


def _line(line: bytes, at_s: float, start: int, end: int) -> Frame:
    text = line.decode("utf-8", "replace")
    return Frame(at_s, start, end, data=text, fields=object_of(text))


def _pieces(exchange: Exchange) -> Iterator[Frame]:
    end = 0
    for arrival in exchange.arrivals:
        start, end = end, end + len(arrival.data)
        if arrival.data:
            yield Frame(arrival.at_s, start, end, data=arrival.data.decode("utf-8", "replace"))
