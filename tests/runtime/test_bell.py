"""The bell: who waits hears it once it rings, and who has gone is not missed."""

import asyncio
from typing import Any

import pytest

from finalstop.runtime.bell import Bell


async def heard_within(bell, seconds=0.01):
    return await bell.heard(seconds)


async def test_a_bell_that_rings_keeps_nobody_waiting():
    bell = Bell()
    bell.ring()
    assert bell.rings
    assert await heard_within(bell)


async def test_all_who_wait_hear_it():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(bell.heard()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        bell.ring()


async def test_after_silence_the_next_ring_is_waited_for():
    bell = Bell()
    bell.ring()
    bell.silence()
    assert not bell.rings
    assert not await heard_within(bell)
    bell.ring()
    assert await heard_within(bell)


@pytest.mark.parametrize("rings", [False, True])
async def test_who_gives_no_time_does_not_wait(rings):
    bell = Bell()
    if rings:
        bell.ring()
    hearing = bell.heard(0.0)
    with pytest.raises(StopIteration) as over:
        hearing.send(None)
    assert over.value.value is rings


async def test_who_waits_long_enough_hears_it_and_leaves_no_timer():
    bell = Bell()
    loop: Any = asyncio.get_running_loop()
    loop.call_later(0.01, bell.ring)
    began = loop.time()
    assert await bell.heard(30.0)
    assert loop.time() - began < 5.0
    assert not bell._waiting
    assert all(timer.cancelled() for timer in loop._scheduled)


@pytest.mark.parametrize("rings_first", [False, True])
async def test_a_ring_in_the_instant_in_which_the_time_is_over_is_no_surprise(rings_first):
    bell = Bell()
    loop: Any = asyncio.get_running_loop()
    waiting = loop.create_task(bell.heard(30.0))
    await asyncio.sleep(0)
    (timer,) = loop._scheduled

    def time_is_over():
        timer._callback(*timer._args)  # by itself: the loop would take what it raises

    for act in (bell.ring, time_is_over) if rings_first else (time_is_over, bell.ring):
        act()
    assert await waiting is rings_first


async def test_who_stopped_waiting_leaves_nothing_behind_and_disturbs_nobody():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        gone, _ = (group.create_task(bell.heard()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert len(bell._waiting) == 1
        bell.ring()
    assert not bell._waiting


async def test_a_ring_and_a_cancel_at_once_are_no_surprise():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bell.heard())
        await asyncio.sleep(0)
        task.cancel()
        bell.ring()
    assert task.cancelled()
