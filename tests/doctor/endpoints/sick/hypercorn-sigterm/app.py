"""FastAPI on hypercorn: SIGTERM cuts a live stream after its grace time, without an end."""

from collections.abc import AsyncIterator

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()
client = AsyncAnthropic()


@app.post("/stream-claude", response_class=EventSourceResponse)
async def stream_claude() -> AsyncIterator[ServerSentEvent]:
    stream = await client.messages.create(
        model="claude-sonnet-5-5",
        messages=[{"role": "user", "content": "Why is the ocean salty?"}],
        max_tokens=1000,
        stream=True,
    )
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            yield ServerSentEvent(data={"text": event.delta.text})
    yield ServerSentEvent(event="end", data={})
