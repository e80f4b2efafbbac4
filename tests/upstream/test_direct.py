"""What is `DirectUpstream`'s own; what it shares with the other is run over both, in `test_http`,
`test_calls` and `test_faults`."""

from typing import Any

import pytest

from finalstop.core.limits import Limits
from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from tests.upstream.kinds import direct_to
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk
from tests.upstream.sinks import RecordingSink

POST = UpstreamRequest("POST", "/v1/messages", {}, b"{}")


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


async def test_no_task_wakes_for_a_read():
    pieces = 40
    moves = [CHUNKED, *[it for _ in range(pieces) for it in (0.001, chunk(b"x"))], 0.02, LAST_CHUNK]
    async with (
        RawServer(moves) as server,
        direct_to(server.url, limits=Limits(gate_s=0)) as upstream,
    ):
        waits = []
        sink = RecordingSink(lambda it: waits.append(it.call.task._fut_waiter))
        sink.call = upstream.call(POST, sink, attempts=1, retry_until=0.0)
        await sink.ended()
        assert len(waits) > pieces / 2
        # The one thing that the call's task waits for, from the first read to the last.
        assert set(waits) == {sink.call._answer}
