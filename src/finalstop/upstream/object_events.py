"""The items of an object, as bytes: chunks as they are, events as the JSON that they came from.

An SDK's streaming helper adds events of its own between the API's, and snapshots to some of the
API's; both are taken out again here. It may not know what an event means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct

from finalstop.upstream.object_kinds import NotAStreamError

# What the SDK's helper says beside the API's events (anthropic 2.12, lib/streaming); on the wire
# there are no such types.
HELPER_TYPES: Final = frozenset(
    {"text", "citation", "thinking", "signature", "input_json", "compaction"}
)
# What the SDK's helper adds to an event of the API: a copy of all that came before it.
SNAPSHOTS: Final[Mapping[str, str]] = {
    "content_block_stop": "content_block",
    "message_stop": "message",
}


class Piece(Struct, frozen=True, gc=False):
    """One item: a chunk of an SSE body, or the JSON of one event (`is_event`)."""

    data: bytes
    is_event: bool


def piece_of(item: object) -> Piece | None:
    """What an item of an object's iterator says; None for what the API never said.

    Raises:
        NotAStreamError: neither bytes nor an event; the message names its type only.
    """
    if isinstance(item, (bytes, bytearray, memoryview)):
        return Piece(bytes(item), is_event=False)
    if item is None or isinstance(item, (list, int, float)):
        # What an SDK makes of JSON that is no event: it is for the decoder to say so.
        return Piece(msgspec.json.encode(item), is_event=True)
    said = getattr(item, "type", None) or (item.get("type") if isinstance(item, Mapping) else None)
    if said in HELPER_TYPES:
        return None
    return Piece(_json_of(_fields_of(item, SNAPSHOTS.get(str(said), ""))), is_event=True)


def _fields_of(item: Any, snapshot: str) -> dict[str, Any]:
    """The event as the API sent it: under the API's names, without what it never said."""
    if callable(getattr(item, "model_dump", None)):
        # Without warnings: blocks newer than the SDK are no news here.
        fields = item.model_dump(
            by_alias=True, exclude_unset=True, warnings=False, exclude={snapshot}
        )
    elif callable(getattr(item, "to_dict", None)):
        fields = item.to_dict()
    elif isinstance(item, Mapping):
        fields = dict(item)
    elif isinstance(item, Struct) or (is_dataclass(item) and not isinstance(item, type)):
        fields = msgspec.to_builtins(item)
    else:
        raise NotAStreamError(f"the source gave {type(item).__name__}; events or bytes are needed")
    return {name: value for name, value in fields.items() if name != snapshot}


def _json_of(fields: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(fields))


def _mended(value: Any) -> Any:
    """The same with halves of surrogate pairs as U+FFFD: JSON can name them, UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, (list, tuple)) else value
