"""Starlette with the library over a raw source: aiohttp's response, unread."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop.adapters.starlette import respond

UPSTREAM = os.environ["ANTHROPIC_BASE_URL"]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One client for the life of the app, without a bound on its connections."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        app.state.session = session
        yield


async def stream_claude(request: Request) -> Response:
    """Relay an answer in the API's own format."""
    source = request.app.state.session.post(
        f"{UPSTREAM}/v1/messages",
        data=await request.body(),
        headers={"content-type": "application/json", "x-api-key": request.headers["x-api-key"]},
    )
    return respond(request, source)


app = Starlette(routes=[Route("/v1/messages", stream_claude, methods=["POST"])], lifespan=lifespan)
