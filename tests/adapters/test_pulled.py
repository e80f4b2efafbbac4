"""The answer for a framework that pulls: a true head, and a body somebody is present for."""

from __future__ import annotations

import asyncio
import gc

import pytest

from finalstop.adapters.opening import Opening
from finalstop.adapters.pulled import answer_of
from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from tests import builders as b
from tests.runtime.fakes import Bench, ScriptedSource, reason_of, settle


@pytest.fixture
async def bench():
    bench = Bench(Limits(commit_s=0.05, write_s=5.0))
    yield bench
    await bench.close()


class Asked:
    """One answer being made."""

    def __init__(self, bench: Bench, *said) -> None:
        self.bench = bench
        self.source = ScriptedSource()
        self.opening = Opening(self.source, format="text", relay=bench.relay)
        self.said = said

    async def answer(self):
        answering = asyncio.get_running_loop().create_task(answer_of(self.opening))
        await settle()
        if self.said:
            self.source.producer.receive(self.said)
        return await answering

    @property
    def stream(self):
        (stream,) = self.bench.relay._streams.values()
        return stream


async def test_a_stream_that_has_begun_is_a_view_and_somebody_is_present_to_its_end(bench):
    asked = Asked(bench, *b.answer("Salt."))
    answer = await asked.answer()
    assert (answer.head.status, answer.head.body) == (200, None)
    assert asked.stream.present == 1
    body = b"".join([piece async for piece in answer.view])
    assert body.startswith(b"id: ")
    assert b'"event":"end"' in body
    assert not asked.stream.watched


async def test_a_stream_that_failed_at_once_is_a_whole_answer_and_nobody_is_present(bench):
    asked = Asked(bench, b.error())
    answer = await asked.answer()
    assert (answer.head.status, answer.view) == (529, None)
    assert not asked.stream.watched


async def test_a_stream_that_is_silent_after_the_window_shows_life_so_that_the_head_goes_out(bench):
    asked = Asked(bench)
    answer = await asked.answer()
    assert await anext(answer.view) == b": keep-alive\n\n"
    await answer.view.aclose()
    assert reason_of(asked.stream) is EndReason.ABANDONED


async def test_who_is_cancelled_while_the_head_is_held_leaves(bench):
    asked = Asked(bench)
    answering = bench.task(answer_of(asked.opening))
    await settle()
    assert asked.stream.present == 1
    answering.cancel()
    await settle()
    assert reason_of(asked.stream) is EndReason.ABANDONED


async def test_a_body_that_nobody_sends_is_left_when_it_is_dropped(bench):
    asked = Asked(bench, b.message_start())
    answer = await asked.answer()
    await settle()
    assert asked.stream.present == 1
    del answer
    gc.collect()
    await settle()
    assert reason_of(asked.stream) is EndReason.ABANDONED


async def test_a_body_that_is_kept_and_not_sent_is_left_after_write_s(bench):
    asked = Asked(bench, b.message_start(), b.text_start(), b.text_delta("Sa"))
    answer = await asked.answer()
    await settle()
    bench.sweep_for(5.2)
    await settle()
    assert reason_of(asked.stream) is EndReason.ABANDONED
    assert answer.view is not None


async def test_while_the_relay_drains_the_answer_is_a_refusal(bench):
    await bench.relay.drain()
    answer = await answer_of(Asked(bench).opening)
    assert (answer.head.status, answer.view) == (503, None)
