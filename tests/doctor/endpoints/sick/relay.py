"""A careful relay by hand, the server behind the proxies of this folder: it is not what is sick.

It ends at message_stop, passes statuses on, tells a cut answer from a whole one, times out on
content, closes the upstream when its reader leaves, and on SIGTERM tells those who still read. It
sends no keep-alives.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading

import aiohttp
from aiohttp import web

IDLE_S = 2.0
QUESTION = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "stream": True,
    "messages": [{"role": "user", "content": "Why is the ocean salty?"}],
}


ending = threading.Event()
live: set[asyncio.Timeout] = set()


def frame(**payload: str) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


async def relay(upstream: aiohttp.ClientResponse, answer: web.StreamResponse, idle_s: float) -> str:
    """Pass text on; return why it ended."""
    async with asyncio.timeout(idle_s) as idle:
        live.add(idle)
        try:
            return await relay_until_it_ends(upstream, answer, idle, idle_s)
        finally:
            live.discard(idle)


async def relay_until_it_ends(
    upstream: aiohttp.ClientResponse,
    answer: web.StreamResponse,
    idle: asyncio.Timeout,
    idle_s: float,
) -> str:
    async for line in upstream.content:
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line[5:])
        match event["type"]:
            case "message_stop":
                return "end"
            case "error":
                return str(event["error"]["message"])
            case "ping":
                continue
        idle.reschedule(asyncio.get_running_loop().time() + idle_s)
        if text := event.get("delta", {}).get("text"):
            await answer.write(frame(text=text))
    return "the answer was cut off"


async def refusal_of(upstream: aiohttp.ClientResponse) -> web.Response:
    return web.json_response(
        {"error": (await upstream.json())["error"]["message"]},
        status=upstream.status,
        headers={"retry-after": upstream.headers.get("retry-after", "1")},
    )


async def stream_claude(request: web.Request) -> web.StreamResponse:
    idle_s = float(os.environ.get("RELAY_IDLE_S", IDLE_S))
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    try:
        async with (
            aiohttp.ClientSession() as session,
            asyncio.timeout(idle_s) as head,
            session.post(url, json=QUESTION, headers=headers) as upstream,
        ):
            head.reschedule(None)
            if upstream.status != 200:
                return await refusal_of(upstream)
            await answer.prepare(request)
            why = await relay(upstream, answer, idle_s)
    except TimeoutError:
        why = "the server is shutting down" if ending.is_set() else f"no content for {idle_s} s"
    except aiohttp.ClientError as error:
        why = f"the upstream broke off: {type(error).__name__}"
    if not answer.prepared:
        return web.json_response({"error": why}, status=504)
    await answer.write(frame(event="end") if why == "end" else frame(event="error", message=why))
    await answer.write_eof()
    return answer


async def end_all(_: web.Application) -> None:
    ending.set()
    for idle in live:
        idle.reschedule(asyncio.get_running_loop().time())


app = web.Application()
app.on_shutdown.append(end_all)
app.router.add_post("/stream-claude", stream_claude)

if __name__ == "__main__":
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        print=None,
        handler_cancellation=True,
        shutdown_timeout=3,
    )
