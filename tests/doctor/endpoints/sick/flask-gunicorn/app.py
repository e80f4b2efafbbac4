"""Flask's stream_with_context: a thread per stream; a departure shows at the next write only."""

from collections.abc import Iterator

from anthropic import Anthropic
from flask import Flask, Response, stream_with_context

app = Flask(__name__)
client = Anthropic()


@app.post("/stream-claude")
def stream_claude() -> Response:
    @stream_with_context
    def tokens() -> Iterator[str]:
        with client.messages.stream(
            model="claude-sonnet-5-5",
            messages=[{"role": "user", "content": "Why is the ocean salty?"}],
            max_tokens=1000,
        ) as stream:
            for text in stream.text_stream:
                yield f"data: {text}\n\n"
        yield "data: [DONE]\n\n"

    return Response(tokens(), mimetype="text/event-stream")
