"""The Flask handler of the issue, with the real SDK, as a server's process loads it."""

import anthropic
from flask import Flask, Response, request

from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.flask import respond
from tests.adapters.apps.terms import BACKGROUND, background_terms_of

app = Flask(__name__)
# ANTHROPIC_BASE_URL says where both ask.
client = anthropic.Anthropic(api_key="any", max_retries=0)
async_client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)
drain_on_signals(BACKGROUND)


@app.post("/stream-claude")
def stream_claude() -> Response:
    body = request.get_json()
    ask = async_client if body.get("async") else client
    source = ask.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, **background_terms_of(body))
