"""The same handler, with respond()."""

import anthropic
from flask import Flask, Response, request

from finalstop import Limits
from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.flask import respond

app = Flask(__name__)
client = anthropic.AsyncAnthropic(max_retries=0)  # finalstop runs it, on a loop in the background
limits = Limits(first_content_s=4, idle_s=4)  # for the comparison; the defaults are 300 and 120
drain_on_signals()


@app.post("/stream-claude")
def stream_claude() -> Response:
    """Answer with a stream of text."""
    body = request.get_json()
    stream = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, stream, format="text", limits=limits)
