"""The Litestar handler of the issue, with the real SDK, as a server's process loads it."""

from typing import Any

import anthropic
from litestar import Litestar, Request, post

from finalstop.adapters.litestar import StreamResponse, respond
from tests.adapters.apps.terms import terms_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


@post("/stream-claude")
async def stream_claude(request: Request[Any, Any, Any]) -> StreamResponse:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, **terms_of(body))


app = Litestar([stream_claude])
