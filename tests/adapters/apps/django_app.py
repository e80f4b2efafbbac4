"""The async Django view of the issue, with the real SDK, as a server's process loads it."""

import json

import anthropic
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from finalstop.adapters.django import respond
from tests.adapters.apps.terms import terms_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


async def stream_claude(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return await respond(request, source, **terms_of(body))


urlpatterns = [path("stream-claude", stream_claude)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_asgi_application()
