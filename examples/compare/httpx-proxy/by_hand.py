"""A raw proxy, Starlette over httpx2: bytes in, bytes out, as everyone writes it."""

import os

import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx2.AsyncClient(base_url=os.environ["ANTHROPIC_BASE_URL"], timeout=None)


async def stream_claude(request: Request) -> StreamingResponse:
    """Pass the request on, and the response back."""
    upstream = client.build_request(
        "POST",
        "/v1/messages",
        content=await request.body(),
        headers={
            "content-type": "application/json",
            "x-api-key": os.environ["ANTHROPIC_API_KEY"],
            "anthropic-version": "2023-06-01",
        },
    )
    response = await client.send(upstream, stream=True)
    return StreamingResponse(
        response.aiter_raw(),
        status_code=response.status_code,
        headers=response.headers,
        background=BackgroundTask(response.aclose),
    )


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
