"""Starlette with a relay of its own, whose drain is short: what shutdown looks like in a second.

Where READY says so, the signals are listened to from the start, else from the first request on.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.starlette import respond
from finalstop.shared import drain_on_signals

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))
relays: list[Relay] = []


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    the_relay()
    yield


def the_relay() -> Relay:
    if not relays:
        relays.append(Relay(MemoryLog(LIMITS), LIMITS))
    drain_on_signals(relays[0])
    return relays[0]


async def stream_claude(request: Request) -> Response:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, format=body.get("format", "text"), relay=the_relay())


routes = [Route("/stream-claude", stream_claude, methods=["POST"])]
app = Starlette(routes=routes, lifespan=lifespan if os.environ.get("READY") else None)
