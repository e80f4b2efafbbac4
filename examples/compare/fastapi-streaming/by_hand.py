"""FastAPI's StreamingResponse over the SDK's text, as everyone writes it. Not one to copy."""

import json
from collections.abc import AsyncIterator

import anthropic
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

app = FastAPI()
client = anthropic.AsyncAnthropic()


@app.post("/stream-claude")
async def stream_claude(request: Request) -> StreamingResponse:
    """Answer with a stream of text."""
    body = await request.json()

    async def generate() -> AsyncIterator[str]:
        async with client.messages.stream(
            model=body["model"], max_tokens=1000, messages=body["messages"]
        ) as stream:
            async for text in stream.text_stream:
                yield f"data: {json.dumps({'text': text})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(generate(), media_type="text/event-stream")
