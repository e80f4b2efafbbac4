"""The gate: who flows is read once per tick, and nobody else is ever kept waiting."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from finalstop.core.limits import Limits
from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from finalstop.upstream.gate import BEATS, FAST_READS, Gate
from tests.upstream.kinds import over
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk
from tests.upstream.sinks import RecordingSink

TICK_S = 0.03
POST = UpstreamRequest("POST", "/v1/messages", {}, b"{}")
AT_ONCE = UpstreamRequest("POST", "/v1/messages", {}, b"{}", at_once=True)


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

    def run_to(self, until):
        while self.timer is not None and self.timer[0] <= until:
            (at, act), self.timer = self.timer, None
            self.now = max(self.now, at)
            act()
        self.now = until


class Read:
    """A connection as the gate sees it; `comes` says whether a look finds anything."""

    def __init__(self, loop, *, comes=False):
        self.fast_reads = 0
        self.read_at = 0.0
        self.is_gated = False
        self.paused_at = None
        self.looks = []
        self.gate: Any = None
        self.comes = comes
        self.fails: Exception | None = None
        self.held_up_s = 0.0
        self.lost: list[Exception] = []
        self._loop = loop

    def pause(self):
        self.paused_at = self.paused_at or self._loop.now

    def look(self):
        self.looks.append(self._loop.now)
        if self.fails is not None:
            raise self.fails
        self._loop.now += self.held_up_s
        if self.comes:
            self.gate.after_read(self)
        else:
            self.resume()

    def resume(self):
        self.paused_at = None

    def lose(self, error):
        self.lost.append(error)


def gate_of(loop: Any) -> Gate:
    return Gate(TICK_S, loop)


def make_flow(gate, *reads):
    """Until they are gated."""
    for _ in range(FAST_READS + 2):
        for read in reads:
            read.gate = gate
            gate.after_read(read)
    assert all(read.paused_at is not None for read in reads)


@pytest.mark.parametrize("apart_s", [TICK_S, 0.05, 1.0])
def test_a_stream_slower_than_the_tick_is_never_paused(apart_s):
    loop = Loop()
    gate, read = gate_of(loop), Read(loop)
    for _ in range(50):
        loop.run_to(loop.now + apart_s)
        gate.after_read(read)
        assert read.paused_at is None
    assert loop.timer is None


def test_the_first_reads_of_a_stream_are_never_delayed():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop)
    # The first is not quick: nothing came before it.
    for _ in range(1 + FAST_READS):
        loop.run_to(loop.now + 0.001)
        gate.after_read(read)
        assert read.paused_at is None
    gate.after_read(read)
    assert read.paused_at is not None


@pytest.mark.parametrize("start", [100.05, 100.5, 101.001, 109.99])
def test_a_pause_lasts_a_tick_at_most_and_nearly_one(start):
    loop = Loop()
    gate, others = gate_of(loop), [Read(loop, comes=True) for _ in range(3)]
    for other in others:  # the beats are under way, somewhere
        make_flow(gate, other)
        loop.run_to(loop.now + 0.011)
    loop.run_to(start)
    read = Read(loop)
    make_flow(gate, read)
    began = loop.now
    loop.run_to(loop.now + 2 * TICK_S)
    assert read.looks[0] - began <= TICK_S + 1e-9
    assert read.looks[0] - began >= TICK_S * (1 - 1 / BEATS) - 1e-9


def test_a_stream_that_flows_is_read_once_per_tick_and_stays_paused():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop, comes=True)
    make_flow(gate, read)
    loop.run_to(loop.now + 100 * TICK_S)
    assert len(read.looks) in {99, 100}
    assert max(b - a for a, b in pairwise(read.looks)) <= TICK_S + 1e-9
    assert read.paused_at == 100.0


def test_one_timer_serves_all_and_none_runs_while_nobody_waits():
    loop = Loop()
    gate, reads = gate_of(loop), [Read(loop) for _ in range(100)]
    make_flow(gate, *reads)
    loop.run_to(loop.now + TICK_S)
    assert not any(read.paused_at for read in reads)
    assert loop.timer is None
    # And it beats again for whoever comes after the rest.
    later = Read(loop)
    make_flow(gate, later)
    loop.run_to(loop.now + TICK_S)
    assert len(later.looks) == 1


def test_a_loop_that_is_held_up_in_a_beat_leaves_nobody_paused():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop, comes=True)
    make_flow(gate, read)
    read.held_up_s = 2 * TICK_S
    loop.run_to(loop.now + TICK_S)
    assert len(read.looks) == 1
    assert (read.paused_at, read.is_gated) == (None, False)


def test_a_connection_that_cannot_be_looked_at_is_lost_alone():
    loop = Loop()
    gate, before, broken, behind = gate_of(loop), *(Read(loop, comes=True) for _ in range(3))
    broken.fails = OSError("no space")
    make_flow(gate, before, broken, behind)
    loop.run_to(loop.now + 5 * TICK_S)
    assert broken.lost == [broken.fails]
    assert len(broken.looks) == 1
    assert min(len(before.looks), len(behind.looks)) >= 4


def test_who_begins_at_another_moment_is_read_at_another_moment():
    loop = Loop()
    gate, reads = gate_of(loop), [Read(loop, comes=True) for _ in range(40)]
    for read in reads:
        make_flow(gate, read)
        loop.run_to(loop.now + TICK_S / len(reads))
    loop.run_to(loop.now + 10 * TICK_S)
    together = Counter(read.looks[-1] for read in reads)
    assert len(together) == BEATS
    assert max(together.values()) <= 2 * len(reads) / BEATS


def test_a_loop_that_was_held_up_does_not_run_after_the_beats_it_missed():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop, comes=True)
    make_flow(gate, read)
    loop.now += 100 * TICK_S
    loop.run_to(loop.now + 2 * TICK_S)
    assert len(read.looks) <= 3


def test_a_stream_that_slows_down_runs_free_again():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop, comes=True)
    make_flow(gate, read)
    read.comes = False
    loop.run_to(loop.now + TICK_S)
    assert read.paused_at is None
    loop.run_to(loop.now + TICK_S)
    for _ in range(FAST_READS):
        gate.after_read(read)
    assert read.paused_at is None


def test_who_waits_is_not_enlisted_twice():
    loop = Loop()
    gate, read = gate_of(loop), Read(loop)
    make_flow(gate, read)
    for _ in range(5):
        gate.after_read(read)  # its transport has read on, because there was more
    loop.run_to(loop.now + 3 * TICK_S)
    assert len(read.looks) == 1


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


async def test_the_second_flow_of_an_upstream_fares_as_the_first():
    async with RawServer(FLOW, FLOW) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits(gate_s=0.05))
        try:
            for _ in range(2):
                sink = RecordingSink()
                sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
                assert await sink.ended() == "eof"
                assert sink.body == b"word" * WORDS
        finally:
            await upstream.close()


async def test_a_released_body_is_drained_while_the_gate_is_closed():
    moves = [CHUNKED, *[move for _ in range(20) for move in (0.001, chunk(b"word"))], LAST_CHUNK]
    async with RawServer(moves, [CHUNKED + chunk(b"next") + LAST_CHUNK]) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits(gate_s=0.02))
        try:
            sink = RecordingSink(lambda it: it.call.release() if len(it.chunks) == 12 else None)
            sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
            await over(sink.call)
            again = RecordingSink()
            again.call = upstream.call(POST, again, attempts=1, retry_until=0.0)
            await again.ended()
        finally:
            await upstream.close()
        assert again.body == b"next"
        assert server.on_connection == [1, 1]


async def reads_of_each(*requests):
    """How many words came with each read of each answer, all on one connection.

    Each word is said once the one before was read; if the gate closes, all that are left are said
    before its next beat. Its clock is moved by hand.
    """
    clock: Any = Loop()
    gate = Gate(TICK_S, clock)
    heard, found = asyncio.Event(), []
    async with RawServer([CHUNKED]) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits())
        well = upstream._open_well()
        upstream._well = msgspec.structs.replace(well, gate=gate, open_gate=gate.left_open())
        try:
            for request in requests:
                sink: Any = RecordingSink(lambda _: heard.set())
                sink.call = upstream.call(request, sink, attempts=1, retry_until=0.0)
                async with asyncio.timeout(5):
                    await sink.began.wait()
                    (peer,) = server.connections
                    left = WORDS
                    while left and not sink.call._connection.is_gated:
                        heard.clear()
                        peer.transport.write(chunk(b"word"))
                        left -= 1
                        await heard.wait()
                    # In one piece: the kernel would not send so many before the first are read.
                    peer.transport.write(chunk(b"word") * left)
                    clock.run_to(clock.now + TICK_S)
                    assert len(sink.body) == 4 * WORDS
                    peer.transport.write(LAST_CHUNK)
                    clock.run_to(clock.now + 2 * TICK_S)
                    await sink.over.wait()
                found.append([len(read) // 4 for read in sink.chunks])
        finally:
            await upstream.close()
    assert set(server.on_connection) == {1}
    return found


async def test_a_request_is_read_at_once_and_the_next_on_its_connection_is_gated_again():
    one_by_one = [1] * WORDS
    # The head is read, then so many words quickly; the next closes the gate, until one beat brings
    # all the others.
    gated = [1] * (FAST_READS + 1) + [WORDS - FAST_READS - 1]
    found = await reads_of_each(POST, AT_ONCE, POST, POST, AT_ONCE, AT_ONCE)
    assert found == [gated, one_by_one, gated, gated, one_by_one, one_by_one]


async def told_the_gate(monkeypatch, *scripts):
    """How each read of each call found its connection; the gate itself shuts nobody out."""
    found: list[int] = []
    monkeypatch.setattr(Gate, "after_read", lambda _gate, it: found.append(it.fast_reads))
    async with RawServer(*scripts) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits(gate_s=0.05))
        sinks = []
        try:
            for _ in scripts:
                sink = RecordingSink(lambda it: setattr(it.call._connection, "fast_reads", 99))
                sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
                await sink.ended()
                sinks.append(sink)
        finally:
            await upstream.close()
    return found, sinks, server


async def test_a_kept_connection_is_no_faster_for_what_flowed_on_it_before(monkeypatch):
    moves = [CHUNKED, 0.02, chunk(b"first"), 0.02, LAST_CHUNK]
    found, sinks, server = await told_the_gate(monkeypatch, moves, moves)
    assert server.on_connection == [1, 1]
    assert found == [0, 99, 0, 99]
    assert [sink.body for sink in sinks] == [b"first", b"first"]


async def test_what_is_no_stream_is_no_matter_of_the_gate(monkeypatch):
    head = CHUNKED.replace(b"200 OK", b"400 Bad Request")
    assert head != CHUNKED
    moves = [head, *[move for _ in range(5) for move in (0.005, chunk(b"no"))], LAST_CHUNK]
    found, (sink,), _ = await told_the_gate(monkeypatch, moves)
    assert (sink.end, sink.body) == (400, b"no" * 5)
    assert found == []


class Rested:
    """Counts what a rest is told."""

    def __init__(self):
        self.reads = 0

    def saw_read(self):
        self.reads += 1


def test_the_rest_is_told_of_reads_that_no_tick_has_brought_about():
    loop: Any = Loop()
    rest: Any = Rested()
    gate = Gate(TICK_S, loop, rest=rest)
    read = Read(loop, comes=True)
    read.gate = gate
    make_flow(gate, read)
    before = rest.reads
    assert before == FAST_READS + 1
    loop.run_to(loop.now + 10 * TICK_S)
    assert len(read.looks) >= 9
    assert rest.reads == before


def test_without_a_tick_nobody_is_gated_and_the_rest_is_told_of_every_read():
    loop: Any = Loop()
    rest: Any = Rested()
    gate = Gate(0.0, loop, rest=rest)
    read = Read(loop)
    for _ in range(5 * FAST_READS):
        gate.after_read(read)
    assert read.paused_at is None
    assert rest.reads == 5 * FAST_READS


def test_a_gate_that_is_left_open_closes_for_nobody_and_tells_the_same_rest():
    loop: Any = Loop()
    rest: Any = Rested()
    gate, read = Gate(TICK_S, loop, rest=rest), Read(loop)
    for _ in range(5 * FAST_READS):
        gate.left_open().after_read(read)
    assert (read.paused_at, read.fast_reads) == (None, 0)
    assert rest.reads == 5 * FAST_READS


def test_a_beat_that_was_meant_for_the_last_holder_pauses_nobody():
    loop: Any = Loop()
    gate, read = gate_of(loop), Read(loop)
    make_flow(gate, read)
    read.resume()  # let go, and held by somebody who reads at once
    read.gate, read.comes = gate.left_open(), True
    for _ in range(5 * FAST_READS):
        read.gate.after_read(read)
        loop.run_to(loop.now + TICK_S / FAST_READS)
        assert read.paused_at is None
    assert not read.is_gated
    assert loop.timer is None
