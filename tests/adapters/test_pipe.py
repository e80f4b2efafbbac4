"""The pipe between a view and a thread: what waits, what wakes, what breaks."""

from __future__ import annotations

import asyncio

import pytest

from finalstop.adapters.pipe import LOW_BYTES, Pipe
from finalstop.runtime.viewer import OUTLET_BYTES_HIGH


class Cut:
    """Counts how often the connection below was broken."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


def pipe_with(alive=lambda: True, cut=None):
    return Pipe(cut_off=cut or Cut(), alive=alive, check_s=0.01)


def test_the_thread_takes_all_there_is_at_once():
    pipe = pipe_with()
    pipe.write(b"one ")
    pipe.write(b"two")
    assert pipe.take() == b"one two"


def test_what_the_thread_has_taken_is_owed_until_it_comes_back():
    pipe = pipe_with()
    pipe.write(b"four")
    assert pipe.backlog == 4
    pipe.take()
    assert pipe.backlog == 4
    pipe.write(b"more")
    assert pipe.backlog == 8
    pipe.take()
    assert pipe.backlog == 4


async def test_the_thread_waits_for_bytes():
    pipe = pipe_with()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(asyncio.to_thread(pipe.take))
        await asyncio.sleep(0.03)
        assert not taking.done()
        pipe.write(b"late")
    assert taking.result() == b"late"


# the wait, what is still owed when it is over
WAITS = [("drain", LOW_BYTES), ("flush", 0)]


@pytest.mark.parametrize(("wait", "owed"), WAITS, ids=[row[0] for row in WAITS])
async def test_a_view_waits_until_little_enough_is_owed(wait, owed):
    pipe = pipe_with()
    pipe.write(b"x" * OUTLET_BYTES_HIGH)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(getattr(pipe, wait)())
        await asyncio.sleep(0)
        pipe.take()
        pipe.write(b"x" * (owed + 1))
        pipe.take()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        pipe.write(b"x" * owed)
        group.create_task(asyncio.to_thread(pipe.take))
        await asyncio.sleep(0.01)
        if not owed:  # nothing to take: the thread waits, and that is when nothing is owed
            assert waiting.done()
            pipe.write(b"x")
    assert waiting.done()


async def test_at_the_proper_end_the_thread_gets_the_rest_and_then_none():
    pipe = pipe_with()
    pipe.write(b"the end")
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(pipe.close())
        await asyncio.sleep(0)
        assert pipe.take() == b"the end"
        assert pipe.take() is None
        assert not closing.done()
        pipe.leave()


@pytest.mark.parametrize("breaks", ["abort", "leave"])
async def test_a_broken_pipe_fails_both_sides(breaks):
    cut = Cut()
    pipe = pipe_with(cut=cut)
    pipe.write(b"never taken")
    async with asyncio.TaskGroup() as group:
        flushing = group.create_task(_fails(pipe.flush()))
        await asyncio.sleep(0)
        getattr(pipe, breaks)()
    assert flushing.result()
    for use in (pipe.take, lambda: pipe.write(b"x")):
        with pytest.raises(ConnectionResetError):
            use()
    assert cut.count == (breaks == "abort")


async def _fails(waiting):
    try:
        await waiting
    except ConnectionResetError:
        return True
    return False


def test_a_thread_does_not_wait_for_a_loop_that_has_died():
    pipe = pipe_with(alive=lambda: False)
    with pytest.raises(ConnectionResetError):
        pipe.take()


def test_leaving_after_the_loop_has_closed_is_quiet():
    pipe = pipe_with()
    pipe.write(b"x")

    async def flush_briefly():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await pipe.flush()

    asyncio.run(flush_briefly())
    pipe.leave()
    assert pipe.backlog == 1
