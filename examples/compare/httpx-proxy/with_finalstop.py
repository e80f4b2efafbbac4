"""The same handler, with respond()."""

import os

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop import Limits
from finalstop.adapters.starlette import respond

client = httpx2.AsyncClient(base_url=os.environ["ANTHROPIC_BASE_URL"], timeout=None)
limits = Limits(first_content_s=4, idle_s=4)  # for the comparison; the defaults are 300 and 120


async def stream_claude(request: Request) -> Response:
    """Pass the request on, and the response back."""
    upstream = client.stream(
        "POST",
        "/v1/messages",
        content=await request.body(),
        headers={
            "content-type": "application/json",
            "x-api-key": os.environ["ANTHROPIC_API_KEY"],
            "anthropic-version": "2023-06-01",
        },
    )
    return respond(request, upstream, limits=limits)


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
