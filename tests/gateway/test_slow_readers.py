"""A reader that stops reading: it costs little, it delays nobody, and it is cut, not waited for.

What the log keeps is kept for every reader; only what is held *for the stalled one* beyond that is
its cost. So the same answer is played to a reader that reads, in a process of its own, and the two
processes are compared.
"""

import asyncio

import pytest

from finalstop.core.endings import EndReason
from finalstop.simulator import CallEnd, Simulator
from tests.faults.client import MESSAGES, PLAIN, begin, eventually, receipt_of
from tests.gateway.process import gateway_process
from tests.gateway.running import running

ANSWER_BYTES = 20_000_000
# A word or two at leisure first: the viewer is then caught up, and hears of the flood as it comes.
ANSWER = f"flood@mid-text,bytes={ANSWER_BYTES},words=12,pace_ms=200"
# One slice of the log and the outlet's high-water mark are 320 KiB; the rest is the allocator's.
# Without a bound it would be the answer itself, less what the kernel's buffers take: 17 MB.
STALLED_COST_BYTES = 6 * 1024 * 1024
# The client's own kernel buffer must not swallow what the gateway is to be seen holding.
RECEIVE_BYTES = 16 * 1024
WRITE_S = 1.0
# Longer than the flood takes to come and to be logged.
PACED = "text,words=800,pace_ms=10"
# Between two 10 ms deltas of the neighbour, on a machine that two processes share.
NEIGHBOUR_GAP_S = 0.5


async def cost_bytes(folder, *, stalled):
    """What one large answer adds to the process, with a reader that reads or one that does not."""
    async with (
        Simulator() as simulator,
        gateway_process(folder, simulator.url, write_s=60, linger_s_max=60) as gateway,
    ):
        await (await begin(gateway.url, "text", path=PLAIN)).answer()
        before = gateway.rss_bytes()
        wire = await begin(gateway.url, ANSWER, receive_bytes=RECEIVE_BYTES)
        assert await wire.until(b'"text')
        if stalled:
            wire.transport.pause_reading()
        await eventually(lambda: len(gateway.ended()) == 2, within_s=40)
        assert gateway.ended()[-1]["reason"] == "complete"
        if not stalled:
            assert (await wire.answer(40)).ended == "whole"
            assert len(wire.data) > ANSWER_BYTES
        grown = gateway.rss_bytes() - before
        wire.leave("rst")
        await wire.over.wait()
        return grown


@pytest.mark.slow
async def test_a_stalled_reader_costs_bounded_memory(tmp_path, capsys, record_property):
    read = await cost_bytes(tmp_path, stalled=False)
    stalled = await cost_bytes(tmp_path, stalled=True)
    figure = (
        f"{ANSWER_BYTES / 1e6:.0f} MB answer: the process grew by {read / 1e6:.0f} MB for a reader "
        f"that reads, by {stalled / 1e6:.0f} MB for one that does not"
    )
    record_property("figure", figure)
    with capsys.disabled():
        print(f"\n  {figure}")  # noqa: T201 # the figure is the point
    assert stalled - read < STALLED_COST_BYTES


@pytest.mark.slow
async def test_a_stalled_reader_delays_no_other_stream(tmp_path, capsys, record_property):
    async with (
        Simulator() as simulator,
        gateway_process(tmp_path, simulator.url, write_s=60) as gateway,
    ):
        neighbour = await begin(gateway.url, PACED, path=PLAIN)
        assert await neighbour.until(b'"text"')
        stalled = await begin(gateway.url, ANSWER, receive_bytes=RECEIVE_BYTES)
        assert await stalled.until(b'"text')
        stalled.transport.pause_reading()
        answer = await neighbour.answer(20)
        stalled.leave("rst")
        await stalled.over.wait()
    assert answer.ended == "whole"
    figure = f"the neighbour's longest gap: {neighbour.longest_gap_s * 1000:.0f} ms, paced at 10 ms"
    record_property("figure", figure)
    with capsys.disabled():
        print(f"\n  {figure}")  # noqa: T201 # the figure is the point
    assert neighbour.longest_gap_s < NEIGHBOUR_GAP_S


@pytest.mark.slow
async def test_a_stalled_reader_is_cut_after_write_s_and_never_properly_ended():
    async with running(write_s=WRITE_S) as gateway:
        # On a busy machine the cut may come before the answer is whole: the stream then lingers.
        lingers = ("finalstop-linger-s: 60",)
        wire = await begin(gateway.url, ANSWER, receive_bytes=RECEIVE_BYTES, headers=lingers)
        assert await wire.until(b'"text')
        wire.transport.pause_reading()
        (ended,) = await gateway.all_ended(1, within_s=30)
        assert ended.reason is EndReason.COMPLETE
        await asyncio.sleep(WRITE_S + 1.5)
        wire.transport.resume_reading()
        answer = await wire.answer()
        assert answer.ended.startswith("cut")
        assert b"message_stop" not in answer.body


# More at once than the kernel's buffers on both sides can hold, then a few words at leisure.
UNFINISHED = "flood@mid-text,bytes=9000000,words=12,pace_ms=1200"


@pytest.mark.slow
async def test_when_the_stalled_reader_was_the_last_its_stream_is_abandoned():
    async with running(write_s=WRITE_S, idle_s=15.0) as gateway:
        wire = await begin(gateway.url, UNFINISHED, name="last", receive_bytes=RECEIVE_BYTES)
        wire.transport.pause_reading()
        (ended,) = await gateway.all_ended(1, within_s=12)
        assert ended.reason is EndReason.ABANDONED
        await asyncio.sleep(0.1)
        assert gateway.call_of("last").ended is CallEnd.PEER_CLOSED
        wire.leave("rst")
        await wire.over.wait()


@pytest.mark.slow
async def test_with_time_to_linger_the_stream_outlives_its_stalled_reader():
    async with running(write_s=WRITE_S, idle_s=15.0) as gateway:
        wire = await begin(
            gateway.url, UNFINISHED, path=MESSAGES, receive_bytes=RECEIVE_BYTES,
            headers=("finalstop-linger-s: 30",),
        )  # fmt: skip
        wire.transport.pause_reading()
        (ended,) = await gateway.all_ended(1, within_s=20)
        # Not cut with its reader: it ran to its own end, a second and more later.
        assert ended.reason is EndReason.COMPLETE
        assert ended.receipt.timings.total_s > 1.2 + WRITE_S + 1.2
        wire.transport.resume_reading()
        assert (await wire.answer()).ended.startswith("cut")
        kept = await receipt_of(gateway.url, ended.receipt.stream)
        assert kept["reason"] == "complete"


# A tenth of it is text: more than the kernel's buffers on both sides can hold.
WHOLE = f"flood@mid-text,bytes={3 * ANSWER_BYTES}"


@pytest.mark.slow
async def test_whoever_takes_nothing_of_a_whole_answer_is_cut_too():
    async with running(write_s=WRITE_S) as gateway:
        wire = await begin(
            gateway.url, WHOLE, path=MESSAGES, receive_bytes=RECEIVE_BYTES, stream=False
        )
        wire.transport.pause_reading()
        (ended,) = await gateway.all_ended(1, within_s=30)
        assert ended.reason is EndReason.COMPLETE
        # The Message is put together first. At the second look, at the latest, nothing has been
        # taken since the first.
        await asyncio.sleep(3 * WRITE_S + 4)
        wire.transport.resume_reading()
        assert " bytes, " in (await wire.answer(20)).ended  # so many of so many
