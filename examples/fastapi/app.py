"""A Claude stream from FastAPI. Run: uvicorn app:app."""

import anthropic
from fastapi import FastAPI, Request, Response

from finalstop.adapters.fastapi import respond

app = FastAPI()
client = anthropic.AsyncAnthropic(max_retries=0)


@app.post("/stream-claude")
async def stream_claude(request: Request) -> Response:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": (await request.json())["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return respond(request, source, format="text")
