"""The same handler, with respond()."""

import anthropic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop import Limits
from finalstop.adapters.starlette import respond

client = anthropic.AsyncAnthropic(max_retries=0)
limits = Limits(first_content_s=4, idle_s=4)  # for the comparison; the defaults are 300 and 120


async def stream_claude(request: Request) -> Response:
    """Answer with a stream of text."""
    body = await request.json()
    stream = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, stream, format="text", limits=limits)


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
