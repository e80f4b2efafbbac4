"""finalstop's one line in Starlette, in the API's own format."""

from anthropic import AsyncAnthropic
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop import Limits
from finalstop.adapters.starlette import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
client = AsyncAnthropic(max_retries=0)


async def stream_claude(request: Request) -> Response:
    question = {"role": "user", "content": (await request.json())["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return respond(request, stream, format="anthropic", limits=LIMITS)


app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
