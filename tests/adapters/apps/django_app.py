"""The Django views of the issue, with the real SDK, as a server's process loads them.

`app` speaks ASGI, `wsgi_app` WSGI. The sync view, at /stream-claude-sync, works under both.
"""

import json
import os

import anthropic
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from finalstop import Limits
from finalstop.adapters.django import respond, respond_sync

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
sync_client = anthropic.Anthropic(api_key="any", max_retries=0)
LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))


async def stream_claude(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return await respond(request, source, format=body.get("format", "text"), limits=LIMITS)


def stream_claude_sync(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    source = sync_client.messages.stream(
        model=body["model"], max_tokens=1000, messages=body["messages"]
    )
    return respond_sync(request, source, format=body.get("format", "text"), limits=LIMITS)


urlpatterns = [
    path("stream-claude", stream_claude),
    path("stream-claude-sync", stream_claude_sync),
]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_asgi_application()
wsgi_app = get_wsgi_application()
