"""finalstop's one line in FastAPI."""

from anthropic import AsyncAnthropic
from fastapi import FastAPI, Request, Response

from finalstop import Limits
from finalstop.adapters.fastapi import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
app = FastAPI()
client = AsyncAnthropic(max_retries=0)


@app.post("/stream-claude")
async def stream_claude(request: Request) -> Response:
    question = {"role": "user", "content": (await request.json())["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return respond(request, stream, format="text", limits=LIMITS)
