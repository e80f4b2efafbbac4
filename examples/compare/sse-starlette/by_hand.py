"""sse-starlette over the SDK's text, written with care: an end event, and errors are caught."""

from collections.abc import AsyncIterator

import anthropic
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

client = anthropic.AsyncAnthropic()


async def stream_claude(request: Request) -> EventSourceResponse:
    """Answer with a stream of text."""
    body = await request.json()

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            async with client.messages.stream(
                model=body["model"], max_tokens=1000, messages=body["messages"]
            ) as stream:
                async for text in stream.text_stream:
                    yield {"event": "delta", "data": text}
            yield {"event": "done", "data": ""}
        except Exception as error:  # noqa: BLE001 - as it is written everywhere
            yield {"event": "error", "data": str(error)}

    return EventSourceResponse(events())


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
