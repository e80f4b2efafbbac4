"""finalstop's one line in aiohttp, behind a GET route: an EventSource can ask nothing else."""

import os

from aiohttp import web
from anthropic import AsyncAnthropic

from finalstop import Limits
from finalstop.adapters.aiohttp import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
client = AsyncAnthropic(max_retries=0)


async def stream_claude(request: web.Request) -> web.StreamResponse:
    question = {"role": "user", "content": request.query["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return await respond(request, stream, format="text", limits=LIMITS)


app = web.Application()
app.router.add_get("/stream", stream_claude, allow_head=False)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
