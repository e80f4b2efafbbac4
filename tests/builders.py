"""Events by name, for tests. Honest ones: the JSON is encoded once and the view is decoded from it.

Any test may use them; they know `core.events` and nothing of SSE. Defaults are what the API sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from finalstop.core.events import (
    KNOWN_TYPES,
    BlockDelta,
    Deltas,
    Event,
    Known,
    Payload,
    Unknown,
    is_lean,
)
from finalstop.core.receipt import Ended

VIEW: Final[msgspec.json.Decoder[Known]] = msgspec.json.Decoder(Known)

MODEL: Final = "claude-sonnet-5-5"
USAGE_AT_START: Final = {"input_tokens": 12, "output_tokens": 1}
USAGE_AT_END: Final = {"output_tokens": 7}
OVERLOADED: Final = {"type": "overloaded_error", "message": "Overloaded"}


def event(body: dict[str, Any]) -> Event:
    """The event whose JSON is `body`, which must have a `type`.

    Raises:
        msgspec.ValidationError: a known type of the wrong shape.
    """
    json = msgspec.json.encode(body)
    type_: str = body["type"]
    payload: Payload = VIEW.decode(json) if type_ in KNOWN_TYPES else Unknown(type_)
    return Event(type_, payload, json, isinstance(payload, BlockDelta) and is_lean(json))


def together(*events: Event) -> Deltas:
    """Deltas, as one read brings them."""
    views = [event.payload for event in events if isinstance(event.payload, BlockDelta)]
    assert len(views) == len(events)
    return Deltas(views, [event.json for event in events], sum(len(it.json) for it in events))


def apart(batch: Iterable[Event | Deltas | Ended]) -> list[Event | Ended]:
    """A batch, its deltas one by one."""
    single: list[Event | Ended] = []
    for it in batch:
        single += it.events() if isinstance(it, Deltas) else [it]
    return single


# -- the message ----------------------------------------------------------------------------------


def message_start(*, model: str = MODEL, usage: dict[str, Any] | None = USAGE_AT_START) -> Event:
    """`message_start`; with `usage=None` it states none, as some lenient providers do."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return event({"type": "message_start", "message": message})


def message_delta(
    stop_reason: str | None = "end_turn", *, usage: dict[str, Any] | None = USAGE_AT_END
) -> Event:
    """`message_delta`: the stop reason and the cumulative usage, or only one of them."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return event({"type": "message_delta", "delta": delta, "usage": usage})


def message_stop() -> Event:
    return event({"type": "message_stop"})


# -- its blocks -----------------------------------------------------------------------------------


def block_start(index: int = 0, type: str = "text", **fields: Any) -> Event:
    """`content_block_start` of any type, with exactly these fields in its block."""
    block = {"type": type, **fields}
    return event({"type": "content_block_start", "index": index, "content_block": block})


def text_start(index: int = 0, text: str = "") -> Event:
    return block_start(index, "text", text=text)


def thinking_start(index: int = 0) -> Event:
    return block_start(index, "thinking", thinking="", signature="")


def tool_start(index: int = 0, id: str = "toolu_1", name: str = "get_weather") -> Event:
    return block_start(index, "tool_use", id=id, name=name, input={})


def block_delta(index: int = 0, type: str = "text_delta", **fields: Any) -> Event:
    """`content_block_delta` of any type, with exactly these fields in its delta."""
    delta = {"type": type, **fields}
    return event({"type": "content_block_delta", "index": index, "delta": delta})


def text_delta(text: str, index: int = 0) -> Event:
    return block_delta(index, "text_delta", text=text)


def thinking_delta(thinking: str, index: int = 0) -> Event:
    return block_delta(index, "thinking_delta", thinking=thinking)


def signature_delta(signature: str = "EqQB", index: int = 0) -> Event:
    return block_delta(index, "signature_delta", signature=signature)


def input_json_delta(partial_json: str, index: int = 0) -> Event:
    return block_delta(index, "input_json_delta", partial_json=partial_json)


def citations_delta(index: int = 0) -> Event:
    citation = {"type": "char_location", "cited_text": "salt", "document_index": 0}
    return block_delta(index, "citations_delta", citation=citation)


def block_stop(index: int = 0) -> Event:
    return event({"type": "content_block_stop", "index": index})


# -- the rest -------------------------------------------------------------------------------------


def ping() -> Event:
    return event({"type": "ping"})


def error(body: dict[str, Any] = OVERLOADED, *, request_id: str | None = None) -> Event:
    """An `error` event whose `error` object is `body`."""
    return event({"type": "error", "error": body, "request_id": request_id})


def unknown(type: str = "heartbeat", **fields: Any) -> Event:
    """An event of a type that this version has no name for."""
    return event({"type": type, **fields})


def answer(*texts: str, stop_reason: str = "end_turn") -> list[Event]:
    """A whole, healthy answer: one text block that grows by each of `texts`."""
    return [
        message_start(),
        text_start(),
        *(text_delta(text) for text in texts),
        block_stop(),
        message_delta(stop_reason),
        message_stop(),
    ]
