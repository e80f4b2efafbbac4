"""What is `DirectUpstream`'s own; what it shares with the other is run over both, in `test_http`,
`test_calls` and `test_faults`."""

import asyncio
import gc
from typing import Any

import pytest

from finalstop.core.limits import Limits
from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from tests.upstream.kinds import direct_to, over
from tests.upstream.servers import CHUNKED, LAST_CHUNK, Move, RawServer, chunk, whole
from tests.upstream.sinks import RecordingSink

POST = UpstreamRequest("POST", "/v1/messages", {}, b"{}")
# What a call that is over holds no more.
LET_GO = ("task", "_answer", "_connection", "_reader", "_sink")


def named_tasks():
    """The tasks of upstream calls."""
    return {it for it in asyncio.all_tasks() if it.get_name() == "upstream-call"}


def found_by_the_collector():
    """What only the collector of cycles frees."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def is_ours(thing):
    return isinstance(thing, asyncio.Task) or type(thing).__module__.startswith("finalstop.")


def upstream_to(url, **limits):
    return DirectUpstream(url, credentials={}, limits=Limits(**limits))


# limits, the gate's tick
GATES = [
    ({}, 0.027),
    ({"gate_s": 0.0}, 0.0),
    ({"gate_s": 0.5}, 0.5),
    # A pause of ours is never taken for the upstream's silence.
    ({"gate_s": 0.5, "idle_s": 0.2}, 0.1),
    ({"gate_s": 0.5, "first_content_s": 0.1}, 0.05),
]


@pytest.mark.parametrize(("limits", "tick_s"), GATES)
async def test_the_gate_is_as_configured_and_shorter_than_any_timer(limits, tick_s):
    gate = upstream_to("http://127.0.0.1:9", **limits)._gate()
    assert gate._gate_s == tick_s


# limits, of a rest of 4 ms what is taken
RESTS = [
    ({"gate_s": 0.1}, 0.004),
    ({"gate_s": 0.0}, 0.004),
    # As many rests as a tick has beats are no longer than the tick.
    ({"gate_s": 0.008}, 0.001),
    ({"gate_s": 0.1, "idle_s": 0.016}, 0.001),
    # And the same rule without a tick, so that no rests in a row are taken for silence.
    ({"gate_s": 0.0, "idle_s": 0.016}, 0.001),
    ({"gate_s": 0.0, "first_content_s": 0.016}, 0.001),
]


@pytest.mark.parametrize(("named", "rest_s"), RESTS)
async def test_the_loop_rests_where_it_is_told_to_and_nowhere_else(named, rest_s):
    limits = Limits(**named)
    told = DirectUpstream("http://127.0.0.1:9", credentials={}, limits=limits, rest_s=0.004)
    rest = told._gate()._rest
    assert rest is not None
    assert rest._rest_s == pytest.approx(rest_s)
    untold = DirectUpstream("http://127.0.0.1:9", credentials={}, limits=limits)
    assert untold._gate()._rest is None


async def test_each_step_of_a_call_spares_the_turns_that_follow_a_rest():
    steps: list[str] = []

    class Steps(RecordingSink):
        """Notes where in its call it is."""

        def note(self, letter, *what):
            steps.append(what[0])
            super().note(letter, *what)

    async with RawServer([CHUNKED, chunk(b"x"), LAST_CHUNK]) as server:
        upstream = DirectUpstream(server.url, credentials={}, limits=Limits(), rest_s=0.003)
        gate: Any = upstream._open_well().gate
        gate.hurry = lambda: steps.append("hurry")
        sink = Steps()
        sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
        await sink.ended()
        await upstream.close()
    told = ["hurry", "hurry", "connected", "written", "hurry", "responded", "data", "eof"]
    assert steps == told


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://a.example", "a.example"), ("http://a.example:80", "a.example"),
     ("https://a.example:443/x", "a.example"), ("https://a.example:80", "a.example:80"),
     ("http://[::1]:99", "[::1]:99")],
)  # fmt: skip
async def test_the_host_header_leaves_out_the_schemes_own_port(url, host):
    ask = upstream_to(url)._ask(POST)
    assert f"\r\nhost: {host}\r\n".encode() in ask.head
    assert ask.head.endswith(b"\r\n\r\n")


async def test_an_open_stream_has_no_task():
    pieces = 40
    moves = [CHUNKED, *[it for _ in range(pieces) for it in (0.001, chunk(b"x"))], 0.02, LAST_CHUNK]
    async with (
        RawServer(moves) as server,
        direct_to(server.url, limits=Limits(gate_s=0)) as upstream,
    ):
        before = named_tasks()
        seen = []
        sink = RecordingSink(lambda it: seen.append((it.call.task, named_tasks() - before)))
        sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
        assert named_tasks() - before == {sink.call.task}
        await sink.began.wait()
        await asyncio.sleep(0)
        seen.clear()
        await sink.ended()
        assert len(seen) > pieces / 2
        assert all(it == (None, set()) for it in seen)


async def test_close_tears_down_what_streams_without_a_task_and_its_sinks_hear_nothing():
    streams = [CHUNKED + chunk(b"a"), 60.0]
    async with RawServer(streams) as server, direct_to(server.url) as upstream:
        sinks = [RecordingSink() for _ in range(3)]
        for sink in sinks:
            sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
        for sink in sinks:
            await sink.began.wait()
        released: Any = sinks[0].call
        released.release()
        await asyncio.sleep(0.01)
        assert len(upstream._calls) == 3
        said = [list(sink.said) for sink in sinks]
        async with asyncio.timeout(0.5):  # not the drain's time, nor `CLOSE_S`
            await upstream.close()
        assert upstream._calls == set()
        assert [sink.said for sink in sinks] == said
        async with asyncio.timeout(1):
            for connection in server.connections:
                await connection.gone.wait()


# name, what the server plays, what the call's sink does within its first data
ENDS = [
    ("whole", [CHUNKED + chunk(b"x"), 0.01, LAST_CHUNK], None),
    ("whole at once", [CHUNKED + chunk(b"x") + LAST_CHUNK], None),
    ("cut", [CHUNKED + chunk(b"x"), 0.01, Move.RST], None),
    ("malformed", [CHUNKED + chunk(b"x"), 0.01, b"zz\r\n", 60.0], None),
    ("refused", [whole(b"no", status="400 Bad")], None),
    ("closed before the head", [Move.FIN], None),
    ("cancelled", [CHUNKED + chunk(b"x"), 60.0], "cancel"),
    ("released", [CHUNKED + chunk(b"x"), 0.01, LAST_CHUNK], "release"),
    ("released at its end", [CHUNKED + chunk(b"x") + LAST_CHUNK], "release"),
]  # fmt: skip


@pytest.mark.parametrize(("moves", "how"), [it[1:] for it in ENDS], ids=[it[0] for it in ENDS])
async def test_a_call_that_is_over_is_forgotten_and_leaves_the_collector_nothing(moves, how):
    async with RawServer(moves) as server, direct_to(server.url) as upstream:

        async def one():
            sink = RecordingSink(how and (lambda it: getattr(it.call, how)()))
            sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
            assert upstream._calls == {sink.call}
            await over(sink.call)
            assert upstream._calls == set()
            call, sink.call = sink.call, None
            return [getattr(call, it) for it in LET_GO]

        await one()
        gc.collect()
        gc.disable()
        try:
            assert await one() == [None] * len(LET_GO)
            assert not [it for it in found_by_the_collector() if is_ours(it)]
        finally:
            gc.enable()


# When to cancel: seconds after the call, None for at once.
@pytest.mark.parametrize("after_s", [None, 0.0, 0.03])
async def test_a_call_that_is_cancelled_before_its_head_leaves_the_collector_nothing(after_s):
    async with RawServer([60.0]) as server, direct_to(server.url) as upstream:
        gc.collect()
        gc.disable()
        try:
            sink = RecordingSink()
            sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
            if after_s is not None:
                await asyncio.sleep(after_s)
            sink.call.cancel()
            await over(sink.call)
            sink.call = None
            assert not [it for it in found_by_the_collector() if is_ours(it)]
        finally:
            gc.enable()
