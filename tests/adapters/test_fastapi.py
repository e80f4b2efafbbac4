"""What FastAPI has for itself. What holds of every framework: test_frameworks."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from finalstop.adapters.fastapi import StreamResponse, respond
from tests.adapters.answers import HEALTHY
from tests.adapters.fake_asgi import FakeClient, asked_in_process
from tests.runtime.fakes import Bench


def test_its_response_is_starlettes():
    assert StreamResponse.__module__ == "finalstop.adapters.starlette"


async def test_an_operation_may_be_annotated_as_any_response():
    bench, app, client = Bench(), FastAPI(), FakeClient()

    @app.post("/stream-claude")
    async def stream_claude(request: Request) -> Response:
        return respond(request, iter(HEALTHY), format="text", relay=bench.relay)

    await (await asked_in_process(app, client))
    assert client.status == 200
    assert b'"reason":"complete"' in client.body
    await bench.close()
