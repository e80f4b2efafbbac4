"""The careful relay of this folder's neighbour, its frames those of OpenAI's chat completions."""

import json
import os
import sys
from pathlib import Path

from aiohttp import web

sys.path.append(str(Path(__file__).parents[2] / "sick"))
import relay


def chunk(delta: dict[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    payload = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(payload)}\n\n".encode()


def frame(*, text: str = "", event: str = "", message: str = "") -> bytes:
    match event:
        case "end":
            return chunk({}, "stop") + b"data: [DONE]\n\n"
        case "error":
            return f"data: {json.dumps({'error': {'message': message}})}\n\n".encode()
        case _:
            return chunk({"content": text}, None)


relay.frame = frame
relay.app.router.add_post("/v1/chat/completions", relay.stream_claude)

if __name__ == "__main__":
    web.run_app(
        relay.app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        print=None,
        handler_cancellation=True,
        shutdown_timeout=3,
    )
