"""Flask's stream_with_context over the SDK's text, as everyone writes it. Not one to copy."""

import json
from collections.abc import Iterator

import anthropic
from flask import Flask, Response, request, stream_with_context

app = Flask(__name__)
client = anthropic.Anthropic()


@app.post("/stream-claude")
def stream_claude() -> Response:
    """Answer with a stream of text."""
    body = request.get_json()

    def generate() -> Iterator[str]:
        with client.messages.stream(
            model=body["model"], max_tokens=1000, messages=body["messages"]
        ) as stream:
            for text in stream.text_stream:
                yield f"data: {json.dumps({'text': text})}\n\n"
        yield "data: [DONE]\n\n"

    return Response(stream_with_context(generate()), mimetype="text/event-stream")
