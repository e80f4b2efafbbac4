"""The standard library's server speaks HTTP/1.0: the body ends where the connection ends."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from anthropic import Anthropic, AnthropicError

client = Anthropic(timeout=2, max_retries=0)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            with client.messages.stream(
                model="claude-sonnet-5-5",
                messages=[{"role": "user", "content": "Why is the ocean salty?"}],
                max_tokens=1000,
            ) as stream:
                for text in stream.text_stream:
                    self.frame({"text": text})
            self.frame({"event": "end"})
        except AnthropicError as error:
            self.frame({"event": "error", "message": str(error)})

    def frame(self, payload: dict[str, str]) -> None:
        self.wfile.write(f"data: {json.dumps(payload)}\n\n".encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
