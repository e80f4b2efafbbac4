"""What Litestar has for itself. What holds of every framework: test_frameworks."""

from __future__ import annotations

import pytest
from litestar import Litestar, Request, post

from finalstop.adapters.litestar import StreamResponse, respond
from tests.adapters.answers import HEALTHY
from tests.adapters.fake_asgi import FakeClient, asked_in_process
from tests.runtime.fakes import Bench


@pytest.fixture
async def answered():
    """The client of a handler with headers of its route's, and of its response's."""
    bench, client = Bench(), FakeClient()

    @post("/stream-claude", response_headers={"x-route": "1", "x-both": "the route's"})
    async def stream_claude(request: Request) -> StreamResponse:
        response = respond(request, iter(HEALTHY), relay=bench.relay)
        response.headers["x-both"] = "the response's"
        return response

    await (await asked_in_process(Litestar([stream_claude]), client))
    yield client
    await bench.close()


async def test_the_status_is_the_streams_own_and_not_that_of_a_post(answered):
    assert answered.status == 200


async def test_the_routes_headers_are_sent_and_the_responses_come_first(answered):
    assert answered.headers["x-route"] == "1"
    assert answered.headers["x-both"] == "the response's"
