"""A Claude stream from a sync Django view. Run: gunicorn -k gthread --threads 50 sync_app:app."""

import json

import anthropic
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.django import respond_sync

client = anthropic.AsyncAnthropic(max_retries=0)  # finalstop runs it, on a loop in the background
drain_on_signals()


def stream_claude(request: HttpRequest) -> HttpResponseBase:
    """Answer a prompt with a stream of text."""
    question = {"role": "user", "content": json.loads(request.body)["prompt"]}
    source = client.messages.stream(model="claude-sonnet-5-5", max_tokens=1000, messages=[question])
    return respond_sync(request, source, format="text")


urlpatterns = [path("stream-claude", stream_claude)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
app = get_wsgi_application()
