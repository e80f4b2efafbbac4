"""finalstop's one line in Litestar."""

from typing import Any

from anthropic import AsyncAnthropic
from litestar import Litestar, Request, Response, post

from finalstop import Limits
from finalstop.adapters.litestar import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
client = AsyncAnthropic(max_retries=0)


@post("/stream-claude")
async def stream_claude(request: Request[Any, Any, Any]) -> Response[Any]:
    question = {"role": "user", "content": (await request.json())["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return respond(request, stream, format="text", limits=LIMITS)


app = Litestar([stream_claude])
