"""A Claude stream from Flask. Run: gunicorn --worker-class gthread --threads 50 app:app."""

import anthropic
from flask import Flask, Response, request

from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.flask import respond

app = Flask(__name__)
client = anthropic.AsyncAnthropic(max_retries=0)  # finalstop runs it, on a loop in the background
drain_on_signals()


@app.post("/stream-claude")
def stream_claude() -> Response:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": request.get_json()["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return respond(request, source, format="text")
