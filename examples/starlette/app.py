"""A Claude stream from Starlette. Run: uvicorn app:app."""

import anthropic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop.adapters.starlette import respond

client = anthropic.AsyncAnthropic(max_retries=0)


async def stream_claude(request: Request) -> Response:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": (await request.json())["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return respond(request, source, format="text")


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
