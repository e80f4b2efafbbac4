"""The native language: server-sent events of the Anthropic Messages API, both ways.

Spec: https://platform.claude.com/docs/en/build-with-claude/streaming and .../api/errors, version
2026-10-21, read 2026-11-22. Encoding passes on what came: an event's JSON is never serialised
again. Decoding takes the one look at it that finds bad JSON and tells the lifecycle what it must
know. This module may not know what order events belong in, or whether a stream is over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import msgspec
from msgspec import Struct

from finalstop.core.endings import Refusal, error_type_of
from finalstop.core.events import (
    KNOWN_TYPES,
    SHORT_BYTES,
    BlockDelta,
    BlockStart,
    BlockStop,
    Deltas,
    Entry,
    Event,
    Known,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    Unknown,
    UpstreamError,
    is_lean,
    view_of,
)
from finalstop.core.receipt import Ended
from finalstop.wire.frames import encode_frame, encode_numbered, encode_run
from finalstop.wire.sse import Frame

# How much of a body that is not an API error is told: enough to recognise a proxy by its words.
EXCERPT_CHARACTERS: Final = 200

# What reading bytes as JSON can raise; a too deep nesting is the RecursionError, and a number of
# thousands of digits the ValueError (which UnicodeDecodeError is as well).
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, ValueError)


# -- encoding -------------------------------------------------------------------------------------


class AnthropicEncoder:
    """Entries to frames as the API itself would send them. One encoder per viewer.

    An entry's id goes out as `id:`, so that a viewer can resume. A failed stream ends with the
    API's own `error` event plus our receipt; `message_stop` is only ever the upstream's.
    """

    content_type: Final = "text/event-stream; charset=utf-8"
    headers: Final[Mapping[str, str]] = {}
    keep_alive: Final = encode_frame(b'{"type": "ping"}', event="ping")

    def encode(self, entry: Entry) -> bytes:
        """Return the frames of an entry, ready to be written."""
        event = entry.event
        if type(event) is Deltas:
            return encode_run(event.jsons, "content_block_delta", entry.epoch, entry.seq)
        if isinstance(event, Event):
            name, data = event.type, event.json
        elif event.receipt.complete:
            name, data = "message_stop", event.json
        else:
            name, data = "error", error_body(event)
        try:
            return encode_numbered(data, name, entry.epoch, entry.seq)
        except ValueError:
            # An unknown event may be called anything, also what no SSE field can carry. Its JSON
            # still says what it is.
            return encode_numbered(data, "", entry.epoch, entry.seq)


def error_body(ended: Ended) -> bytes:
    """Return the JSON of a failed stream's end: an API error, with our receipt beside it.

    It is the data of the last frame, and the whole body when the response head was not sent yet.
    """
    assert not ended.receipt.complete
    return msgspec.json.encode(
        {
            "type": "error",
            "error": ended.error,
            "request_id": ended.receipt.request_id,
            "finalstop": ended.receipt,
        }
    )


# -- decoding -------------------------------------------------------------------------------------


def decode_deltas(chunk: bytes) -> Deltas | None:
    """Return the short deltas that a chunk consists of; None if it holds anything else.

    Nearly every chunk of a stream is such a one, and needs no frames. It must begin where an event
    begins (`SSEDecoder.would_begin`). Of all others, and of all that is not as plain as the API
    itself writes it, the decoder and `decode_event` say what it is.
    """
    size = len(_DELTA_HEAD)
    if chunk[:size] != _DELTA_HEAD or chunk[-2:] != b"\n\n" or _CR in chunk:
        return None
    jsons = chunk[size:-2].split(_DELTA_BREAK)
    views: list[BlockDelta] = []
    try:
        if not chunk.isascii():
            chunk.decode()
        for json in jsons:
            view = view_of(json)
            if type(view) is not BlockDelta or len(json) > SHORT_BYTES or _LF in json:
                return None
            views.append(view)
    except UNREADABLE:
        return None
    return Deltas(views, jsons, len(chunk) - len(_DELTA_BREAK) * len(jsons))


class Malformed(Struct, frozen=True):
    """A frame that is not an event of this API; `detail` is one sentence for a person."""

    detail: str


def decode_event(frame: Frame) -> Event | Malformed:
    """Return what a frame says. Never raises, whatever the frame's data.

    The JSON's `type` says what it is; the frame's `event` stands in only where that is missing.
    An unknown type is an event like any other. A null counts as absent: some providers write
    `"usage": null`. Half of a surrogate pair, which proxies that cut text by UTF-16 units send,
    reads as U+FFFD here and passes on as it came.
    """
    if not frame.malformed:
        try:
            payload = view_of(frame.data)
        except UNREADABLE:
            return _decode_odd(frame)
        kind, json = type(payload), frame.data
        return Event(_TYPE_OF[kind], payload, json, kind is BlockDelta and is_lean(json))
    return Malformed("The data is not valid UTF-8.")


def decode_json(data: bytes) -> Any:
    """Return what JSON says, halves of surrogate pairs as U+FFFD.

    Raises:
        msgspec.DecodeError, RecursionError, ValueError: it is not JSON, or none that can be
            read; `UNREADABLE` names them all.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_without_half_pair, data)
        if mended == data:
            raise
        return msgspec.json.decode(mended)


