"""Request bodies: read within bounds, checked, and changed as little as can be.

A field is decoded only where the gateway must look at it. Everything else is `msgspec.Raw`, so
what the client wrote goes upstream byte for byte, also the fields of next month's beta.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import StreamReader, web

from finalstop.core.limits import Limits
from finalstop.gateway.errors import RequestError

Fields = dict[str, msgspec.Raw]

_FIELDS = msgspec.json.Decoder(Fields)


async def read_fields(request: web.Request, limits: Limits) -> tuple[bytes, Fields]:
    """The body as it came, and its top-level fields, undecoded.

    Raises:
        RequestError: 400, 408, 413 or 415, saying what was wrong.
    """
    if request.content_type != "application/json":
        # Not `content_type`, which has a default.
        given = request.headers.get("content-type", "none")[:60]
        raise RequestError(415, f"content-type must be application/json, not {given}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "Encoded request bodies are not accepted; send it plain.")
    # Said at once: aiohttp would take in body_bytes of it first.
    _check_size(request.content_length or 0, limits)
    body = await _read(request, limits)
    try:
        return body, _FIELDS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"The body is not a JSON object: {error}.") from None


async def _read(request: web.Request, limits: Limits) -> bytes:
    content = request.content
    if content.is_eof():  # it has come with the head, as most do
        body = content.read_nowait()
        _check_size(len(body), limits)
        return body
    try:
        async with asyncio.timeout(limits.body_s):
            return await _whole(content, limits)
    except TimeoutError:
        message = f"The request body did not arrive within body_s={limits.body_s:g}."
        raise RequestError(408, message) from None


async def _whole(content: StreamReader, limits: Limits) -> bytes:
    # Not `request.read`: the request would keep it as long as the answer streams.
    pieces, size = [], 0
    while piece := await content.readany():
        size += len(piece)
        _check_size(size, limits)
        pieces.append(piece)
    return b"".join(pieces)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.body_bytes:
        raise web.HTTPRequestEntityTooLarge(limits.body_bytes, size)


def boolean(fields: Fields, name: str, *, default: bool) -> bool:
    """A boolean field.

    Raises:
        RequestError: 400: it is something else.
    """
    if name not in fields:
        return default
    value = _decoded(fields, name)
    if not isinstance(value, bool):
        raise RequestError(400, f"{name} must be true or false, not {_shown(value)}.")
    return value


def plain_fields(fields: Fields, *, model: str, max_tokens: int) -> Fields:
    """Messages API fields from a `/stream-claude` body: `prompt`, or any of the API's own.

    Raises:
        RequestError: 400: neither or both of `prompt` and `messages`, or no stream wanted.
    """
    if not boolean(fields, "stream", default=True):
        message = "stream must be true or absent here; POST /v1/messages answers as a whole."
        raise RequestError(400, message)
    out = dict(fields)
    if "prompt" in out:
        if "messages" in out:
            raise RequestError(400, "Give prompt or messages, not both.")
        prompt = _decoded(out, "prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise RequestError(400, "prompt must be a text that is not empty.")
        del out["prompt"]
        out["messages"] = _raw([{"role": "user", "content": prompt}])
    elif "messages" not in out:
        raise RequestError(400, 'Give a prompt, e.g. {"prompt": "Why is the sea salty?"}.')
    out.setdefault("model", _raw(model))
    out.setdefault("max_tokens", _raw(max_tokens))
    return out


def streaming_body(fields: Fields) -> bytes:
    """The body to send upstream: the same fields, with `stream` true."""
    return msgspec.json.encode({**fields, "stream": _raw(obj=True)})


def _decoded(fields: Fields, name: str) -> Any:
    try:
        return msgspec.json.decode(fields[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, f"{name} is not valid JSON: {error}.") from None


def _raw(obj: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(obj))


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()[:40]
