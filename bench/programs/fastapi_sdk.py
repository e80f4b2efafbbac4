"""FastAPI over the official SDK, as everyone writes it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
client = AsyncAnthropic()


@app.post("/stream-claude")
async def stream_claude(body: dict[str, Any]) -> StreamingResponse:
    """Relay the text of an answer."""

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
