"""The Flask handler of the issue, with the real SDK, as a server's process loads it."""

import json
import os

import anthropic
from flask import Flask, Response, request

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.background import BackgroundRelay, drain_on_signals
from finalstop.adapters.flask import respond

app = Flask(__name__)
# ANTHROPIC_BASE_URL says where both ask.
client = anthropic.Anthropic(api_key="any", max_retries=0)
async_client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)
LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))
RELAY = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))
drain_on_signals(RELAY)


@app.post("/stream-claude")
def stream_claude() -> Response:
    body = request.get_json()
    ask = async_client if body.get("async") else client
    source = ask.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, format=body.get("format", "text"), relay=RELAY)
