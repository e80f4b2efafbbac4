"""What Quart has for itself. What holds of every framework: test_frameworks."""

from __future__ import annotations

import asyncio

from quart import Quart, request

from finalstop.adapters.quart import respond
from tests import builders as b
from tests.runtime.fakes import Bench, ScriptedSource, settle


async def test_quarts_own_limit_of_total_time_is_off():
    bench, app, source = Bench(), Quart(__name__), ScriptedSource()
    async with app.test_request_context("/", method="POST"):
        answering = respond(request, source, relay=bench.relay)
        asking = asyncio.get_running_loop().create_task(answering)
        await settle()
        source.producer.receive([b.message_start()])
        response = await asking
    assert response.timeout is None
    await response.response.iter.aclose()  # type: ignore[attr-defined] # our view
    await bench.close()
