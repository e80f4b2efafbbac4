"""Reads the SSE corpus (tests/corpus/sse/README.md says what a case holds)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

from finalstop.wire.sse import EVENT_BYTES_MAX, EVENT_LINES_MAX, Frame, Leftover, SSEDecoder

FOLDER = Path(__file__).parents[1] / "corpus" / "sse"


class Outcome(NamedTuple):
    """All that a reader of a whole stream may tell; `failure` is the limit's name only."""

    frames: list[Frame]
    leftover: Leftover | None
    last_event_id: str
    retry_ms: int | None
    failure: str | None


class Case(NamedTuple):
    """One case: a stream, the limits it is read with, and what must come out."""

    name: str
    stream: bytes
    limits: dict[str, int]
    expected: Outcome


def cases() -> list[Case]:
    """Every case of every file, in a fixed order."""
    return [
        _case(f"{path.stem}/{row['name']}", row)
        for path in sorted(FOLDER.glob("*.json"))
        for row in json.loads(path.read_text("utf-8"))["cases"]
    ]


def decode_chunks(chunks: list[bytes], **limits: int) -> Outcome:
    """Feed the chunks to a decoder of ours, end the stream, and tell all."""
    decoder = SSEDecoder(**limits)
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    leftover = decoder.close()
    failure = None
    if decoder.failure is not None:
        failure = decoder.failure.removeprefix("an event passed ").partition(":")[0]
    return Outcome(frames, leftover, decoder.last_event_id, decoder.retry_ms, failure)


def limits_of(case: Case) -> tuple[int, int]:
    """The bytes and the lines that one event of the case may have."""
    return (
        case.limits.get("event_bytes_max", EVENT_BYTES_MAX),
        case.limits.get("event_lines_max", EVENT_LINES_MAX),
    )


def _case(name: str, row: dict[str, Any]) -> Case:
    expected = Outcome(
        frames=[_frame(it) for it in row["frames"]],
        leftover=_leftover(row.get("leftover")),
        last_event_id=row.get("last_event_id", ""),
        retry_ms=row.get("retry_ms"),
        failure=row.get("failure"),
    )
    return Case(name, _bytes(row["input"]), row.get("limits", {}), expected)


def _bytes(part: Any) -> bytes:
    match part:
        case str():
            return part.encode()
        case list():
            return b"".join(map(_bytes, part))
        case {"repeat": it, "times": times}:
            return _bytes(it) * int(times)
        case {"base64": encoded}:
            return base64.b64decode(encoded, validate=True)
        case _:
            raise ValueError(f"not an input of the corpus: {part!r}")


def _frame(row: dict[str, Any]) -> Frame:
    frame = Frame(
        row.get("event", ""),
        _text_or_base64(row, "data"),
        row.get("id", ""),
        row.get("malformed", False),
    )
    assert frame.text() == row["data"]
    return frame


def _leftover(row: dict[str, Any] | None) -> Leftover | None:
    return None if row is None else Leftover(row["bytes"], _text_or_base64(row, "head"))


def _text_or_base64(row: dict[str, Any], key: str) -> bytes:
    encoded = row.get(f"{key}_base64")
    return row[key].encode() if encoded is None else base64.b64decode(encoded, validate=True)
