"""The laws of every framework, over one table of them: in the process, and as real servers.

What a framework has for itself is in its own file. The endings, departures and drains of every
framework under all of its usual servers are another table: tests/stacks.
"""

from __future__ import annotations

import pytest

from finalstop.core.endings import EndReason, Refusal
from finalstop.simulator import SimulatorThread
from tests import builders as b
from tests.adapters import laws
from tests.adapters.fake_asgi import FakeClient, asked_in_process
from tests.adapters.handlers import HANDLERS
from tests.adapters.serving import serving
from tests.faults.client import eventually
from tests.runtime.fakes import Bench, ScriptedSource, reason_of, settle

# -- in the process -------------------------------------------------------------------------------


class Request:
    """One request to the handler of a framework: its client, its source and its relay."""

    def __init__(self, app_of):
        self.app_of = app_of
        self.bench = Bench()
        self.source, self.client, self.saved = ScriptedSource(), FakeClient(), []

    async def begun(self):
        """Ask, and wait until the framework has handed the source over; some use a thread."""
        task = await self.asked()
        await eventually(lambda: self.source._producer is not None)
        return task

    async def asked(self):
        hook = lambda receipt, _: self.saved.append(receipt.reason)  # noqa: E731
        app = self.app_of(self.source, relay=self.bench.relay, format="text", on_end=hook)
        return await asked_in_process(app, self.client)


@pytest.fixture(params=HANDLERS)
async def request_of(request):
    it = Request(HANDLERS[request.param])
    yield it
    await it.bench.close()


async def test_a_whole_answer_is_sent_with_the_handlers_own_headers_and_cookies(request_of):
    it = request_of
    task = await it.begun()
    it.source.producer.receive(b.answer("Salt."))
    await task
    assert it.client.status == 200
    assert it.client.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in it.client.headers
    assert it.client.headers["x-mine"] == "1"
    assert it.client.headers["set-cookie"].startswith("crumb=2")
    assert b'"Salt."' in it.client.body
    assert it.client.is_whole


async def test_the_hook_is_told_once_and_nobody_is_left_behind(request_of):
    it = request_of
    task = await it.begun()
    it.source.producer.receive(b.answer("Salt."))
    await task
    await settle()
    assert it.saved == ["complete"]
    assert not it.bench.relay.watched


async def test_what_fails_before_the_head_has_its_true_status(request_of):
    it = request_of
    task = await it.begun()
    it.source.producer.refused(Refusal(429, {"type": "rate_limit_error"}, 3.0))
    await task
    assert it.client.status == 429
    assert it.client.headers["retry-after"] == "3"
    assert b"rate_limit_error" in it.client.body
    assert it.client.headers["content-length"] == str(len(it.client.body))
    assert it.client.is_whole
    assert not it.bench.relay.watched


@pytest.mark.parametrize("said", [[], [b.message_start()]], ids=["before the head", "after it"])
async def test_a_client_that_leaves_takes_its_upstream_call_with_it(request_of, said):
    it = request_of
    task = await it.begun()
    it.source.producer.receive(said)
    await settle()
    it.client.leave()
    await task
    await settle()
    (stream,) = it.bench.relay._streams.values()
    assert reason_of(stream) is EndReason.ABANDONED
    assert it.source.call.fate == ["cancelled"]


async def test_while_the_relay_drains_a_request_is_refused(request_of):
    it = request_of
    await it.bench.relay.drain()
    await (await it.asked())
    assert it.client.status == 503
    assert it.client.headers["retry-after"] == "2"
    assert it.client.headers["x-mine"] == "1"


# -- as real servers ------------------------------------------------------------------------------

# Where departures are seen; what each server cannot do is a limit in the table of tests/stacks.
SERVED = (
    "Starlette / uvicorn",
    "FastAPI / uvicorn, h11",
    "Litestar / granian",
    "Quart / hypercorn",
    "Django, ASGI / daphne",
    "plain ASGI / uvicorn",
    "aiohttp / its own runner",
    "Flask / gunicorn, gthread",
    "Flask / werkzeug",
    "Flask / waitress, lookahead",
    "Django, WSGI / gunicorn, gthread",
)


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="module", params=SERVED)
def server(request, simulator, tmp_path_factory):
    with serving(request.param, simulator.url, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(("script", "reason"), laws.ENDINGS, ids=laws.names(laws.ENDINGS))
async def test_every_stream_ends_and_says_why(server, script, reason):
    await laws.check_ending(server, script, reason)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "status", "reason", "type"), laws.REFUSALS, ids=laws.names(laws.REFUSALS)
)
async def test_a_failure_known_in_time_has_its_true_status(server, script, status, reason, type):
    await laws.check_refusal(server, script, status, reason, type)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("_when", "script", "seen"), laws.DEPARTURES, ids=laws.names(laws.DEPARTURES)
)
async def test_a_client_that_resets_cancels_its_upstream(
    server, simulator, _when, script, seen, record_property
):
    took_s = await laws.seconds_to_cancel(server, simulator, script, seen, "rst")
    record_property("figure", f"{server.name}, reset {_when}: {took_s:.3f} s")
    assert took_s < laws.LEFT_S + laws.BUSY_S
