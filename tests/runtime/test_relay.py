"""The relay: who may open and find, who is swept, and how all of it ends."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.log.contract import UnknownStreamError
from finalstop.log.memory import STREAM_OVERHEAD_BYTES, MemoryLog
from finalstop.runtime.relay import NotAcceptingError, Relay
from tests import builders as b
from tests.runtime.fakes import (
    Bench,
    BufferOutlet,
    PlainEncoder,
    ScriptedSource,
    reason_of,
    reported_bugs,
    settle,
    timers,
)

PADDING = 70_000


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


def finish(source: ScriptedSource) -> None:
    source.producer.receive(b.answer("Salt."))


# -- opening --------------------------------------------------------------------------------------


async def test_an_opened_stream_is_live_found_and_fed_at_once(bench):
    stream, source = bench.open()
    assert bench.relay.live == 1
    assert bench.relay.find(stream.id) is stream
    source.producer.receive([b.message_start()])
    assert await stream.begun(0)


# what is given, and what is said of it
WRONG = [
    ({"limits": {"idle_s": 1}}, TypeError, "limits must be a finalstop.Limits"),
    ({"linger_s": -1}, ValueError, "linger_s must be 0 to 86400 seconds, not -1"),
    ({"linger_s": float("nan")}, ValueError, "linger_s must be 0 to 86400 seconds, not nan"),
    ({"linger_s": "3"}, TypeError, "linger_s must be a number of seconds, not str"),
    ({"on_end": "save"}, TypeError, "on_end must be something to call, not str"),
]


@pytest.mark.parametrize(("options", "error", "said"), WRONG)
async def test_wrong_arguments_are_refused_before_a_stream_is_opened(bench, options, error, said):
    with pytest.raises(error, match=said):
        bench.open(**options)
    assert bench.relay.live == 0


async def test_a_relay_takes_its_log_first_and_says_so_of_limits_it_cannot_use():
    with pytest.raises(TypeError, match=r"limits must be a finalstop.Limits, .* not MemoryLog"):
        Relay(DEFAULTS, MemoryLog(DEFAULTS))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_ended must be something to call"):
        Relay(MemoryLog(DEFAULTS), DEFAULTS, on_ended="told")  # type: ignore[arg-type]


async def test_a_relay_may_have_nobody_to_tell_of_its_ends():
    relay = Relay(MemoryLog(DEFAULTS), DEFAULTS, on_ended=None)
    source = ScriptedSource()
    stream = relay.open(source)
    finish(source)
    assert (await stream.receipt()).complete
    relay.close()


async def test_a_relay_of_another_loop_is_refused_by_name(bench):
    async def elsewhere():
        bench.open()

    with pytest.raises(RuntimeError, match="made in another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    assert bench.relay.live == 0


async def test_ids_are_128_random_bits_and_differ(bench):
    ids = {bench.open()[0].id for _ in range(200)}
    assert len(ids) == 200
    assert all(len(bytes.fromhex(it)) == 16 for it in ids)


async def test_live_streams_are_bounded_and_an_end_makes_room():
    bench = Bench(Limits(max_streams=2))
    (first, _), _ = bench.open(), bench.open()
    with pytest.raises(NotAcceptingError, match="max_streams") as refused:
        bench.open()
    assert not refused.value.draining
    first.end(EndReason.STOPPED)
    bench.open()
    await bench.close()


async def test_a_full_log_accepts_no_stream_and_leaves_no_trace_of_it():
    limits = Limits(log_bytes_total=2 * STREAM_OVERHEAD_BYTES)
    bench = Bench(limits)
    bench.open()
    bench.open()
    with pytest.raises(NotAcceptingError, match="log_bytes_total") as refused:
        bench.open()
    assert not refused.value.draining
    assert bench.relay.live == 2
    await bench.close()


async def test_a_source_that_cannot_start_is_raised_and_its_stream_has_never_been(bench):
    with pytest.raises(OSError, match="no route"):
        bench.relay.open(ScriptedSource(OSError("no route")))
    assert bench.relay.live == 0
    assert bench.ended == []
    assert not bench.relay.watched
    await bench.relay.drain()  # and nobody waits for it


async def test_what_has_ended_makes_room_for_what_is_new():
    bench = Bench(Limits(log_bytes_total=64 * 1024))
    for _ in range(40):
        stream, source = bench.open()
        source.producer.end(EndReason.STOPPED)
        assert bench.relay.find(stream.id) is stream
    kept = sum(_is_kept(bench, stream.id) for stream, _ in bench.ended)
    assert 1 <= kept < 40


async def test_what_has_ended_makes_room_for_what_still_grows():
    bench = Bench(Limits(log_bytes_total=64 * 1024, event_bytes=16 * 1024))
    ended = [bench.open()[0] for _ in range(3)]
    for stream in ended:
        stream.stop()
    live, source = bench.open()
    source.producer.receive([b.message_start(), b.text_start(), b.text_delta("x" * 15_800)])
    source.producer.receive([b.text_delta("x" * 15_800)])
    assert live.ended is None
    assert all(_is_kept(bench, stream.id) for stream in ended)
    bench.sweep()
    assert [_is_kept(bench, stream.id) for stream in ended] == [False, True, True]
    await bench.close()


def _is_kept(bench, stream_id):
    try:
        bench.relay.find(stream_id)
    except UnknownStreamError:
        return False
    return True


async def test_a_stream_may_have_bounds_of_its_own(bench):
    stream, _ = bench.open(limits=Limits(deadline_s=5.0, first_content_s=5.0))
    other, _ = bench.open()
    bench.sweep_for(5.1)
    assert reason_of(stream) is EndReason.DEADLINE
    assert other.ended is None


# -- finding --------------------------------------------------------------------------------------

# who opened, who asks, whether it is found
PRINCIPALS = [
    (None, None, True),
    (None, "ann", True),  # the id alone is the capability
    ("ann", "ann", True),
    ("ann", "bob", False),
    ("ann", None, False),
    ("ann", "", False),
]


@pytest.mark.parametrize(("opener", "asker", "found"), PRINCIPALS)
async def test_a_stream_is_found_by_who_opened_it(bench, opener, asker, found):
    stream, _ = bench.open(principal=opener)
    if found:
        assert bench.relay.find(stream.id, principal=asker) is stream
    else:
        with pytest.raises(UnknownStreamError) as foreign:
            bench.relay.find(stream.id, principal=asker)
        with pytest.raises(UnknownStreamError) as unknown:
            bench.relay.find("0" * 32, principal=asker)
        assert str(foreign.value) == stream.id
        assert type(foreign.value) is type(unknown.value)


# -- retention ------------------------------------------------------------------------------------


async def test_an_ended_stream_is_kept_for_retention_s_and_then_gone(bench):
    stream, source = bench.open()
    finish(source)
    bench.sweep_for(DEFAULTS.retention_s - 1.0, step_s=1.0)
    assert bench.relay.find(stream.id) is stream
    assert (await stream.message())[0]["content"][0]["text"] == "Salt."
    bench.sweep_for(1.1)
    with pytest.raises(UnknownStreamError):
        bench.relay.find(stream.id)
    with pytest.raises(UnknownStreamError):
        await stream.message()


async def test_retention_counts_from_each_streams_own_end(bench):
    (first, one), (second, two) = bench.open(), bench.open()
    finish(two)
    bench.sweep_for(100.0, step_s=10.0)
    finish(one)
    bench.sweep_for(DEFAULTS.retention_s - 50.0, step_s=10.0)
    with pytest.raises(UnknownStreamError):
        bench.relay.find(second.id)
    assert bench.relay.find(first.id) is first


async def test_when_retention_is_over_nothing_of_a_stream_is_left(bench):
    stream, source = bench.open()
    client = bench.watch(stream, BufferOutlet())
    await settle()
    finish(source)
    await settle()
    assert client.done()
    gone = [weakref.ref(it) for it in (stream, source, source.call, source.producer)]
    bench.ended.clear()
    bench._tasks.clear()
    del stream, source, client
    gc.collect()
    gc.disable()  # nothing is left to the collector: what it finds it finds late
    try:
        bench.sweep(DEFAULTS.retention_s)
        await settle()
        assert [it() for it in gone] == [None] * 4
    finally:
        gc.enable()
    assert isinstance(bench.log, MemoryLog)
    assert bench.log.size_bytes == 0


@pytest.mark.parametrize("retention_s", [0.0, 300.0])
async def test_a_slow_reader_gets_the_rest_also_when_retention_runs_out_meanwhile(retention_s):
    bench = Bench(Limits(retention_s=retention_s))
    stream, source = bench.open()
    outlet = BufferOutlet(takes=False)
    client = bench.watch(stream, outlet, encoder=PlainEncoder(padding=PADDING))
    await settle()
    finish(source)
    for _ in range(round(retention_s / 10.0)):
        outlet.take(1)
        bench.sweep(10.0)
    for _ in range(5):
        bench.sweep_for(1.0)
        outlet.take()
        await settle()
    assert client.done()
    assert client.exception() is None
    assert outlet.words[-1] == "6:complete."
    await bench.close()


@pytest.mark.parametrize("retention_s", [0.0, 10.0])
async def test_a_stalled_reader_is_cut_also_when_its_stream_is_no_longer_kept(retention_s):
    bench = Bench(Limits(retention_s=retention_s))
    stream, source = bench.open()
    outlet = BufferOutlet(takes=False)
    client = bench.watch(stream, outlet, encoder=PlainEncoder(padding=PADDING))
    await settle()
    finish(source)
    bench.sweep_for(retention_s + DEFAULTS.write_s + 2.0)
    await settle()
    assert outlet.aborted
    assert isinstance(client.exception(), ConnectionError)
    bench.sweep_for(DEFAULTS.write_s)
    with pytest.raises(UnknownStreamError):
        bench.relay.find(stream.id)
    await bench.close()


async def test_a_reader_that_only_trickles_is_cut_in_the_end_and_the_stream_is_gone():
    bench = Bench(Limits(retention_s=10.0))
    stream, source = bench.open()
    outlet = BufferOutlet(takes=False)
    client = bench.watch(stream, outlet, encoder=PlainEncoder(padding=PADDING))
    await settle()
    finish(source)
    for _ in range(10):
        bench.sweep_for(DEFAULTS.write_s / 5)
        outlet.take(1)
        await settle()
    assert outlet.aborted
    assert isinstance(client.exception(), ConnectionError)
    assert isinstance(bench.log, MemoryLog)
    assert bench.log.size_bytes == 0
    await bench.close()


# -- the sweeper ----------------------------------------------------------------------------------


async def test_there_is_one_timer_for_all_streams_and_none_without_streams():
    bench = Bench(Limits(retention_s=1.0))
    assert timers() == 0
    opened = [bench.open() for _ in range(10)]
    assert timers() == 1
    for _, source in opened:
        finish(source)
    assert timers() == 1
    bench.relay.close()
    assert timers() == 0


async def test_the_timer_sweeps_and_arms_itself_again_as_long_as_there_are_streams():
    bench = Bench(Limits(retention_s=1.0, first_content_s=5.0))
    stream, _ = bench.open()
    assert bench.relay._sweep_handle is not None
    bench.relay._sweep_handle.cancel()
    bench.clock.advance(5.0)
    bench.relay._on_timer()
    assert reason_of(stream) is EndReason.FIRST_CONTENT_TIMEOUT
    assert timers() == 1
    bench.relay._sweep_handle.cancel()
    bench.clock.advance(1.0)
    bench.relay._on_timer()
    assert timers() == 0


async def test_a_crash_in_one_streams_tick_ends_that_stream_and_not_the_sweeper(bench):
    (bad, source), (good, _) = bench.open(), bench.open(limits=Limits(first_content_s=5.0))

    def crash(now: float) -> None:
        raise ZeroDivisionError("the secret prompt")

    bad.tick = crash
    bad.wake_at = 0.0
    with reported_bugs() as bugs:
        bench.sweep_for(5.1)
    assert reason_of(bad) is EndReason.INTERNAL_ERROR
    assert "secret" not in bad.ended.receipt.detail
    assert source.call.fate == ["cancelled"]
    assert reason_of(good) is EndReason.FIRST_CONTENT_TIMEOUT
    assert {str(bug["exception"]) for bug in bugs} == {"the secret prompt"}


async def test_the_sweeper_goes_on_when_even_ending_the_crashed_stream_fails(bench):
    bad, _ = bench.open()
    good, _ = bench.open(limits=Limits(first_content_s=5.0))

    def crash(*_args: object) -> None:
        raise ZeroDivisionError

    bad.tick = bad.crashed = crash
    bad.wake_at = 0.0
    assert bench.relay._sweep_handle is not None
    bench.relay._sweep_handle.cancel()
    bench.clock.advance(5.1)
    with pytest.raises(ZeroDivisionError):
        bench.relay._on_timer()
    assert timers() == 1
    bench.sweep()
    assert reason_of(good) is EndReason.FIRST_CONTENT_TIMEOUT
    del bad.crashed


async def test_what_has_ended_and_is_not_read_costs_the_sweeper_nothing(bench):
    ended = [bench.open()[0] for _ in range(20)]

    def not_looked_at(now: float) -> None:
        raise AssertionError(now)

    for stream in ended:
        stream.stop()
        stream.tick = not_looked_at
    with reported_bugs() as bugs:
        bench.sweep()
        for stream in ended:
            stream.wake_at = 0.0
        bench.sweep_for(5.0)
    assert bugs == []


async def test_who_waits_at_an_end_costs_the_sweeper_nothing_once_gone(bench):
    stream, source = bench.open()
    with stream.presence():
        finish(source)
        bench.sweep_for(1.0)
    stream.tick = None  # to call it would be an error
    with reported_bugs() as bugs:
        bench.sweep()
        stream.wake_at = 0.0
        bench.sweep_for(5.0)
    assert bugs == []


async def test_who_reads_what_has_ended_is_looked_after_again(bench):
    stream, source = bench.open(limits=Limits(write_s=2.0))
    source.producer.receive([b.message_start(), b.text_start(), b.text_delta("x" * PADDING)])
    stream.stop()
    bench.sweep_for(1.0)
    outlet = BufferOutlet(takes=False)
    with stream.presence():
        view = asyncio.get_running_loop().create_task(stream.view(PlainEncoder(), outlet))
        await settle()
        assert outlet.backlog
        bench.sweep_for(3.0)
        with pytest.raises(ConnectionError, match="write_s"):
            await view


# -- whoever is told of the ends ------------------------------------------------------------------


async def test_every_end_is_told_once_and_after_the_viewers():
    words: list[list[str]] = []
    outlet = BufferOutlet()
    bench = Bench(on_ended=lambda _stream, _ended: words.append(list(outlet.words)))
    stream, source = bench.open()
    bench.watch(stream, outlet)
    await settle()
    finish(source)
    stream.end(EndReason.STOPPED)
    assert words == [["1", "2", "3", "4", "5", "6:complete."]]
    await bench.close()


async def test_a_listener_that_raises_costs_no_stream_its_end():
    def listener(stream: object, ended: object) -> None:
        raise OSError("the log's disk is full")

    bench = Bench(on_ended=listener)
    opened = [bench.open() for _ in range(3)]
    with reported_bugs() as bugs:
        bench.relay.cut("now")
    assert [reason_of(stream) for stream, _ in opened] == [EndReason.DRAINING] * 3
    assert all(source.call.fate == ["cancelled"] for _, source in opened)
    assert [str(bug["exception"]) for bug in bugs] == ["the log's disk is full"] * 3
    await bench.close()


# -- the end of all of them -----------------------------------------------------------------------


async def test_a_drain_of_nothing_is_over_at_once_and_nothing_is_opened_after_it(bench):
    assert bench.relay.accepting
    await bench.relay.drain()
    assert not bench.relay.accepting
    with pytest.raises(NotAcceptingError, match="shutting down") as refused:
        bench.open()
    assert refused.value.draining


async def test_a_drain_lets_watched_streams_end_and_ends_the_others_at_once(bench):
    (watched, source), (alone, _) = bench.open(), bench.open()
    bench.watch(watched, BufferOutlet())
    await settle()
    draining = bench.task(bench.relay.drain())
    await settle()
    assert reason_of(alone) is EndReason.DRAINING
    assert watched.ended is None
    assert not draining.done()
    finish(source)
    await settle()
    assert draining.done()
    assert reason_of(watched) is EndReason.COMPLETE


async def test_in_a_drain_nobody_is_waited_for_to_come_back(bench):
    stream, _ = bench.open(linger_s=60.0)
    with stream.presence():
        draining = bench.task(bench.relay.drain())
        await settle()
        assert not draining.done()
    await settle()
    assert reason_of(stream) is EndReason.ABANDONED
    assert draining.done()


async def test_a_drain_is_over_within_its_window_and_ends_what_still_lives():
    bench = Bench(Limits(drain_s=0.02))
    opened = [bench.open() for _ in range(5)]
    outlets = [BufferOutlet() for _ in opened]
    for (stream, _), outlet in zip(opened, outlets, strict=True):
        bench.watch(stream, outlet)
    await settle()
    await bench.relay.drain()
    await settle()
    assert [reason_of(stream) for stream, _ in opened] == [EndReason.DRAINING] * 5
    assert all(outlet.words == ["1:draining."] for outlet in outlets)
    assert bench.relay.live == 0
    await bench.close()


async def test_a_second_signal_ends_everything_at_once_and_the_drain_with_it(bench):
    stream, _ = bench.open()
    bench.watch(stream, BufferOutlet())
    await settle()
    draining = bench.task(bench.relay.drain())
    await settle()
    bench.relay.cut("A second signal.")
    await settle()
    assert reason_of(stream) is EndReason.DRAINING
    assert stream.ended.receipt.detail == "A second signal."
    assert draining.done()


async def test_cutting_twice_changes_nothing(bench):
    stream, _ = bench.open()
    bench.relay.cut("first")
    bench.relay.cut("second")
    assert stream.ended.receipt.detail == "first"
    assert len(bench.ended) == 1


async def test_closing_forgets_everything_and_leaves_no_timer():
    bench = Bench()
    (live, _), (ended, source) = bench.open(), bench.open()
    finish(source)
    bench.relay.close()
    assert reason_of(live) is EndReason.DRAINING
    for stream in (live, ended):
        with pytest.raises(UnknownStreamError):
            bench.relay.find(stream.id)
    assert isinstance(bench.log, MemoryLog)
    assert bench.log.size_bytes == 0
    assert timers() == 0
    bench.relay.close()


async def test_closing_cuts_a_reader_that_nobody_would_look_after_any_more():
    bench = Bench()
    stream, source = bench.open()
    outlet = BufferOutlet(takes=False)
    client = bench.watch(stream, outlet, encoder=PlainEncoder(padding=PADDING))
    await settle()
    finish(source)
    bench.relay.close()
    await settle()
    assert outlet.aborted
    assert isinstance(client.exception(), ConnectionError)


async def test_by_itself_a_relay_keeps_the_loops_own_time():
    relay = Relay(MemoryLog(DEFAULTS), DEFAULTS)
    source = ScriptedSource()
    stream = relay.open(source)
    finish(source)
    assert stream.ended is not None
    assert 0 <= stream.ended.receipt.timings.total_s < 1
    relay.close()
