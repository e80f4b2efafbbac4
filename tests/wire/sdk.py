"""The official SDK as a reader: the Message it makes of a body, and what it keeps to itself."""

from __future__ import annotations

from typing import Any

import httpx2
from anthropic import Anthropic


def final_message(body: bytes, *, beta: bool) -> dict[str, Any]:
    """What `client.messages.stream(...).get_final_message()` makes of a response body."""

    def respond(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    with Anthropic(api_key="none", base_url="http://upstream", http_client=transport) as client:
        asked: dict[str, Any] = {
            "model": "claude-sonnet-5-5",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Why is the sea salty?"}],
        }
        opened = client.beta.messages.stream(**asked) if beta else client.messages.stream(**asked)
        with opened as stream:
            message = stream.get_final_message()
    return message.model_dump(mode="json", by_alias=True, warnings=False)


def stated(value: Any) -> Any:
    """The value without its nulls: the SDK's models spell out every field that was not sent."""
    match value:
        case dict():
            return {key: stated(item) for key, item in value.items() if item is not None}
        case list():
            return [stated(item) for item in value]
        case _:
            return value
