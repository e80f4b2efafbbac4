"""Catches the error and writes it as text: no blank line follows, so a browser drops it."""

from collections.abc import Iterator

from anthropic import Anthropic, AnthropicError
from flask import Flask, Response

app = Flask(__name__)
client = Anthropic(timeout=2, max_retries=0)


@app.post("/stream-claude")
def stream_claude() -> Response:
    def tokens() -> Iterator[str]:
        try:
            with client.messages.stream(
                model="claude-sonnet-5-5",
                messages=[{"role": "user", "content": "Why is the ocean salty?"}],
                max_tokens=1000,
            ) as stream:
                for text in stream.text_stream:
                    yield f"data: {text}\n\n"
            yield "data: [DONE]\n\n"
        except AnthropicError as error:
            yield f"Error: {error}"

    return Response(tokens(), mimetype="text/event-stream")
