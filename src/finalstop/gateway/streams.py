"""The routes about a stream: its receipt, its Message, and its stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from finalstop.core.endings import EndReason
from finalstop.core.receipt import Ended
from finalstop.gateway.errors import RequestError, ended_response
from finalstop.gateway.front import FRONT, stream_headers
from finalstop.gateway.messages import message_response
from finalstop.runtime.stream import Stream


async def receipt(request: web.Request) -> web.Response:
    """`GET /streams/{id}/receipt`: 200 with the receipt; before the end 202, or wait `?wait=`."""
    stream = _stream_of(request)
    ended = await _ended_within(request, stream)
    return _pending(stream) if ended is None else _receipt_response(stream, ended)


async def message(request: web.Request) -> web.Response:
    """`GET /streams/{id}/message`: the Message of a complete stream; before the end 202.

    A failed stream answers with its error and true status, and what there is under `partial`.
    """
    stream = _stream_of(request)
    ended = await _ended_within(request, stream)
    if ended is None:
        return _pending(stream)
    if ended.receipt.complete:
        return await message_response(stream, ended)
    response = ended_response(stream, ended)
    partial, _ = await stream.message()
    assert isinstance(response.body, bytes)
    fields = msgspec.json.decode(response.body)
    response.body = msgspec.json.encode({**fields, "partial": partial or None})
    return response


async def stop(request: web.Request) -> web.Response:
    """`DELETE /streams/{id}`: stop it. Idempotent: 200 and the same receipt each time."""
    stream = _stream_of(request)
    stream.end(EndReason.STOPPED, "Stopped with DELETE.")
    ended = stream.ended
    assert ended is not None
    return _receipt_response(stream, ended)


def _stream_of(request: web.Request) -> Stream:
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    return front.relay.find(request.match_info["id"], principal=admission.principal)


async def _ended_within(request: web.Request, stream: Stream) -> Ended | None:
    wait_s = _wait_s(request)
    if wait_s and stream.ended is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stream.receipt()
    return stream.ended


def _wait_s(request: web.Request) -> float:
    given = request.query.get("wait", "0")
    most_s = request.app[FRONT].limits.deadline_s
    try:
        wait_s = float(given)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= most_s:
        raise RequestError(400, f"wait must be 0 to {most_s:g} seconds, not {given[:40]}.")
    return wait_s


def _pending(stream: Stream) -> web.Response:
    body = {"stream": stream.id, "status": "live", "retry": "ask again, or add ?wait=SECONDS"}
    response = web.json_response(body, status=202)
    response.headers.update(stream_headers(stream))
    return response


def _receipt_response(stream: Stream, ended: Ended) -> web.Response:
    response = web.Response(body=ended.receipt.to_json(), content_type="application/json")
    response.headers.update(stream_headers(stream))
    return response
