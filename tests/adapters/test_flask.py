"""What Flask has for itself: its response, the SDK's sync client, and readers that are stuck.

What holds of every framework: test_frameworks.
"""

from __future__ import annotations

import asyncio

import pytest
from flask import Flask, request

from finalstop.adapters.flask import respond
from finalstop.simulator import SimulatorThread
from tests.adapters import laws
from tests.adapters.answers import HEALTHY
from tests.adapters.serving import asked, serving

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


# -- as real servers ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as simulator:
        yield simulator


SERVERS = ("Flask / gunicorn, gthread", "Flask / werkzeug", "Flask / waitress, lookahead")


@pytest.fixture(scope="module", params=SERVERS)
def server(request, simulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serving(request.param, simulator.url, folder, write_s=2.0) as server:
        yield server


# A sync client that waits for its head cannot be interrupted: docs/howto/flask.md says so.
DEPARTURES = [row for row in laws.DEPARTURES if row[0] != "before the head"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(("_when", "script", "seen"), DEPARTURES, ids=laws.names(DEPARTURES))
async def test_the_sdks_sync_client_is_interrupted_as_well(
    server, simulator, _when, script, seen, how
):
    more = {"async": False}
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
