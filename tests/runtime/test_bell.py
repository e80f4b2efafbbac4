"""The bell: who waits hears it once it rings, and who has gone is not missed."""

import asyncio

from finalstop.runtime.bell import Bell


async def heard_within(bell, seconds=0.01):
    try:
        async with asyncio.timeout(seconds):
            await bell.heard()
    except TimeoutError:
        return False
    return True


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


async def test_who_stopped_waiting_leaves_nothing_behind_and_disturbs_nobody():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        gone, _ = (group.create_task(bell.heard()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert len(bell._waiting) == 1
        bell.ring()
    assert bell._waiting == []


async def test_a_ring_and_a_cancel_at_once_are_no_surprise():
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bell.heard())
        await asyncio.sleep(0)
        task.cancel()
        bell.ring()
    assert task.cancelled()
