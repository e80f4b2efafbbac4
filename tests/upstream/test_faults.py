"""Every fault of the simulator, over real sockets: one end, in order, and nothing left behind.

The simulator is the stranger here: what it calls a fault of transport must end as one, and what it
calls a fault of content must pass through, because the upstream does not read content.
"""

import asyncio
import time

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.simulator import CallEnd, Simulator, describe
from finalstop.upstream import calls
from finalstop.upstream.contract import UpstreamRequest
from tests.faults.client import eventually
from tests.upstream.kinds import each_kind, over, upstream_at  # noqa: F401
from tests.upstream.sinks import RecordingSink
from tests.upstream.test_calls import AT_ONCE_S, ask, told

MESSAGE_STOP = b"message_stop"
SMALL = Limits(stream_bytes=1024 * 1024, event_bytes=64 * 1024)
KEY = {"x-api-key": "a key"}

# What ends by itself, and not with a proper end of the body.
ENDS = {
    "eof": EndReason.TRUNCATED, "rst": EndReason.TRUNCATED, "cut-chunk": EndReason.TRUNCATED,
    "cut-gzip": EndReason.TRUNCATED, "content-length-short": EndReason.TRUNCATED,
    "rst-after-stop": EndReason.TRUNCATED, "eof-after-stop": EndReason.TRUNCATED,
    "gzip-no-trailer": EndReason.TRUNCATED, "bad-chunk-size": EndReason.UPSTREAM_INVALID,
    "huge-head": EndReason.UPSTREAM_INVALID, "not-http": EndReason.UPSTREAM_INVALID,
    "unknown-encoding": EndReason.UPSTREAM_INVALID, "gzip-bomb": EndReason.UPSTREAM_INVALID,
    "redirect": 307, "status-stall": 500,
}  # fmt: skip
# What never ends by itself: the stream's timers are above this room.
ENDLESS = {
    "no-head", "stall", "pings-forever", "comments-forever", "spaces-forever", "error-then-open",
    "never-closed", "never-closed-pings", "never-closed-events", "huge-line-no-newline",
    "endless-comment", "endless-fields",
}  # fmt: skip
# Megabytes that prove nothing here, or seconds of waiting: sized down.
OPTIONS = {"huge-event": ",bytes=200000", "huge-line-no-newline": ",bytes=200000",
           "endless-comment": ",bytes=200000", "endless-fields": ",bytes=200000",
           "flood": ",bytes=200000", "gzip-bomb": ",bytes=4000000", "slow-drip": ",pace_ms=1",
           "pause": ",hold_s=0.02", "pause-pings": ",hold_s=0.02", "huge-head": ",bytes=100000",
           "status-stall": ",hold_s=0.3"}  # fmt: skip


def scripts():
    """Faults of transport at each of their phases; of content, which passes through, at one."""
    for name, kind, phases, _ in describe():
        if kind != "connect":
            of_transport = name in ENDS or name in ENDLESS
            for phase in (phases if of_transport else phases[:1]) or ("",):
                yield name, f"{name}{'@' + phase if phase else ''}{OPTIONS.get(name, '')}"


def asked_for(script):
    headers = {"x-simulator": script, "content-type": "application/json"}
    body = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"?"}]}'
    return UpstreamRequest("POST", "/v1/messages", headers, body)


def expected(name):
    if name.startswith("status-") and name not in ENDS:
        return int(name.split("-")[1])
    return ENDS.get(name, "eof")


FINITE = [row for row in scripts() if row[0] not in ENDLESS]
OPEN = [row for row in scripts() if row[0] in ENDLESS]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "script"), FINITE, ids=[row[1] for row in FINITE])
async def test_what_ends_ends_once_and_as_what_it_is(name, script):
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY, limits=SMALL) as upstream,
    ):
        sink = await told(upstream, asked_for(script))
        assert sink.end == expected(name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "script"), OPEN, ids=[row[1] for row in OPEN])
async def test_what_never_ends_is_closed_at_once_by_a_cancel(name, script):
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY, limits=SMALL) as upstream,
    ):
        sink = RecordingSink()
        call = ask(upstream, sink, asked_for(script))
        await eventually(lambda: simulator.calls)
        assert sink.end is None
        began = time.monotonic()
        call.cancel()
        await gone(simulator)
        seen = simulator.calls[0]
        assert seen.ended is CallEnd.PEER_CLOSED
        assert seen.ended_at is not None
        assert seen.ended_at - began < AT_ONCE_S


async def gone(simulator, within_s=2.0):
    async with asyncio.timeout(within_s):
        while simulator.connections_open:  # noqa: ASYNC110 # the simulator has no event for it
            await asyncio.sleep(0.001)


def at_message_stop(sink):
    if MESSAGE_STOP in sink.body:
        sink.call.release()


async def test_a_stream_released_at_its_last_event_gives_its_connection_to_the_next():
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY) as upstream,
    ):
        for _ in range(5):
            sink = RecordingSink(at_message_stop)
            await over(ask(upstream, sink, asked_for("text")))
            assert MESSAGE_STOP in sink.body
        assert {call.connection for call in simulator.calls} == {1}


@pytest.mark.parametrize("script", ["never-closed", "never-closed-pings,pace_ms=5"])
async def test_an_upstream_that_never_closes_is_closed_after_the_drain(monkeypatch, script):
    monkeypatch.setattr(calls, "DRAIN_S", 0.05)
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY) as upstream,
    ):
        sink = RecordingSink(at_message_stop)
        ask(upstream, sink, asked_for(script))
        await gone(simulator, within_s=0.5)
        assert sink.end is None


@pytest.mark.parametrize("script", ["close-while-idle", "reset-on-reuse", "refuse-keepalive"])
async def test_a_kept_connection_that_goes_costs_no_call(script):
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY) as upstream,
    ):
        for pause_s in (0.0, 0.03, 0.0):
            assert (await told(upstream, asked_for(script))).end == "eof"
            await asyncio.sleep(pause_s)


@pytest.mark.slow
@pytest.mark.parametrize("status", ["status-408", "status-409", "status-429", "status-529"])
async def test_a_fault_that_passes_is_retried_into_a_whole_answer(status):
    script = f"{status},times=1,retry_after=0"
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY) as upstream,
    ):
        sink = await told(upstream, asked_for(script), attempts=2)
        assert sink.end == "eof"
        assert MESSAGE_STOP in sink.body


@pytest.mark.slow
async def test_the_work_is_per_read_and_never_per_event():
    async with (
        Simulator() as simulator,
        upstream_at(simulator.url, credentials=KEY) as upstream,
    ):
        sink = await told(upstream, asked_for("one-write,answer=long"))
        assert sink.body.count(b"\n\n") > 300
        assert len(sink.chunks) < 20
