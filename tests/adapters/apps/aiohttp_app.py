"""The aiohttp handler of the issue, with the real SDK; `python -m` runs it under its own runner."""

import json
import os
import socket
import sys

import anthropic
from aiohttp import web

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.aiohttp import respond
from finalstop.shared import drain_on_signals

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))
CANCELLATION = os.environ.get("HANDLER_CANCELLATION") == "1"
RELAY = web.AppKey("RELAY", Relay)


async def stream_claude(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return await respond(
        request, source, format=body.get("format", "text"), relay=request.app[RELAY]
    )


async def set_up(app: web.Application) -> None:
    app[RELAY] = Relay(MemoryLog(LIMITS), LIMITS)
    drain_on_signals(app[RELAY])


app = web.Application()
app.router.add_post("/stream-claude", stream_claude)
app.on_startup.append(set_up)

if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stderr.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    web.run_app(app, sock=listening, handler_cancellation=CANCELLATION, print=None, access_log=None)
