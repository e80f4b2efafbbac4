"""A Claude stream from Quart. Run: uvicorn app:app."""

import anthropic
from quart import Quart, Response, request

from finalstop.adapters.quart import respond

app = Quart(__name__)
client = anthropic.AsyncAnthropic(max_retries=0)


@app.post("/stream-claude")
async def stream_claude() -> Response:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": (await request.get_json())["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return await respond(request, source, format="text")
