"""SIGTERM to the real process: every stream still ends, in time, and so does the process."""

import asyncio
import signal
import time
from collections import Counter

import pytest

from finalstop.simulator import Simulator
from tests.faults.client import MESSAGES, PLAIN, ROUTES, ask, begin, eventually, get
from tests.gateway.process import gateway_process

STREAMS = 200
DRAIN_S = 4.0
# As a process manager would see it: the window and what it takes to be gone.
EXIT_S = DRAIN_S + 2.0
# Short ones end inside the window, long ones do not.
SHORT = "text,words=60,pace_ms=40"
LONG = "text,words=1000,pace_ms=100"


def told_reason(wire, path):
    """How the last frame on the wire says the stream ended."""
    if path == PLAIN:
        return "complete" if b'"event":"end"' in wire.data else reason_in(wire.data)
    return "complete" if b"event: message_stop" in wire.data else reason_in(wire.data)


def reason_in(data):
    return "draining" if b'"reason":"draining"' in data else "none"


@pytest.mark.slow
async def test_at_sigterm_200_streams_end_complete_or_draining_and_the_process_exits_0(
    tmp_path, capsys, record_property
):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, drain_s=DRAIN_S, commit_s=0) as gateway,
    ):
        asked = [(ROUTES[n % 2], SHORT if n % 4 < 2 else LONG) for n in range(STREAMS)]
        wires = [(path, await begin(gateway.url, spec, path=path)) for path, spec in asked]
        async with asyncio.TaskGroup() as group:
            for _, wire in wires:
                group.create_task(wire.until(b'"text', within_s=20))
        signalled_at = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        await refuses_what_is_new(gateway, signalled_at)
        answers = [(path, wire, await wire.answer(EXIT_S + 10)) for path, wire in wires]
        status = await gateway.process.wait()
        took_s = time.monotonic() - signalled_at
    assert [answer.ended for _, _, answer in answers] == ["whole"] * STREAMS
    reasons = Counter(told_reason(wire, path) for path, wire, _ in answers)
    assert set(reasons) == {"complete", "draining"}
    assert reasons["draining"] == STREAMS // 2
    assert Counter(line["reason"] for line in gateway.ended()) == reasons
    figure = (
        f"{dict(reasons)}; the process was gone {took_s:.1f} s after SIGTERM, drain_s={DRAIN_S}"
    )
    record_property("figure", figure)
    with capsys.disabled():
        print(f"\n  {figure}")  # noqa: T201 # the figure is the point
    assert status == 0
    assert took_s <= EXIT_S


async def is_unready(gateway, within_s=10.0):
    async with asyncio.timeout(within_s):
        while (await get(gateway.url, "/readyz")).status != 503:
            pass


async def refuses_what_is_new(gateway, signalled_at):
    """Readiness fails first, while the process still answers; a new stream is a 503."""
    await is_unready(gateway, within_s=1.0)
    assert (await get(gateway.url, "/healthz")).status == 200
    for path in ROUTES:
        refused = await ask(gateway.url, "text", path=path)
        assert (refused.status, refused.ended) == (503, "whole")
        assert refused.headers["retry-after"] == "2"
        assert refused.json["error"]["type"] == "overloaded_error"
    assert time.monotonic() - signalled_at < DRAIN_S / 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_does_not_wait(tmp_path, number):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, drain_s=30, commit_s=0) as gateway,
    ):
        wires = [await begin(gateway.url, LONG, path=path) for path in ROUTES * 10]
        for wire in wires:
            assert await wire.until(b'"text')
        gateway.process.send_signal(signal.SIGTERM)
        await is_unready(gateway)
        second_at = time.monotonic()
        gateway.process.send_signal(number)
        answers = [await wire.answer() for wire in wires]
        assert await gateway.process.wait() == 0
        assert time.monotonic() - second_at < DRAIN_S
        assert [answer.ended for answer in answers] == ["whole"] * len(wires)
        assert {line["reason"] for line in gateway.ended()} == {"draining"}


@pytest.mark.slow
async def test_a_process_without_streams_is_gone_at_once(tmp_path):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, drain_s=30) as gateway,
    ):
        assert (await ask(gateway.url, "text", path=MESSAGES)).ended == "whole"
        signalled_at = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.wait() == 0
        assert time.monotonic() - signalled_at < 2.0


@pytest.mark.slow
async def test_a_stream_that_only_lingers_is_not_waited_for(tmp_path):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, drain_s=30) as gateway,
    ):
        wire = await begin(gateway.url, LONG, headers=("finalstop-linger-s: 60",))
        assert await wire.until(b'"text')
        wire.leave("fin")
        await asyncio.sleep(0.1)
        signalled_at = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.process.wait() == 0
        assert time.monotonic() - signalled_at < 2.0
    assert [line["reason"] for line in gateway.ended()] == ["draining"]


@pytest.mark.slow
async def test_a_stream_still_before_its_head_is_told_503(tmp_path):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, drain_s=1.0) as gateway,
    ):
        wires = [await begin(gateway.url, "no-head", path=path) for path in ROUTES]
        await eventually(lambda: len(simulator.calls) == len(ROUTES))
        gateway.process.send_signal(signal.SIGTERM)
        for wire in wires:
            answer = await wire.answer()
            assert (answer.status, answer.ended) == (503, "whole")
            assert answer.json["finalstop"]["reason"] == "draining"
            assert answer.headers["retry-after"] == "2"
        assert await gateway.process.wait() == 0
