"""finalstop's one line in an async view of Django."""

import json

from anthropic import AsyncAnthropic
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from finalstop import Limits
from finalstop.adapters.django import respond

LIMITS = Limits(commit_s=1, first_content_s=2, idle_s=2, keep_alive_s=1.5, drain_s=3)
client = AsyncAnthropic(max_retries=0)


async def stream_claude(request: HttpRequest) -> HttpResponseBase:
    question = {"role": "user", "content": json.loads(request.body)["prompt"]}
    stream = client.messages.stream(model="claude-sonnet-5-5", messages=[question], max_tokens=1000)
    return await respond(request, stream, format="text", limits=LIMITS)


urlpatterns = [path("stream-claude", stream_claude)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_asgi_application()
