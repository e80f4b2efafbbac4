"""The Starlette endpoint of the issue, with the real SDK, as a server's process loads it.

`app_behind_base` and `app_behind_gzip` are the same with one middleware in front.
"""

import anthropic
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from finalstop.adapters.starlette import respond
from tests.adapters.apps.terms import terms_of

client = anthropic.AsyncAnthropic(api_key="any", max_retries=0)  # ANTHROPIC_BASE_URL says where


async def stream_claude(request: Request) -> Response:
    body = await request.json()
    source = client.messages.stream(model=body["model"], max_tokens=1000, messages=body["messages"])
    return respond(request, source, **terms_of(body))


class Passing(BaseHTTPMiddleware):
    """What everyone writes first: look at the request, call the next, return its response."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-passed"] = "1"
        return response


routes = [Route("/stream-claude", stream_claude, methods=["POST"])]
app = Starlette(routes=routes)
app_behind_base = Starlette(routes=routes, middleware=[Middleware(Passing)])
app_behind_gzip = Starlette(routes=routes, middleware=[Middleware(GZipMiddleware)])
