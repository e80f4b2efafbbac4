"""Django, in the process and as a real server with the real SDK behind it."""

from __future__ import annotations

import sys
import types

import django  # type: ignore[import-untyped]
import pytest
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.urls import clear_url_caches, path  # type: ignore[import-untyped]

from finalstop.adapters.django import respond, respond_sync
from finalstop.core.endings import EndReason, Refusal
from finalstop.simulator import SimulatorThread
from tests import builders as b
from tests.adapters import laws
from tests.adapters.asgi_serving import serving_asgi
from tests.adapters.fake_asgi import FakeClient
from tests.faults.client import eventually
from tests.runtime.fakes import Bench, ScriptedSource, reason_of, settle


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


def app_of(source, *, view=None, **options):
    async def stream_claude(request):
        response = await respond(request, source, format="text", **options)
        return marked(response)

    def stream_claude_sync(request):
        response = respond_sync(request, source, format="text", **options)
        return marked(response)

    def marked(response):
        response.headers["x-mine"] = "1"
        response.set_cookie("crumb", "2")
        return response

    app = get_asgi_application()
    views = {"sync": stream_claude_sync, "async": stream_claude}
    vars(URLS)["urlpatterns"] = [path("stream-claude", views[view or VIEW[-1]])]
    return app


URLS = types.ModuleType("urls_of_the_test")
VIEW = ["async"]


@pytest.fixture(autouse=True, params=["async", "sync"])
def view(request):
    """Every law holds for async views and for sync ones."""
    VIEW.append(request.param)
    clear_url_caches()
    yield request.param
    VIEW.pop()


@pytest.fixture(autouse=True, scope="module")
def configured():
    sys.modules[URLS.__name__] = URLS
    settings.configure(ROOT_URLCONF=URLS.__name__, ALLOWED_HOSTS=["*"])
    django.setup()
    yield
    del sys.modules[URLS.__name__]


# -- in the process -------------------------------------------------------------------------------


async def test_a_whole_answer_is_sent_with_the_handlers_own_headers_and_cookies(bench):
    source, client, saved = ScriptedSource(), FakeClient(), []
    hook = lambda receipt, message: saved.append(receipt.reason)  # noqa: E731
    task = await laws.asked_in_process(app_of(source, relay=bench.relay, on_end=hook), client)
    await begun(source)
    source.producer.receive(b.answer("Salt."))
    await task
    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["x-mine"] == "1"
    assert client.headers["set-cookie"].startswith("crumb=2")
    assert b'"Salt."' in client.body
    assert client.is_whole
    await settle()
    assert saved == ["complete"]
    assert not bench.relay.watched


async def test_what_fails_before_the_head_has_its_true_status(bench):
    source, client = ScriptedSource(), FakeClient()
    task = await laws.asked_in_process(app_of(source, relay=bench.relay), client)
    await begun(source)
    source.producer.refused(Refusal(429, {"type": "rate_limit_error"}, 3.0))
    await task
    assert client.status == 429
    assert client.headers["retry-after"] == "3"
    assert b"rate_limit_error" in client.body
    assert client.is_whole
    assert not bench.relay.watched


@pytest.mark.parametrize("said", [[], [b.message_start()]], ids=["before the head", "after it"])
async def test_a_client_that_leaves_takes_its_upstream_call_with_it(bench, said):
    source, client = ScriptedSource(), FakeClient()
    task = await laws.asked_in_process(app_of(source, relay=bench.relay), client)
    await begun(source)
    source.producer.receive(said)
    await settle()
    client.leave()
    await task
    await settle()
    (stream,) = bench.relay._streams.values()
    assert reason_of(stream) is EndReason.ABANDONED
    assert source.call.fate == ["cancelled"]


async def test_while_the_relay_drains_a_request_is_refused(bench):
    await bench.relay.drain()
    client = FakeClient()
    await (await laws.asked_in_process(app_of(ScriptedSource(), relay=bench.relay), client))
    assert client.status == 503
    assert client.headers["x-mine"] == "1"


async def begun(source):
    """Wait until the framework has handed the source over; some use a thread on the way."""
    await eventually(lambda: source._producer is not None)


# -- as a real server -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def server(simulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serving_asgi("django", "uvicorn", simulator.url, folder) as server:
        yield server


@pytest.mark.slow
@laws.endings
async def test_every_stream_ends_and_says_why(server, script, event, reason):
    await laws.ends_and_says_why(server, script, event, reason)


@pytest.mark.slow
async def test_an_upstream_that_refuses_is_passed_on_with_its_status(server):
    await laws.has_its_true_status(server)


@pytest.mark.slow
@laws.moments
async def test_a_client_that_leaves_is_missed_within_200_ms(server, simulator, script, seen):
    await laws.takes_its_call_with_it(server, simulator, script, seen)


@pytest.mark.slow
async def test_told_to_end_the_server_lets_the_streams_end_first(simulator, tmp_path):
    with serving_asgi("django", "uvicorn", simulator.url, tmp_path) as server:
        await laws.drains(server)
