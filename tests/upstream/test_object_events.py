"""Items as bytes: chunks as they are, events as they came, and nothing that the API never said."""

import dataclasses
import json
import warnings
from typing import Any

import msgspec
import pytest
from anthropic.lib.streaming import (
    InputJsonEvent,
    ParsedContentBlockStopEvent,
    ParsedMessageStopEvent,
    TextEvent,
)
from anthropic.lib.streaming._types import CitationEvent, SignatureEvent, ThinkingEvent
from anthropic.types import RawContentBlockDeltaEvent, RawMessageStartEvent, TextBlock
from anthropic.types.parsed_message import ParsedMessage

from finalstop.upstream.object_events import HELPER_TYPES, Piece, piece_of

STOP = {"type": "content_block_stop", "index": 0}
UNKNOWN = {"type": "news", "of": {"a": [1, None, "ü"]}}


@dataclasses.dataclass
class Plain:
    type: str
    index: int


class Fast(msgspec.Struct):
    type: str
    index: int


class Old:
    """An event of a model that is not pydantic's."""

    type = "content_block_stop"

    def to_dict(self):
        return {**STOP, "content_block": {"type": "text"}}


class Modelled:
    """An event of a pydantic model."""

    type = "message_stop"

    def model_dump(self, *, exclude, by_alias, exclude_unset, warnings):
        assert (by_alias, exclude_unset, warnings) == (True, True, False)
        return {"type": "message_stop", **({} if "message" in exclude else {"message": 1})}


def delta(**fields):
    return RawContentBlockDeltaEvent.construct(type="content_block_delta", index=0, delta=fields)


# what,                          the item,                                       what the API said
EVENTS = [
    ("a dict", STOP, STOP),
    ("a dict of an unknown type", UNKNOWN, UNKNOWN),
    ("a dict without a type", {"a": 1}, {"a": 1}),
    ("a dict with a snapshot", STOP | {"content_block": {"type": "text"}}, STOP),
    ("a dict whose end has a snapshot", {"type": "message_stop", "message": {}},
     {"type": "message_stop"}),
    ("a start keeps its block", {"type": "content_block_start", "content_block": {}},
     {"type": "content_block_start", "content_block": {}}),
    ("a start keeps its message", {"type": "message_start", "message": {}},
     {"type": "message_start", "message": {}}),
    ("a dataclass", Plain("content_block_stop", 0), STOP),
    ("a Struct", Fast("content_block_stop", 0), STOP),
    ("an object with to_dict", Old(), STOP),
    ("a model with a snapshot", Modelled(), {"type": "message_stop"}),
    ("the SDK's event", delta(type="text_delta", text="hi"),
     {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
    ("the SDK's event of an unknown type", delta(type="news", of={"a": None}),
     {"type": "content_block_delta", "index": 0, "delta": {"type": "news", "of": {"a": None}}}),
    ("what was never said is not said", RawMessageStartEvent.construct(
        type="message_start", message={"id": "m"}),
     {"type": "message_start", "message": {"id": "m"}}),
    ("half a surrogate pair", {"type": "news", "a": ["x\ud83d", 1], "\udc00": None},
     {"type": "news", "a": ["x\ufffd", 1], "\ufffd": None}),
    ("JSON that is no event", [1], [1]),
    ("no JSON object at all", None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "said"), [row[1:] for row in EVENTS], ids=[row[0] for row in EVENTS]
)
def test_an_event_is_the_json_that_it_came_from(item, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        piece = piece_of(item)
    assert piece is not None
    assert piece.is_event
    assert json.loads(piece.data) == said


@pytest.mark.parametrize("chunk", [b"data: {}", bytearray(b"data: {}"), memoryview(b"data: {}")])
def test_bytes_are_a_chunk_as_they_are(chunk):
    assert piece_of(chunk) == Piece(b"data: {}", is_event=False)


HELPERS: list[Any] = [
    TextEvent.construct(type="text", text="a", snapshot="a"),
    ThinkingEvent.construct(type="thinking", thinking="a", snapshot="a"),
    SignatureEvent.construct(type="signature", signature="a"),
    InputJsonEvent.construct(type="input_json", partial_json="{", snapshot={}),
    CitationEvent.construct(type="citation", citation={}, snapshot=[]),
    {"type": "compaction", "content": ""},
]


@pytest.mark.parametrize("item", HELPERS, ids=lambda it: type(it).__name__)
def test_what_the_sdks_helper_adds_is_left_out(item):
    assert piece_of(item) is None


def test_every_helper_type_has_its_test():
    said = {it["type"] if isinstance(it, dict) else it.type for it in HELPERS}
    assert said == HELPER_TYPES


def test_the_sdks_own_snapshots_are_taken_out_again():
    block = TextBlock.construct(type="text", text="a")
    message = ParsedMessage.construct(content=[block])
    stop = ParsedContentBlockStopEvent.construct(
        type="content_block_stop", index=0, content_block=block
    )
    end = ParsedMessageStopEvent.construct(type="message_stop", message=message)
    pieces = [piece_of(stop), piece_of(end)]
    said = [json.loads(piece.data) for piece in pieces if piece is not None]
    assert said == [STOP, {"type": "message_stop"}]


@pytest.mark.parametrize("item", ["a secret", ("type", "ping"), object(), Plain])
def test_anything_else_is_refused_by_the_name_of_its_type(item):
    with pytest.raises(TypeError, match=f"gave {type(item).__name__}; events or bytes") as raised:
        piece_of(item)
    assert "secret" not in str(raised.value)
