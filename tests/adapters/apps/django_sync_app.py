"""The sync Django view of the issue, with the real SDK, as a WSGI server's process loads it.

`python -m`, with an address after it, runs it under Django's own runserver.
"""

import json
import sys

import anthropic
from django.conf import settings  # type: ignore[import-untyped]
from django.core.management import execute_from_command_line  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from finalstop.adapters.background import drain_on_signals
from finalstop.adapters.django import respond_sync
from tests.adapters.apps.terms import BACKGROUND, background_terms_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where
drain_on_signals(BACKGROUND)


def stream_claude(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond_sync(request, source, **background_terms_of(body))


urlpatterns = [path("stream-claude", stream_claude)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])

if __name__ == "__main__":
    execute_from_command_line(["django", "runserver", "--noreload", *sys.argv[1:]])
else:
    app = get_wsgi_application()
