"""The hooks: each runs once, with the whole answer, and its failure costs nobody else anything."""

from __future__ import annotations

import asyncio

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.runtime.hooks import Hooks
from finalstop.runtime.relay import NotAcceptingError
from tests import builders as b
from tests.runtime.fakes import Bench, ScriptedSource, reported_bugs, settle


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


class Saved:
    """A hook, sync or async, that writes down what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def sync(self, receipt, message):
        blocks = message.get("content")
        self.seen.append((receipt.reason, blocks[0]["text"] if blocks else ""))

    async def later(self, receipt, message):
        await asyncio.sleep(0)
        self.sync(receipt, message)


@pytest.mark.parametrize("way", ["sync", "later"])
async def test_a_hook_gets_the_answer_once_also_when_nobody_listens(bench, way):
    saved = Saved()
    _, source = bench.open(on_end=getattr(saved, way))
    source.producer.receive(b.answer("Salt."))
    await settle()
    assert saved.seen == [("complete", "Salt.")]


async def test_a_hook_gets_what_came_of_a_cut_answer(bench):
    saved = Saved()
    _, source = bench.open(on_end=saved.sync)
    source.producer.receive([b.message_start(), b.text_start(), b.text_delta("Sa")])
    source.producer.eof()
    await settle()
    assert saved.seen == [("truncated", "Sa")]


async def test_a_hook_gets_the_whole_answer_also_where_nothing_is_retained():
    bench = Bench(Limits(retention_s=0.0))
    saved = Saved()
    _, source = bench.open(on_end=saved.sync)
    source.producer.receive(b.answer("Salt."))
    for _ in range(10):
        await asyncio.sleep(0)
        bench.sweep(0.1)
    assert saved.seen == [("complete", "Salt.")]
    await bench.close()


async def test_a_hook_runs_also_when_no_more_viewers_are_allowed():
    bench = Bench(Limits(max_viewers=1))
    saved = Saved()
    stream, source = bench.open(on_end=saved.sync)
    with stream.presence():
        source.producer.receive(b.answer("Salt."))
        await settle()
    assert saved.seen == [("complete", "Salt.")]
    await bench.close()


async def test_a_hook_that_fails_is_reported_and_costs_nothing_else(bench):
    def fails(receipt, message):
        raise OSError("the disk is full")

    saved = Saved()
    with reported_bugs() as bugs:
        for hook in (fails, saved.sync):
            _, source = bench.open(on_end=hook)
            source.producer.receive(b.answer("Salt."))
        await settle()
    assert [str(bug["exception"]) for bug in bugs] == ["the disk is full"]
    assert saved.seen == [("complete", "Salt.")]


async def test_a_stream_whose_source_cannot_be_started_has_never_been(bench):
    saved = Saved()
    with pytest.raises(OSError, match="no route"):
        bench.relay.open(ScriptedSource(OSError("no route")), on_end=saved.sync)
    await settle()
    assert saved.seen == []


async def test_a_stream_that_was_refused_has_no_end_to_tell_of(bench):
    await bench.relay.drain()
    saved = Saved()
    with pytest.raises(NotAcceptingError):
        bench.open(on_end=saved.sync)
    await settle()
    assert saved.seen == []


# -- the drain ------------------------------------------------------------------------------------


async def test_a_drain_waits_for_the_hooks(bench):
    gate, done = asyncio.Event(), []

    async def slow(receipt, message):
        await gate.wait()
        done.append(receipt.reason)

    stream, _ = bench.open(on_end=slow)
    stream.end(EndReason.STOPPED)
    draining = bench.task(bench.relay.drain())
    await settle()
    assert not draining.done()
    gate.set()
    await settle()
    assert draining.done()
    assert done == ["stopped"]


async def test_a_hook_that_does_not_return_is_cancelled_when_the_drain_is_over():
    bench = Bench(Limits(drain_s=0.05))
    fate = []

    async def stuck(receipt, message):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            fate.append("cancelled")
            raise

    stream, _ = bench.open(on_end=stuck)
    stream.end(EndReason.STOPPED)
    await bench.relay.drain()
    assert fate == ["cancelled"]
    await bench.close()


async def test_hooks_that_are_done_need_no_waiting(bench):
    await Hooks().done(-1.0)
    stream, _ = bench.open(on_end=Saved().sync)
    stream.end(EndReason.STOPPED)
    await settle()
    await bench.relay.drain()
    assert bench.relay._hooks._tasks == set()
