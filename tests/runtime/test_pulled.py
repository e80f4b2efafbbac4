"""The view that is pulled: nothing lost, nothing held without bound, nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.log.contract import UnknownStreamError
from finalstop.runtime.pulled import PIECE_BYTES, PulledOutlet, PulledView
from finalstop.runtime.stream import TooManyViewersError
from finalstop.runtime.viewer import OUTLET_BYTES_HIGH, SLICE_BYTES
from tests import builders as b
from tests.runtime.fakes import Bench, PlainEncoder, reason_of, reported_bugs, settle

PADDING = 70_000


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


def pulled(stream, *, padding=0, after=0, **options):
    encoder = PlainEncoder(padding=padding)
    return PulledView(partial(stream.view, encoder, after=after), **options)


async def all_of(pieces):
    return b"".join([piece async for piece in pieces])


# -- the bytes ------------------------------------------------------------------------------------


async def test_the_pieces_are_the_view_and_they_end_with_it(bench):
    stream, source = bench.open()
    reading = asyncio.get_running_loop().create_task(all_of(pulled(stream)))
    await settle()
    for event in b.answer("Salt."):
        source.producer.receive([event])
        await settle()
    assert await reading == b"1 2 3 4 5 6:complete."


@pytest.mark.parametrize("after", range(7))
async def test_a_view_after_a_cursor_is_the_tail_of_the_whole(bench, after):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    whole = b"1 2 3 4 5 6:complete."
    assert await all_of(pulled(stream, after=after)) == whole[2 * after :] * (after < 6)


async def test_no_piece_is_empty_and_none_is_large(bench):
    stream, source = bench.open()
    view = pulled(stream, padding=PADDING)
    source.producer.receive(b.answer("Salt."))
    pieces = [piece async for piece in view]
    assert sum(map(len, pieces)) > 5 * PADDING
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


async def test_what_nobody_pulls_stays_in_the_log_and_is_not_copied(bench):
    stream, source = bench.open()
    view = pulled(stream, padding=PADDING)
    await settle()
    source.producer.receive([b.message_start(), b.text_start()])
    for _ in range(50):
        source.producer.receive([b.text_delta("Sa")])
        await settle()
    assert view._outlet.backlog <= OUTLET_BYTES_HIGH + SLICE_BYTES + 2 * PADDING
    source.producer.receive([b.block_stop(), b.message_delta(), b.message_stop()])
    assert (await all_of(view)).endswith(b":complete.")


# -- leaving --------------------------------------------------------------------------------------


async def test_a_view_that_is_closed_is_over_and_tells_so_once(bench):
    stream, source = bench.open()
    told = []
    view = pulled(stream, on_over=lambda: told.append(1))
    source.producer.receive([b.message_start()])
    assert await anext(view) == b"1 "
    await view.aclose()
    await view.aclose()
    view.close()
    assert told == [1]
    with pytest.raises(ConnectionError):
        await anext(view)


async def test_a_view_may_be_closed_from_another_thread(bench):
    stream, _ = bench.open()
    told = asyncio.Event()
    view = pulled(stream, on_over=told.set)
    await asyncio.to_thread(view.close)
    async with asyncio.timeout(1):
        await told.wait()
    assert view._viewing.cancelled()


async def test_a_reader_that_is_cancelled_while_it_waits_detaches(bench):
    stream, _ = bench.open()
    told = []
    view = pulled(stream, on_over=lambda: told.append(1))
    reading = asyncio.get_running_loop().create_task(all_of(view))
    await settle()
    reading.cancel()
    await settle()
    assert told == [1]


async def test_a_reader_that_pulls_nothing_for_write_s_is_cut():
    bench = Bench(Limits(write_s=5.0))
    stream, source = bench.open()
    told = []
    view = pulled(stream, on_over=lambda: told.append(1))
    await settle()
    source.producer.receive([b.message_start()])
    bench.sweep_for(5.2)
    await settle()
    assert told == [1]
    with pytest.raises(ConnectionError, match="write_s"):
        await anext(view)
    await bench.close()


@pytest.mark.parametrize("interrupts", [True, False])
async def test_a_reader_that_is_busy_with_a_piece_is_interrupted_only_where_asked(interrupts):
    bench = Bench(Limits(write_s=5.0))
    stream, source = bench.open()
    view = pulled(stream, interrupts=interrupts)

    async def read():
        async for _ in view:
            await asyncio.Event().wait()

    reading = bench.task(read())
    await settle()
    source.producer.receive([b.message_start()])
    await settle()
    bench.sweep_for(5.2)
    await settle()
    assert reading.cancelled() is interrupts
    assert isinstance(view.error, ConnectionError)
    await bench.close()


async def test_a_slow_reader_is_not_cut_as_long_as_it_takes_something():
    bench = Bench(Limits(write_s=5.0))
    stream, source = bench.open()
    view = pulled(stream, padding=PADDING)
    await settle()
    source.producer.receive(b.answer("Salt."))
    taken = bytearray()
    async for piece in view:
        taken += piece
        bench.sweep_for(4.0, step_s=0.5)
    assert taken.endswith(b":complete.")
    await bench.close()


async def test_what_breaks_the_view_is_raised_to_the_reader(bench):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    bench.log.drop(stream.id)
    with pytest.raises(UnknownStreamError):
        await all_of(pulled(stream))


async def test_a_view_that_is_dropped_without_a_word_is_over(bench):
    stream, _ = bench.open()
    told = []
    view = pulled(stream, on_over=lambda: told.append(1))
    await settle()
    assert told == []
    del view
    gc.collect()
    await settle()
    assert told == [1]


async def test_an_aborted_outlet_takes_nothing_and_holds_nobody_up():
    outlet = PulledOutlet(on_over=lambda: None, interrupts=False)
    outlet.write(b"half")
    outlet.abort()
    with pytest.raises(ConnectionAbortedError):
        outlet.write(b"more")
    await outlet.drain()
    await outlet.flush()


async def test_a_loop_that_is_closed_needs_no_closing(bench):
    view = pulled(bench.open()[0])
    await view.aclose()
    view.close()
    assert view._viewing.cancelled()


# -- attach: the same for a plain loop ------------------------------------------------------------


async def test_whoever_iterates_is_present_and_gets_the_stream_to_its_end(bench):
    stream, source = bench.open()
    reading = asyncio.get_running_loop().create_task(all_of(stream.attach("text")))
    await settle()
    assert stream.present == 1
    source.producer.receive(b.answer("Salt."))
    body = await reading
    assert b'{"text":"Salt."}' in body
    assert body.count(b'"reason":"complete"') == 1
    assert not stream.watched


async def test_who_stops_iterating_detaches(bench):
    stream, source = bench.open()
    source.producer.receive([b.message_start(), b.text_start(), b.text_delta("Sa")])
    pieces = stream.attach()
    await anext(pieces)
    assert stream.watched
    await pieces.aclose()
    assert not stream.watched
    assert reason_of(stream) is EndReason.ABANDONED


async def test_who_breaks_out_of_the_loop_detaches(bench):
    stream, source = bench.open(linger_s=9.0)
    source.producer.receive([b.message_start()])
    async for _ in stream.attach():
        break
    await settle()
    assert not stream.watched
    assert stream.ended is None


async def test_who_attaches_after_the_last_entry_gets_nothing(bench):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    assert await all_of(stream.attach("text", after=6)) == b""


async def test_a_plain_loop_that_never_comes_back_is_not_present_for_ever():
    bench = Bench(Limits(write_s=5.0))
    stream, source = bench.open()
    pieces = stream.attach()
    source.producer.receive([b.message_start()])
    await anext(pieces)
    bench.sweep_for(5.2)
    await settle()
    assert reason_of(stream) is EndReason.ABANDONED
    with pytest.raises(ConnectionError):
        await anext(pieces)
    await bench.close()


async def test_an_unknown_format_is_refused_when_asked_for(bench):
    stream, _ = bench.open()
    with pytest.raises(ValueError, match="morse"):
        stream.attach("morse")


async def test_a_cursor_before_the_beginning_is_refused_when_asked_for(bench):
    stream, _ = bench.open()
    with pytest.raises(ValueError, match="after must be 0 or a sequence number, not -1"):
        stream.attach(after=-1)
    with pytest.raises(TypeError, match="after must be a whole number, not str"):
        stream.attach(after="3")


async def test_there_may_be_too_many_to_attach():
    bench = Bench(Limits(max_viewers=1))
    stream, _ = bench.open()
    with stream.presence(), pytest.raises(TooManyViewersError):
        await anext(stream.attach())
    await bench.close()


async def test_a_bug_in_whoever_is_told_is_reported(bench):
    def told() -> None:
        raise LookupError("of the caller's own")

    with reported_bugs() as bugs:
        view = pulled(bench.open()[0], on_over=told)
        await view.aclose()
        await settle()
    assert [str(bug["exception"]) for bug in bugs] == ["of the caller's own"]
