"""Starlette over the official SDK's stream: its own bare loop, and the library beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from anthropic import AsyncAnthropic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from finalstop.adapters.starlette import respond

client = AsyncAnthropic(max_retries=0)


async def bare(request: Request) -> Response:
    """The SDK's loop and nothing else."""
    body = await request.json()

    async def frames() -> AsyncIterator[str]:
        stream = await client.messages.create(
            model=body["model"],
            max_tokens=body["max_tokens"],
            messages=body["messages"],
            stream=True,
        )
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield f"data: {json.dumps({'text': event.delta.text})}\n\n"
        yield 'data: {"event": "end"}\n\n'

    return StreamingResponse(frames(), media_type="text/event-stream")


async def ours(request: Request) -> Response:
    """The same stream object, handed to the library."""
    body = await request.json()
    stream = client.messages.create(
        model=body["model"],
        max_tokens=body["max_tokens"],
        messages=body["messages"],
        stream=True,
    )
    return respond(request, stream, format="text")


app = Starlette(
    routes=[Route("/bare", bare, methods=["POST"]), Route("/ours", ours, methods=["POST"])]
)
