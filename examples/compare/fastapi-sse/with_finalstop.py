"""The same handler, with respond()."""

from typing import Any

import anthropic
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from finalstop import Limits
from finalstop.adapters.fastapi import respond

app = FastAPI()
client = anthropic.AsyncAnthropic(max_retries=0)
limits = Limits(first_content_s=4, idle_s=4)  # for the comparison; the defaults are 300 and 120


class Question(BaseModel):
    """What is asked."""

    model: str
    messages: list[dict[str, Any]]


@app.post("/stream-claude")
async def stream_claude(request: Request, question: Question) -> Response:
    """Answer with the events of the API."""
    stream = client.messages.create(
        model=question.model, max_tokens=1000, messages=question.messages, stream=True
    )
    return respond(request, stream, limits=limits)
