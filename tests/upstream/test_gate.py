"""The gate: who flows is read once per tick, and nobody else is ever kept waiting."""

import asyncio
from typing import Any

import pytest

from finalstop.core.limits import Limits
from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from finalstop.upstream.gate import FAST_READS, Gate
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk
from tests.upstream.sinks import RecordingSink

TICK_S = 0.03
POST = UpstreamRequest("POST", "/v1/messages", {}, b"{}")


class Loop:
    """A loop's clock and one timer at most, both moved by hand."""

    def __init__(self):
        self.now = 100.0
        self.timer: Any = None

    def time(self):
        return self.now

    def call_at(self, at, act):
        assert self.timer is None, "one timer, and not one per stream"
        self.timer = (at, act)

    def run_to(self, now):
        self.now = now
        if self.timer is not None and self.timer[0] <= now:
            (_, act), self.timer = self.timer, None
            act()


class Read:
    """A connection as the gate sees it."""

    def __init__(self):
        self.fast_reads = 0
        self.open_since = 0.0
        self.paused = False

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


def gate_of(loop: Any) -> Gate:
    return Gate(TICK_S, loop)


def read_every(gate, loop, read, seconds, times):
    for _ in range(times):
        loop.run_to(loop.now + seconds)
        if not read.paused:
            gate.after_read(read)


@pytest.mark.parametrize("apart_s", [TICK_S, 0.05, 1.0])
def test_a_stream_slower_than_the_tick_is_never_paused(apart_s):
    loop, read = Loop(), Read()
    gate = gate_of(loop)
    for _ in range(50):
        loop.run_to(loop.now + apart_s)
        gate.after_read(read)
        assert not read.paused
    assert loop.timer is None


def test_the_first_reads_of_a_stream_are_never_delayed():
    loop, read = Loop(), Read()
    gate = gate_of(loop)
    # The first is not quick: nothing came before it.
    for _ in range(1 + FAST_READS):
        loop.run_to(loop.now + 0.001)
        gate.after_read(read)
        assert not read.paused
    gate.after_read(read)
    assert read.paused


def test_a_pause_lasts_a_tick_at_most():
    loop = Loop()
    gate = gate_of(loop)
    for start in (100.0, 100.5, 101.001, 109.99, 110.0):
        read = Read()
        loop.run_to(start)
        read_every(gate, loop, read, 0.002, FAST_READS + 2)
        assert read.paused
        assert 0 < loop.timer[0] - loop.now <= TICK_S
        loop.run_to(loop.timer[0])
        assert not read.paused


def test_one_timer_opens_all_and_none_runs_while_nothing_is_paused():
    loop, reads = Loop(), [Read() for _ in range(100)]
    gate = gate_of(loop)
    for _ in range(FAST_READS + 2):
        loop.run_to(loop.now + 0.0001)
        for read in reads:
            gate.after_read(read)
    assert all(read.paused for read in reads)
    loop.run_to(loop.timer[0])
    assert not any(read.paused for read in reads)
    assert loop.timer is None


def test_a_stream_that_slows_down_runs_free_again():
    loop, read = Loop(), Read()
    gate = gate_of(loop)
    read_every(gate, loop, read, 0.002, FAST_READS + 2)
    loop.run_to(loop.timer[0])
    loop.run_to(loop.now + TICK_S)
    gate.after_read(read)
    assert not read.paused
    read_every(gate, loop, read, 0.002, FAST_READS)
    assert not read.paused


# -- over a socket ----------------------------------------------------------------------------

WORDS = 40
FLOW = [CHUNKED, *[move for _ in range(WORDS) for move in (0.002, chunk(b"word"))], LAST_CHUNK]


async def reads_of(server, limits):
    upstream = DirectUpstream(server.url, credentials={}, limits=limits)
    sink = RecordingSink()
    try:
        sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
        assert await sink.ended() == "eof"
    finally:
        await upstream.close()
    assert sink.body == b"word" * WORDS
    return len(sink.chunks)


async def test_a_stream_that_flows_takes_fewer_reads_and_loses_nothing():
    async with RawServer(FLOW) as server:
        gated = await reads_of(server, Limits(gate_s=0.05))
        strict = await reads_of(server, Limits(gate_s=0))
        assert gated < strict


async def test_a_released_body_is_drained_while_the_gate_is_closed():
    moves = [CHUNKED, *[move for _ in range(20) for move in (0.001, chunk(b"word"))], LAST_CHUNK]
    async with RawServer(moves, [CHUNKED + chunk(b"next") + LAST_CHUNK]) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits(gate_s=0.02))
        try:
            sink = RecordingSink(lambda it: it.call.release() if len(it.chunks) == 12 else None)
            sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
            await asyncio.wait({sink.call.task})
            again = RecordingSink()
            again.call = upstream.call(POST, again, attempts=1, retry_until=0.0)
            await again.ended()
        finally:
            await upstream.close()
        assert again.body == b"next"
        assert server.on_connection == [1, 1]
