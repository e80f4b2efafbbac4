"""What a checker sees of the adapters. Never run: `tests/test_typing.py` has it checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_type

import aiohttp.web
import flask

from finalstop import Limits, MemoryLog, Receipt, Relay
from finalstop.adapters.aiohttp import respond as aiohttp_respond
from finalstop.adapters.background import BackgroundRelay, drain_on_signals
from finalstop.adapters.flask import respond as flask_respond
from finalstop.adapters.wsgi import respond as wsgi_respond
from finalstop.adapters.wsgi import stream_response


def saved(receipt: Receipt, message: dict[str, Any]) -> None:
    """Save an answer."""


def flask_view(source: object, relay: BackgroundRelay) -> None:
    answer = flask_respond(
        flask.request,
        source,
        format="text",
        relay=relay,
        limits=Limits(),
        linger_s=1.0,
        principal="me",
        on_end=saved,
    )
    assert_type(answer, flask.Response)


async def aiohttp_handler(request: aiohttp.web.Request, source: object, relay: Relay) -> None:
    answer = await aiohttp_respond(
        request,
        source,
        format="text",
        relay=relay,
        limits=Limits(),
        linger_s=1.0,
        principal="me",
        on_end=saved,
    )
    assert_type(answer, aiohttp.web.StreamResponse)


def wsgi_app(environ: dict[str, Any], source: object) -> None:
    status, headers, body = stream_response(source, environ=environ)
    assert_type(status, int)
    assert_type(headers, list[tuple[str, str]])
    assert_type(body, Iterable[bytes])
    assert_type(wsgi_respond(environ, lambda _status, _headers: None, source), Iterable[bytes])


def set_up() -> BackgroundRelay:
    relay = BackgroundRelay(lambda: Relay(MemoryLog(Limits()), Limits()))
    assert_type(drain_on_signals(relay), None)
    return relay
