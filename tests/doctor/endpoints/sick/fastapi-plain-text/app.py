"""Plain text tokens: the format has no word for a failure, and a cut answer looks whole."""

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
            yield text


@app.post("/stream-claude")
async def stream_claude() -> StreamingResponse:
    return StreamingResponse(tokens(), media_type="text/plain")