def _decode_odd(frame: Frame) -> Event | Malformed:
    """Decode what the one fast look did not take: unknown types, nulls, and what is no event."""
    try:
        value = decode_json(frame.data)
    except UNREADABLE as error:
        return Malformed(f"The data cannot be read as JSON: {error}.")
    if not isinstance(value, dict):
        return Malformed("The data is JSON, but not an object: at `$`.")
    type_ = value.get("type")
    type_ = frame.event if type_ is None else type_
    if not isinstance(type_, str) or not type_:
        return Malformed("The event does not say what it is: a string is needed at `$.type`.")
    if type_ not in KNOWN_TYPES:
        return Event(type_, Unknown(type_), frame.data)
    return _decode_known(type_, value, frame.data)


def _decode_known(type_: str, value: dict[str, Any], data: bytes) -> Event | Malformed:
    try:
        view = {**_without_nulls(value), "type": type_}
        return Event(type_, msgspec.convert(view, Known), data)
    except (msgspec.ValidationError, RecursionError) as error:
        return Malformed(f"The event is not a {type_}: {error}.")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _without_half_pair(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape["half"] else escape[0]


_CR: Final = 0x0D
_LF: Final = 0x0A
_DELTA_HEAD: Final = b"event: content_block_delta\ndata: "
_DELTA_BREAK: Final = b"\n\n" + _DELTA_HEAD

_TYPE_OF: Final[dict[type, str]] = {
    MessageStart: "message_start",
    BlockStart: "content_block_start",
    BlockDelta: "content_block_delta",
    BlockStop: "content_block_stop",
    MessageDelta: "message_delta",
    MessageStop: "message_stop",
    Ping: "ping",
    UpstreamError: "error",
}
# RFC 8259 section 7: an escape is one character, or a surrogate pair written as two `\u`.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"
    rb"|(?P<half>u[Dd][89A-Fa-f][0-9A-Fa-f]{2})|.)",
    re.DOTALL,
)


# -- a response that is not a stream --------------------------------------------------------------


def decode_refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, http_now: float | None = None
) -> Refusal:
    """Return the upstream's refusal: a non-2xx response, under lower-case header names.

    The API's own `error` object is kept whole. Any other body (a proxy's page, an empty one)
    becomes an error of the type that the status means, and a message that names what came.
    `http_now`, in seconds since 1970, turns a `retry-after` date into seconds; without it a date
    says nothing. Never raises.
    """
    error = _api_error_in(body)
    if error is None:
        message = _described(status, headers.get("content-type", ""), body)
        error = {"type": error_type_of(status), "message": message}
    should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    return Refusal(status, error, _retry_after_s(headers, http_now), should_retry)


def request_id_of(headers: Mapping[str, str], body: bytes = b"") -> str | None:
    """Return the upstream's request id: from the response's head, else from an error's body."""
    said = headers.get("request-id") or _body_fields(body).get("request_id")
    return said if isinstance(said, str) else None


def _body_fields(body: bytes) -> dict[str, Any]:
    try:
        value = decode_json(body)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def _api_error_in(body: bytes) -> dict[str, Any] | None:
    match _body_fields(body).get("error"):
        case {"type": str(), "message": str()} as error:
            return error
        case _:
            return None


def _described(status: int, content_type: str, body: bytes) -> str:
    media_type = content_type.partition(";")[0].strip().lower()
    said = f"The upstream answered {status} with {media_type or 'no content type'}"
    excerpt = _excerpt(media_type, body)
    return f"{said}, not with an API error{': ' if excerpt else '.'}{excerpt}"


def _excerpt(media_type: str, body: bytes) -> str:
    """Return the first words of a text body; of a page or of bytes nothing at all."""
    is_text = media_type.startswith("text/") or media_type.endswith("json")
    if not is_text or "html" in media_type or body.lstrip().startswith(b"<"):
        return ""
    # Four bytes are the most that one character takes.
    words = body[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace").split()
    return "".join(char for char in " ".join(words) if char.isprintable())[:EXCERPT_CHARACTERS]


def _retry_after_s(headers: Mapping[str, str], http_now: float | None) -> float | None:
    """Return the wait that was asked for; a date that is over is a wait of 0.

    RFC 9110 section 10.2.3: seconds or a date. The milliseconds are the API's own, finer word.
    """
    in_ms = _seconds(headers.get("retry-after-ms", ""))
    if in_ms is not None:
        return in_ms / 1000
    value = headers.get("retry-after", "")
    in_s = _seconds(value)
    if in_s is not None or http_now is None:
        return in_s
    date_s = _http_date_s(value)
    return None if date_s is None else max(0.0, date_s - http_now)


def _http_date_s(text: str) -> float | None:
    # They cost a third of `import finalstop`, and few programs ever see a date here.
    from calendar import timegm  # noqa: PLC0415
    from email.utils import parsedate_tz  # noqa: PLC0415

    date = parsedate_tz(text)
    return None if date is None else timegm(date[:6]) - (date[9] or 0)


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None
