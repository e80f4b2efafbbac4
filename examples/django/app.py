"""A Claude stream from Django. Run: uvicorn app:app."""

import json

import anthropic
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from finalstop.adapters.django import respond

client = anthropic.AsyncAnthropic(max_retries=0)


async def stream_claude(request: HttpRequest) -> HttpResponseBase:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": json.loads(request.body)["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return await respond(request, source, format="text")


urlpatterns = [path("stream-claude", stream_claude)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_asgi_application()
