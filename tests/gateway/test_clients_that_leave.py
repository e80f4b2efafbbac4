"""A client that leaves takes its upstream call with it: at once, or after the time it asked for.

FIN, RST and half of a FIN: a client that shuts its sending side down while it reads on counts as
gone, as it does for the web server beneath (docs/design/0004-presence.md). Nobody can tell it
from one that closed.
"""

import asyncio
import time

import pytest

from finalstop.core.endings import EndReason
from finalstop.simulator import CallEnd
from tests.faults.client import MESSAGES, PLAIN, ROUTES, begin, dial, eventually, get, receipt_of
from tests.gateway.running import name_of, running

WAYS = ("fin", "rst", "half")
# From the client's leaving to the upstream's seeing it: the promise of issue 2.
CLOSED_S = 0.2
# uvloop's clock counts whole milliseconds, and stands still within a turn.
CLOCK_S = 0.002

# When the client leaves, what plays then, and the bytes it has seen by then; b"" for none.
MOMENTS = [
    ("before the head", "no-head", b""),
    ("before the upstream's first byte of content", "stall@after-head", b"\r\n\r\n"),
    ("mid-stream", "stall@mid-text", b'"text'),
    ("mid-stream, in full flow", "text,words=2000,pace_ms=5", b'"text'),
]
ROOMY = {"first_content_s": 10.0, "idle_s": 10.0}


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


async def left(gateway, wire, way, name):
    """Leave, wait for the upstream's end, and return how long that took."""
    left_at = wire.leave(way)
    call = gateway.call_of(name)
    await eventually(lambda: call.ended is not CallEnd.OPEN)
    assert call.ended is CallEnd.PEER_CLOSED
    return call.ended_at - left_at


async def asked_upstream(gateway, name):
    """Wait until the simulator has this request."""
    await eventually(lambda: any(name_of(call) == name for call in gateway.calls))


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(("moment", "spec", "seen"), MOMENTS, ids=[row[0] for row in MOMENTS])
async def test_the_upstream_call_is_closed_within_200_ms_of_the_last_viewer(
    moment, spec, seen, path, way
):
    # With no commit window the head goes out before anything has come.
    window_s = 5.0 if not seen else 0.0
    async with running(commit_s=window_s, **ROOMY) as gateway:
        wire = await begin(gateway.url, spec, path=path, name=moment)
        await asked_upstream(gateway, moment)
        assert await wire.until(seen)
        assert await left(gateway, wire, way, moment) < CLOSED_S
        (ended,) = await gateway.all_ended(1)
        assert ended.reason is EndReason.ABANDONED
        kept = await receipt_of(gateway.url, ended.receipt.stream)
        assert (kept["reason"], kept["party"]) == ("abandoned", "caller")
        assert gateway.relay.live == 0


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["no-head", "stall@mid-text"])
async def test_a_client_that_waits_for_a_whole_message_is_missed_as_well(spec, way):
    async with running(**ROOMY) as gateway:
        wire = await begin(gateway.url, spec, name="whole", stream=False)
        await asked_upstream(gateway, "whole")
        assert await left(gateway, wire, way, "whole") < CLOSED_S
        (ended,) = await gateway.all_ended(1)
        assert ended.reason is EndReason.ABANDONED


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(("moment", "seen"), [("before the head", b""), ("mid-stream", b'"text')])
async def test_a_client_that_asks_for_it_is_waited_for(moment, seen, path):
    spec = "pause@before-head,hold_s=0.5" if not seen else "pause@mid-text,hold_s=0.5"
    asks = {"path": path, "headers": ("finalstop-linger-s: 5",)}
    async with running(**ROOMY) as gateway:
        wires = {way: await begin(gateway.url, spec, name=way, **asks) for way in WAYS}
        for way, wire in wires.items():
            await asked_upstream(gateway, way)
            assert await wire.until(seen)
            wire.leave(way)
        for ended in await gateway.all_ended(len(WAYS)):
            assert ended.reason is EndReason.COMPLETE
            whole = await get(gateway.url, f"/streams/{ended.receipt.stream}/message")
            assert whole.json["content"][0]["text"]


@pytest.mark.slow
async def test_the_wait_for_a_client_is_over_when_its_time_is(way):
    async with running(**ROOMY) as gateway:
        wire = await begin(
            gateway.url, "stall@mid-text", name="lingers", headers=("finalstop-linger-s: 0.4",)
        )
        assert await wire.until(b'"text')
        gone_s = await left(gateway, wire, way, "lingers")
        assert 0.4 - CLOCK_S <= gone_s < 0.4 + CLOSED_S + 0.1  # and a sweep
        assert gateway.ended[0].reason is EndReason.ABANDONED


@pytest.mark.slow
async def test_a_client_that_leaves_inside_its_request_opens_no_stream(way):
    async with running() as gateway:
        wire = await dial(gateway.url)
        head = f"POST {MESSAGES} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: key\r\n"
        head += "content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        wire.transport.write(head.encode())
        await asyncio.sleep(0.05)
        wire.leave(way)
        await asyncio.sleep(0.1)
        assert (gateway.calls, gateway.ended, gateway.relay.live) == ([], [], 0)


@pytest.mark.slow
async def test_one_that_leaves_costs_the_others_nothing():
    async with running(**ROOMY) as gateway:
        paced = "text,words=60,pace_ms=10"
        stays = [await begin(gateway.url, paced, path=PLAIN) for _ in range(10)]
        leaves = [await begin(gateway.url, paced, path=PLAIN) for _ in range(10)]
        await asyncio.sleep(0.1)
        for wire, way in zip(leaves, WAYS * 4, strict=False):
            wire.leave(way)
        answers = [await wire.answer() for wire in stays]
        assert [answer.ended for answer in answers] == ["whole"] * 10
        assert all(b'"event":"end"' in answer.body for answer in answers)
        reasons = sorted(ended.reason for ended in await gateway.all_ended(20))
        assert reasons == [EndReason.ABANDONED] * 10 + [EndReason.COMPLETE] * 10


@pytest.mark.slow
async def test_leaving_again_and_again_leaves_nothing_behind():
    async with running(**ROOMY) as gateway:
        for turn in range(60):
            wire = await begin(gateway.url, "stall@mid-text", path=ROUTES[turn % 2])
            if turn % 3:
                await wire.until(b'"text')
            wire.leave(WAYS[turn % 3])
        began = time.monotonic()
        await gateway.all_ended(len(gateway.calls))
        await eventually(lambda: not gateway.simulator.connections_open)
        assert gateway.relay.live == 0
        assert time.monotonic() - began < 1.0
