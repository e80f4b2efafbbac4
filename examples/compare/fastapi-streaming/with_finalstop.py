"""The same handler, with respond()."""

import anthropic
from fastapi import FastAPI, Request, Response

from finalstop import Limits
from finalstop.adapters.fastapi import respond

app = FastAPI()
client = anthropic.AsyncAnthropic(max_retries=0)
limits = Limits(first_content_s=4, idle_s=4)  # for the comparison; the defaults are 300 and 120


@app.post("/stream-claude")
async def stream_claude(request: Request) -> Response:
    """Answer with a stream of text."""
    body = await request.json()
    stream = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, stream, format="text", limits=limits)
