"""What aiohttp has for itself. What holds of every framework: test_frameworks."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.aiohttp import respond
from finalstop.simulator import SimulatorThread
from tests.adapters import laws
from tests.adapters.answers import HEALTHY
from tests.adapters.serving import serving
from tests.faults.client import dial, eventually, request_bytes

# -- in the process -------------------------------------------------------------------------------

LIMITS = Limits(commit_s=0.05, write_s=0.4, keep_alive_s=1.0)


async def told(events, pause_s=0.0):
    for event in events:
        yield event
        await asyncio.sleep(pause_s)


class App:
    """A handler on a real port. `responses` are what `respond` returned."""

    def __init__(self, source, **options):
        self.responses = []
        self.source, self.options = source, options

    async def handler(self, request):
        response = await respond(request, self.source(), format="text", **self.options)
        self.responses.append(response)
        return response

    async def __aenter__(self):
        self.options.setdefault("relay", Relay(MemoryLog(LIMITS), LIMITS))
        self.runner = web.ServerRunner(web.Server(self.handler))
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc):
        self.options["relay"].close()
        await self.runner.cleanup()

    async def asked(self, *, version=b"HTTP/1.1", receive_bytes=None):
        wire = await dial(self.url, receive_bytes=receive_bytes)
        wire.transport.write(request_bytes("GET", "/", "h").replace(b"HTTP/1.1", version))
        return wire


async def test_the_hook_has_the_receipt_and_the_message():
    saved = []
    async with App(lambda: told(HEALTHY), on_end=lambda *what: saved.append(what)) as app:
        answer = await (await app.asked()).answer()
        await eventually(lambda: saved)
    assert json.loads(answer.frames[-1][2])["reason"] == "complete"
    receipt, message = saved[0]
    assert receipt.complete
    assert message["content"] == [{"type": "text", "text": "Salt."}]


async def test_an_http_1_0_client_is_served_to_the_end_of_the_connection(caplog):
    async with App(lambda: told(HEALTHY)) as app:
        answer = await (await app.asked(version=b"HTTP/1.0")).answer()
    assert "transfer-encoding" not in answer.headers
    assert json.loads(answer.frames[-1][2])["reason"] == "complete"
    assert "HTTP/1.0" in caplog.text


@pytest.mark.slow
async def test_a_client_that_leaves_before_the_head_leaves_a_499():
    async with App(lambda: told(HEALTHY, 5.0), limits=Limits(commit_s=5.0)) as app:
        app.source = lambda: told([{"type": "ping"}, *HEALTHY], 5.0)
        wire = await app.asked()
        await asyncio.sleep(0.1)
        wire.leave("fin")
        await eventually(lambda: app.responses, 1.0)
    assert app.responses[0].status == 499


async def test_a_draining_relay_refuses_with_503():
    async with App(lambda: told(HEALTHY)) as app:
        await app.options["relay"].drain()
        answer = await (await app.asked()).answer()
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json["error"]["type"] == "overloaded_error"


@pytest.mark.slow
async def test_a_reader_that_takes_nothing_is_cut_off_and_sees_no_proper_end():
    big = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "x" * 4_000_000},
    }
    events = [*HEALTHY[:2], big, big, big, *HEALTHY[3:]]
    async with App(lambda: told(events)) as app:
        wire = await app.asked(receive_bytes=4096)
        wire.transport.pause_reading()
        await eventually(lambda: app.responses, 4.0)
        wire.transport.resume_reading()
        answer = await wire.answer()
    assert answer.ended != "whole"


async def test_what_is_no_stream_is_named():
    with pytest.raises(TypeError, match="int"):
        await respond(None, 7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose one of"):
        await respond(None, told(HEALTHY), format="morse")  # type: ignore[arg-type]


# -- a process of its own -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def cancelling(simulator, tmp_path_factory):
    """A runner that cancels the handlers of clients that left; by default it does not."""
    variables = {"HANDLER_CANCELLATION": "1"}
    folder = tmp_path_factory.mktemp("server")
    with serving("aiohttp / its own runner", simulator.url, folder, variables) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(
    ("_when", "script", "seen"), laws.DEPARTURES, ids=laws.names(laws.DEPARTURES)
)
async def test_a_handler_that_is_cancelled_as_well_cancels_its_upstream(
    cancelling, simulator, _when, script, seen, how
):
    took_s = await laws.seconds_to_cancel(cancelling, simulator, script, seen, how)
    assert took_s < laws.LEFT_S + laws.BUSY_S
