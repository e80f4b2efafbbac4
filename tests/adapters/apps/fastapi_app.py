"""The FastAPI operation of the issue, with the real SDK, as a server's process loads it."""

import json
import os

import anthropic
from fastapi import FastAPI, Request, Response

from finalstop import Limits
from finalstop.adapters.fastapi import respond

app = FastAPI()
client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))


@app.post("/stream-claude")
async def stream_claude(request: Request) -> Response:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, format=body.get("format", "text"), limits=LIMITS)
