"""The final Message: what a stream's events add up to, as the official SDKs would say it.

Spec: https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-22; behaviour
compared with the Python SDK 2.12.0 (`get_final_message`). Unknown blocks, fields and usage counts
survive, because they are read from the JSON as it came. This module may not know whether the
stream is over: it can be asked at any moment, and answers with what there is.

Where the SDK would drop or refuse something, this keeps it:

- a delta grows its field whatever its block's type is, known or not;
- a null in `message_delta` says nothing, so it erases nothing;
- skipped and interleaved block indexes are in order of the index;
- a tool input that is not JSON becomes `{"INVALID_JSON": "<as it came>"}`, the API's own advice
  for handing such an input back; one that is merely cut off holds the members that are whole, as
  with the SDK. `broken_inputs` has the text of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, assert_never

from msgspec import Struct

from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    Unknown,
    UpstreamError,
)
from finalstop.wire.anthropic import UNREADABLE, decode_json

# How many tokens of a cut-off tool input are looked at to close it: about 0.2 s of work, and many
# times what a model writes. Beyond it the input is handed on as text, like one that is not JSON.
CLOSING_TOKENS_MAX: Final = 100_000

# What a message_delta may not change: who the message is.
_IDENTITY: Final = frozenset({"id", "type", "role", "model", "content"})


class MessageAccumulator:
    """Adds up the events of one stream, in an order that a lifecycle has accepted."""

    def __init__(self) -> None:
        self.unknown: str | None = None
        """The first thing that could not be added up, e.g. an unknown delta type; or None."""
        self._head: dict[str, Any] = {}
        self._blocks: dict[int, _Growing] = {}

    def add(self, event: Event) -> None:
        """Take the next event. Look at `unknown` afterwards: the sum lacks what it names."""
        payload = event.payload
        match payload:
            case BlockDelta(index=index, delta=delta):
                self._grow(self._blocks[index], delta, event)
            case BlockStart(index=index):
                self._open(index, _object(self._fields(event).get("content_block")))
            case MessageStart():
                self._begin(_object(self._fields(event).get("message")))
            case MessageDelta():
                self._report(self._fields(event))
            case BlockStop() | MessageStop() | Ping() | UpstreamError() | Unknown():
                pass
            case _:
                assert_never(payload)

    def message(self) -> dict[str, Any]:
        """Return the Message so far; {} before `message_start`. Its parts are not to be changed."""
        if not self._head:
            return {}
        return {**self._head, "content": [_finished(block) for block in self._in_order()]}

    def broken_inputs(self) -> dict[int, str]:
        """Return the tool inputs that are not whole JSON: place in `content` -> text as it came."""
        inputs = ((at, _raw_input(block)) for at, block in enumerate(self._in_order()))
        return {at: raw for at, raw in inputs if raw and not _is_json(raw)}

    def _begin(self, message: dict[str, Any]) -> None:
        self._head = message
        for index, block in enumerate(_list(message.get("content"))):
            self._open(index, _object(block))

    def _open(self, index: int, block: dict[str, Any]) -> None:
        self._blocks[index] = _Growing(block)
        match block:
            # After a fallback another model speaks; the SDK puts its name on the message too.
            case {"type": "fallback", "to": {"model": str(model)}}:
                self._head["model"] = model
            case _:
                pass

    def _grow(self, block: _Growing, delta: Delta, event: Event) -> None:
        match delta.type:
            case "text_delta":
                block.text.append(delta.text or "")
            case "input_json_delta":
                block.partial_json.append(delta.partial_json or "")
            case "thinking_delta":
                block.thinking.append(delta.thinking or "")
            case "signature_delta":
                block.fields["signature"] = self._delta(event).get("signature")
            case "citations_delta":
                block.citations.append(self._delta(event).get("citation"))
            case "compaction_delta":
                block.fields |= _without(self._delta(event), "type")
            case unknown:
                self._miss(f"content_block_delta.delta.type={unknown}")

    def _report(self, fields: dict[str, Any]) -> None:
        """Take the stop reason and all else that a `message_delta` says late."""
        late = {**_without(fields, "delta", "usage"), **_object(fields.get("delta"))}
        self._head |= _said(_without(late, *_IDENTITY))
        # Cumulative: a count that is stated again is the newer truth, not an addition.
        before, after = _object(self._head.get("usage")), _object(fields.get("usage"))
        self._head["usage"] = {**before, **_said(after)}

    def _delta(self, event: Event) -> dict[str, Any]:
        return _object(self._fields(event).get("delta"))

    def _fields(self, event: Event) -> dict[str, Any]:
        try:
            return _object(decode_json(event.json))
        except UNREADABLE as error:
            # The view left out what cannot be read, a number beyond all bounds for instance.
            self._miss(f"{event.type}: {error}")
            return {}

    def _miss(self, what: str) -> None:
        self.unknown = self.unknown or what

    def _in_order(self) -> Iterator[_Growing]:
        return (self._blocks[index] for index in sorted(self._blocks))


class _Growing(Struct):
    """A block as it was opened, and the pieces that came since; joined when somebody asks."""

    fields: dict[str, Any]
    text: list[str] = []
    thinking: list[str] = []
    partial_json: list[str] = []
    citations: list[Any] = []


def _finished(block: _Growing) -> dict[str, Any]:
    fields = dict(block.fields)
    for name, pieces in (("text", block.text), ("thinking", block.thinking)):
        if pieces:
            fields[name] = "".join([_str(fields.get(name)), *pieces])
    if block.citations:
        fields["citations"] = [*_list(fields.get("citations")), *block.citations]
    raw = _raw_input(block)
    if raw:
        fields["input"] = _parsed(raw)
    return fields


def _raw_input(block: _Growing) -> str:
    return "".join(block.partial_json).strip()


# -- a tool's input -------------------------------------------------------------------------------


def _parsed(raw: str) -> Any:
    """Return the input: whole, or the members that are whole, or the text under INVALID_JSON."""
    for candidate in (raw, *_closed(raw)):
        try:
            return decode_json(candidate.encode())
        except UNREADABLE:
            continue
    return {"INVALID_JSON": raw}


def _is_json(raw: str) -> bool:
    try:
        decode_json(raw.encode())
    except UNREADABLE:
        return False
    return True


def _closed(raw: str) -> list[str]:
    """Return how cut-off JSON may be closed, best first: behind its last whole value.

    A number or a word at the very end may be whole or not, so the end before it comes second.
    Nothing is returned for what is not cut off, but wrong.
    """
    ends, closers, before, kind = [0, 0], [""], "", None
    for count, token in enumerate(_TOKEN.finditer(raw)):
        if count == CLOSING_TOKENS_MAX:
            return []
        kind, text = token.lastgroup, token[0].strip()
        is_value = before == ":" or closers[-1] == "]"
        if kind == "open":
            closers.append("}" if text == "{" else "]")
        elif (kind == "close" and text != closers.pop()) or (kind == "word" and not is_value):
            return []
        if kind in {"open", "close"} or (kind is not None and is_value):
            ends = [ends[1], token.end()]
        if kind == "close" and len(closers) == 1:
            return [raw[: token.end()]]  # whole; what follows it the SDK ignores as well
        before = text
    rest = "".join(reversed(closers))
    tries = reversed(ends) if kind == "word" else ends[1:]
    return [raw[:end] + rest for end in tries] if rest else []


_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<open>[{\[])|(?P<close>[}\]])|[,:]"""
    r"""|(?P<string>"(?:[^"\\]|\\.)*")|"[^"\\]*(?:\\.[^"\\]*)*\\?|(?P<word>[^\s{}\[\],:"]+))""",
    re.DOTALL,
)


# -- reading foreign JSON -------------------------------------------------------------------------


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
