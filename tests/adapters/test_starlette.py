"""What Starlette has for itself. What holds of every framework: test_frameworks."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from finalstop.adapters.starlette import respond
from tests.adapters.answers import HEALTHY
from tests.adapters.fake_asgi import FakeClient, asked_in_process
from tests.runtime.fakes import Bench


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


async def test_the_background_task_runs_after_the_whole_answer(bench):
    client, seen = FakeClient(), []

    async def stream_claude(request):
        response = respond(request, iter(HEALTHY), relay=bench.relay)
        response.background = BackgroundTask(lambda: seen.append(client.is_whole))
        return response

    app = Starlette(routes=[Route("/stream-claude", stream_claude, methods=["POST"])])
    await (await asked_in_process(app, client))
    assert seen == [True]


async def test_what_a_middleware_sees_is_passed_on_whole(bench):
    async def stream_claude(request):
        return respond(request, iter(HEALTHY), format="text", relay=bench.relay)

    async def passing(request, call_next):
        response = await call_next(request)
        response.headers["x-passed"] = "1"
        return response

    app = Starlette(
        routes=[Route("/stream-claude", stream_claude, methods=["POST"])],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=passing)],
    )
    client = FakeClient()
    await (await asked_in_process(app, client))
    assert client.headers["x-passed"] == "1"
    assert b'"reason":"complete"' in client.body
    assert client.is_whole
