"""What every tutorial shows: a generator over `text_stream`, in a StreamingResponse."""

from collections.abc import AsyncIterator

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
client = AsyncAnthropic()


async def tokens() -> AsyncIterator[str]:
    async with client.messages.stream(
        model="claude-sonnet-5-5",
        messages=[{"role": "user", "content": "Why is the ocean salty?"}],
        max_tokens=1000,
    ) as stream:
        async for text in stream.text_stream:
            yield f"data: {text}\n\n"
    yield "data: [DONE]\n\n"


@app.post("/stream-claude")
async def stream_claude() -> StreamingResponse:
    return StreamingResponse(tokens(), media_type="text/event-stream")
