"""The Quart view of the issue, with the real SDK, as a server's process loads it."""

import anthropic
from quart import Quart, Response, request

from finalstop.adapters.quart import respond
from tests.adapters.apps.terms import terms_of

app = Quart(__name__)
client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


@app.post("/stream-claude")
async def stream_claude() -> Response:
    body = await request.get_json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return await respond(request, source, **terms_of(body))
