"""finalstop's one line in Flask."""

from anthropic import AsyncAnthropic
from flask import Flask, Response, request

from finalstop import Limits
from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.flask import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
app = Flask(__name__)
client = AsyncAnthropic(max_retries=0)
drain_on_signals()


@app.post("/stream-claude")
def stream_claude() -> Response:
    question = {"role": "user", "content": request.get_json()["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return respond(request, stream, format="text", limits=LIMITS)
