"""Django under ASGI with a synchronous generator: Django collects it all before it sends."""

from collections.abc import Iterator

from anthropic import Anthropic
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
client = Anthropic()


def tokens() -> Iterator[str]:
    with client.messages.stream(
        model="claude-sonnet-5-5",
        messages=[{"role": "user", "content": "Why is the ocean salty?"}],
        max_tokens=1000,
    ) as stream:
        for text in stream.text_stream:
            yield f"data: {text}\n\n"
    yield "data: [DONE]\n\n"


def stream_claude(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(tokens(), content_type="text/event-stream")


urlpatterns = [path("stream-claude", stream_claude)]
app = get_asgi_application()
