"""One and the same handler in every ASGI framework: it streams a source, with marks of its own.

`HANDLERS[name](source, **options)` is an application that answers POST /stream-claude. What a
handler sets on its response must reach the client: a header `x-mine` and a cookie `crumb`.
"""

from __future__ import annotations

import sys
import types

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.urls import clear_url_caches, path  # type: ignore[import-untyped]
from fastapi import FastAPI, Request
from litestar import Litestar
from litestar import Request as LitestarRequest
from litestar import post as litestar_post
from quart import Quart
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.routing import Route

from finalstop.adapters import django as in_django
from finalstop.adapters import fastapi as in_fastapi
from finalstop.adapters import litestar as in_litestar
from finalstop.adapters import quart as in_quart
from finalstop.adapters import starlette as in_starlette
from finalstop.adapters.asgi import StreamApp

PATH = "/stream-claude"
URLS = types.ModuleType("urls_of_the_tests")


def marked(response):
    """The response, with the handler's own marks on it."""
    response.headers["x-mine"] = "1"
    response.set_cookie("crumb", "2")
    return response


def starlette_async(source, **options):
    async def stream_claude(request):
        return marked(in_starlette.respond(request, source, **options))

    return Starlette(routes=[Route(PATH, stream_claude, methods=["POST"])])


def starlette_def(source, **options):
    def stream_claude(request):
        return marked(in_starlette.respond(request, source, **options))

    return Starlette(routes=[Route(PATH, stream_claude, methods=["POST"])])


def fastapi_async(source, **options):
    app = FastAPI()

    @app.post(PATH)
    async def stream_claude(request: Request):
        return marked(in_fastapi.respond(request, source, **options))

    return app


def fastapi_def(source, **options):
    app = FastAPI()

    @app.post(PATH)
    def stream_claude(request: Request):
        return marked(in_fastapi.respond(request, source, **options))

    return app


def litestar(source, **options):
    @litestar_post(PATH)
    async def stream_claude(request: LitestarRequest) -> in_litestar.StreamResponse:
        response = in_litestar.respond(request, source, **options)
        marked(response)
        return response

    return Litestar([stream_claude])


def quart(source, **options):
    app = Quart(__name__)

    @app.post(PATH)
    async def stream_claude():
        return marked(await in_quart.respond(quart_request, source, **options))

    return app


def django_async(source, **options):
    async def stream_claude(request):
        return marked(await in_django.respond(request, source, **options))

    return _django(stream_claude)


def django_sync(source, **options):
    def stream_claude(request):
        return marked(in_django.respond_sync(request, source, **options))

    return _django(stream_claude)


def plain_asgi(source, **options):
    return StreamApp(source, headers=[(b"x-mine", b"1"), (b"set-cookie", b"crumb=2")], **options)


def _django(view):
    set_up_django()
    clear_url_caches()
    vars(URLS)["urlpatterns"] = [path(PATH.removeprefix("/"), view)]
    return get_asgi_application()


def set_up_django():
    """Django's settings, once in a process; its routes are read from a module."""
    if not settings.configured:
        sys.modules[URLS.__name__] = URLS
        settings.configure(ROOT_URLCONF=URLS.__name__, ALLOWED_HOSTS=["*"])
        django.setup()


HANDLERS = {
    "Starlette": starlette_async,
    "Starlette, def": starlette_def,
    "FastAPI": fastapi_async,
    "FastAPI, def": fastapi_def,
    "Litestar": litestar,
    "Quart": quart,
    "Django": django_async,
    "Django, sync": django_sync,
    "plain ASGI": plain_asgi,
}
