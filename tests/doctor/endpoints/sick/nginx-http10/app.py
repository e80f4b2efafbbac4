"""A raw proxy: httpx2's bytes, passed on as they come."""

import os
from collections.abc import AsyncIterator

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx2.AsyncClient(base_url=os.environ["ANTHROPIC_BASE_URL"], timeout=60)


async def messages(request: Request) -> StreamingResponse:
    body = await request.body()

    async def relayed() -> AsyncIterator[bytes]:
        headers = {
            "x-api-key": os.environ["ANTHROPIC_API_KEY"],
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
        }
        async with client.stream("POST", "/v1/messages", content=body, headers=headers) as answer:
            async for chunk in answer.aiter_raw():
                yield chunk

    return StreamingResponse(relayed(), media_type="text/event-stream")


app = Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])
