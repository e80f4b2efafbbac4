"""Flask, in the process and under the servers people use: gunicorn, waitress, werkzeug's own."""

from __future__ import annotations

import asyncio
import signal

import pytest
from flask import Flask, request

from finalstop.adapters.flask import respond
from finalstop.simulator import SimulatorThread
from tests.adapters import process_laws as laws
from tests.adapters.answers import HEALTHY
from tests.adapters.serving import asked, serving, warmed_up

SERVERS = ("gunicorn", "werkzeug", "waitress-lookahead")


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="module", params=SERVERS)
def server(request, simulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serving(request.param, simulator.url, folder, drain_s=1.5, write_s=2.0) as server:
        asyncio.run(warmed_up(server))
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(("script", "event", "reason"), laws.ENDINGS, ids=laws.names(laws.ENDINGS))
async def test_every_stream_ends_and_says_why(server, script, event, reason):
    await laws.check_ending(server, script, event, reason)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "status", "reason"), laws.REFUSALS, ids=laws.names(laws.REFUSALS)
)
async def test_a_failure_known_in_time_has_its_true_status(server, script, status, reason):
    await laws.check_refusal(server, script, status, reason)


# A sync client that waits for its head cannot be interrupted: docs/howto/flask.md says so.
SYNC_DEPARTURES = [row for row in laws.DEPARTURES if row[0] != "before the head"]
LEAVERS = [(*row, "async") for row in laws.DEPARTURES]
LEAVERS += [(*row, "sync") for row in SYNC_DEPARTURES]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(
    ("_when", "script", "seen", "client"), LEAVERS, ids=[f"{row[3]} {row[0]}" for row in LEAVERS]
)
async def test_a_client_that_leaves_cancels_its_upstream(
    server, simulator, _when, script, seen, client, how
):
    more = {"async": client == "async"}
    took_s = await laws.seconds_to_cancel(server, simulator, script, seen, how, **more)
    assert took_s < laws.LEFT_S + laws.BUSY_S


@pytest.mark.slow
async def test_a_reader_that_takes_nothing_is_cut_off_and_sees_no_proper_end(server):
    wire = await asked(server, "flood,bytes=9000000", receive_bytes=4096)
    wire.transport.pause_reading()
    await asyncio.sleep(7.0)
    wire.transport.resume_reading()
    answer = await wire.answer(15.0)
    # waitress takes it all into buffers of its own, so there nobody is seen to be slow.
    assert answer.ended == ("whole" if "waitress" in server.name else "cut, eof")


# It is the process's default to die of the signal where the server has no handler for it.
EXITS = {"gunicorn": 0, "werkzeug": -signal.SIGTERM, "waitress-lookahead": -signal.SIGTERM}


@pytest.mark.slow
async def test_live_streams_end_when_the_server_is_told_to(server):
    assert await laws.check_drain(server) < laws.DRAINED_S
    assert server.process.wait(10) == EXITS[server.name]


# -- in the process -------------------------------------------------------------------------------


def app_with(source, **options):
    app = Flask(__name__)

    @app.get("/")
    def view():
        return respond(request, source(), format="text", **options)

    return app.test_client()


def test_the_view_is_a_flask_response_with_our_headers():
    response = app_with(lambda: iter(HEALTHY)).get("/")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.text.startswith('id: 1-3\ndata: {"text":"Salt."}')
    assert '"event":"end"' in response.text


def test_a_failure_known_in_time_is_a_whole_response():
    response = app_with(lambda: iter(())).get("/")
    assert response.status_code == 502
    assert response.json["finalstop"]["reason"] == "truncated"
    assert response.headers["content-length"] == str(len(response.data))


def test_what_is_no_stream_is_the_views_own_error():
    client = app_with(lambda: 7)
    client.application.testing = True
    with pytest.raises(TypeError, match="int"):
        client.get("/")
