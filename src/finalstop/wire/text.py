"""The plain language: one `data: {"text": ...}` per piece of text, and one word at the end.

Spec: ours; docs/reference/endings.md holds the exact last bytes. Made for a reader who wants the
words of the answer and nothing else: thinking, tool calls, signatures and citations have no frame.
This module may not know the native format, or whether a stream is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Deltas,
    Entry,
    Event,
    MessageDelta,
    MessageStart,
    MessageStop,
    Payload,
    Ping,
    Unknown,
    UpstreamError,
)
from finalstop.core.receipt import Ended
from finalstop.wire.frames import encode_comment, encode_numbered

# -- encoding -------------------------------------------------------------------------------------


class TextEncoder:
    """Entries to text frames. One encoder per viewer.

    An entry's id goes out as `id:` on the frames that it has; a viewer that resumes after the
    last one it saw misses no text. The last frame is exactly one `end` or `error`.
    """

    content_type: Final = "text/event-stream; charset=utf-8"
    headers: Final[Mapping[str, str]] = {}
    keep_alive: Final = encode_comment("keep-alive")

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of an entry, ready to be written; b"" for one without text."""
        event = entry.event
        if type(event) is Deltas:
            numbered = enumerate(event.views, entry.seq)
            return b"".join([_piece(view, entry.epoch, seq) for seq, view in numbered])
        if isinstance(event, Event):
            return _piece(event.payload, entry.epoch, entry.seq)
        return encode_numbered(_JSON.encode(_last_word(event)), "", entry.epoch, entry.seq)


class _Piece(Struct, gc=False):
    text: str


def _piece(payload: Payload, epoch: int, seq: int) -> bytes:
    text = text_in(payload)
    return encode_numbered(_JSON.encode(_Piece(text)), "", epoch, seq) if text else b""


def text_in(payload: Payload) -> str:
    """The text that an event adds to the answer; "" for one that adds none."""
    if isinstance(payload, BlockDelta):  # nearly every event: before the slower `match`
        delta = payload.delta
        return (delta.text or "") if delta.type == "text_delta" else ""
    match payload:
        case BlockStart(content_block=block):
            # Empty from the API itself; other providers open a block with its first words.
            return (block.text or "") if block.type == "text" else ""
        case BlockStop() | MessageStart() | MessageDelta() | MessageStop():
            return ""
        case Ping() | UpstreamError() | Unknown():
            return ""
        case _:
            assert_never(payload)


def _last_word(ended: Ended) -> dict[str, Any]:
    receipt = asdict(ended.receipt)
    if ended.receipt.complete:
        return {"event": "end", **receipt}
    # The reason stands before the message, as a person reads it.
    first = {"event": "error", "reason": ended.reason, "message": ended.error["message"]}
    return {**first, **receipt}


_JSON: Final = msgspec.json.Encoder()
