"""An ASGI application without a framework, with the real SDK, as a server's process loads it."""

import json

import anthropic

from finalstop.adapters.asgi import Receive, Scope, Send, StreamApp
from tests.adapters.apps.terms import terms_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")  # as the specification has it: the server goes on without
    body = json.loads(await body_of(receive))
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    await StreamApp(source, **terms_of(body))(scope, receive, send)


async def body_of(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left before it had asked")
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)
