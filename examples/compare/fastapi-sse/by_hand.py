"""FastAPI's own server-sent events over the SDK's events, as its manual shows. Not one to copy."""

from collections.abc import AsyncIterable
from typing import Any

import anthropic
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

app = FastAPI()
client = anthropic.AsyncAnthropic()


class Question(BaseModel):
    """What is asked."""

    model: str
    messages: list[dict[str, Any]]


@app.post("/stream-claude", response_class=EventSourceResponse)
async def stream_claude(question: Question) -> AsyncIterable[ServerSentEvent]:
    """Answer with the events of the API."""
    stream = await client.messages.create(
        model=question.model, max_tokens=1000, messages=question.messages, stream=True
    )
    async for event in stream:
        yield ServerSentEvent(event=event.type, data=event)
