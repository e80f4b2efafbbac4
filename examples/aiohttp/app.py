"""A Claude stream from aiohttp. Run: python app.py."""

import anthropic
from aiohttp import web

from finalstop.adapters.aiohttp import respond

client = anthropic.AsyncAnthropic(max_retries=0)


async def stream_claude(request: web.Request) -> web.StreamResponse:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": (await request.json())["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return await respond(request, source, format="text")


app = web.Application()
app.add_routes([web.post("/stream-claude", stream_claude)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8080)
