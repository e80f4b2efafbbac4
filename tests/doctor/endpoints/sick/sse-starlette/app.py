"""sse-starlette over the SDK's stream."""

from collections.abc import AsyncIterator

from anthropic import AsyncAnthropic
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

client = AsyncAnthropic()


async def events() -> AsyncIterator[dict[str, str]]:
    async with client.messages.stream(
        model="claude-sonnet-5-5",
        messages=[{"role": "user", "content": "Why is the ocean salty?"}],
        max_tokens=1000,
    ) as stream:
        async for text in stream.text_stream:
            yield {"data": text}
    yield {"event": "end", "data": "[DONE]"}


async def stream_claude(_: Request) -> EventSourceResponse:
    return EventSourceResponse(events())


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
