"""The aiohttp handler of the issue, with the real SDK; `python -m` runs it under its own runner.

A port may follow; else it finds one, and says which.
"""

import os
import socket
import sys

import anthropic
from aiohttp import web

from finalstop import MemoryLog, Relay
from finalstop.adapters.aiohttp import respond
from finalstop.shared import drain_on_signals
from tests.adapters.apps.terms import LIMITS, limits_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
CANCELLATION = os.environ.get("HANDLER_CANCELLATION") == "1"
RELAY = web.AppKey("RELAY", Relay)


async def stream_claude(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    plain = body.get("format", "text")
    return await respond(
        request, source, format=plain, limits=limits_of(body), relay=request.app[RELAY]
    )


async def set_up(app: web.Application) -> None:
    app[RELAY] = Relay(MemoryLog(LIMITS), LIMITS)
    drain_on_signals(app[RELAY])


app = web.Application()
app.router.add_post("/stream-claude", stream_claude)
app.on_startup.append(set_up)

if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 0
    listening = socket.create_server(("127.0.0.1", port))
    sys.stderr.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    web.run_app(app, sock=listening, handler_cancellation=CANCELLATION, print=None, access_log=None)
