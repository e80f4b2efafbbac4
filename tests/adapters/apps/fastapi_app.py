"""The FastAPI operation of the issue, with the real SDK, as a server's process loads it."""

import anthropic
from fastapi import FastAPI, Request, Response

from finalstop.adapters.fastapi import respond
from tests.adapters.apps.terms import terms_of

app = FastAPI()
client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


@app.post("/stream-claude")
async def stream_claude(request: Request) -> Response:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, **terms_of(body))
