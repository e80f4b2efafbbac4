"""A Claude stream from Litestar. Run: uvicorn app:app."""

from typing import Any

import anthropic
from litestar import Litestar, Request, post

from finalstop.adapters.litestar import StreamResponse, respond

client = anthropic.AsyncAnthropic(max_retries=0)


@post("/stream-claude")
async def stream_claude(request: Request[Any, Any, Any]) -> StreamResponse:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": (await request.json())["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return respond(request, source, format="text")


app = Litestar([stream_claude])
