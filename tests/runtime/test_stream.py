"""The stream: who is here, has it begun, how did it end; and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.log.contract import UnknownStreamError
from finalstop.runtime.stream import TooManyViewersError
from tests import builders as b
from tests.runtime.fakes import (
    Bench,
    BufferOutlet,
    PlainEncoder,
    ScriptedSource,
    reason_of,
    settle,
    timers,
)

PADDING = 70_000


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


def with_limits(**limits: float) -> Bench:
    return Bench(Limits(**limits))  # type: ignore[arg-type] # a table of durations and counts


# -- the beginning --------------------------------------------------------------------------------


async def test_whoever_waits_for_the_beginning_is_told_of_the_first_entry(bench):
    stream, source = bench.open()
    assert not await stream.begun(0)
    waiting = bench.task(waits_begun(stream, within_s=3600))
    await settle()
    assert not waiting.done()
    source.producer.receive([b.ping()])
    await settle()
    assert not waiting.done()
    source.producer.receive([b.message_start()])
    await settle()
    assert waiting.done()
    assert await stream.begun(0)


async def waits_begun(stream, within_s):
    assert await stream.begun(within_s)


async def test_the_wait_for_the_beginning_has_a_bound(bench):
    stream, _ = bench.open()
    assert not await stream.begun(1e-9)


async def test_the_upstreams_headers_are_there_once_it_has_answered(bench):
    stream, source = bench.open()
    assert stream.upstream_headers == {}
    source.producer.upstream_headers = {"request-id": "r1"}
    assert stream.upstream_headers == {"request-id": "r1"}


# what the upstream says, whether the head can still tell the truth
AT_ONCE = [
    (lambda it: it.refused(Refusal(429, {"type": "rate_limit_error"})), True),
    (lambda it: it.eof(), True),
    (lambda it: it.receive([b.error()]), True),
    (lambda it: it.receive([b.ping(), b.error()]), True),
    (lambda it: it.receive([b.message_start(), b.error()]), False),
    (lambda it: it.receive([b.message_start()]), False),
    (lambda it: it.receive(b.answer("Salt.")), False),
]


@pytest.mark.parametrize(("said", "at_once"), AT_ONCE)
async def test_only_an_end_that_is_the_first_entry_failed_at_once(bench, said, at_once):
    stream, source = bench.open()
    assert stream.failed_at_once is None
    said(source.producer)
    assert await stream.begun(0)
    assert (stream.failed_at_once is not None) is at_once
    if at_once:
        assert stream.failed_at_once is stream.ended


# -- the end --------------------------------------------------------------------------------------


async def test_the_call_of_a_complete_stream_is_released_and_of_every_other_cancelled(bench):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    assert reason_of(stream) is EndReason.COMPLETE
    assert source.call.fate == ["released"]


CUT_SHORT = [reason for reason in EndReason if reason not in {"complete", "upstream_error"}]


@pytest.mark.parametrize("reason", CUT_SHORT)
async def test_every_ending_but_complete_cancels_the_call(bench, reason):
    stream, source = bench.open()
    stream.end(reason, "why")
    assert reason_of(stream) is reason
    assert source.call.fate == ["cancelled"]


@pytest.mark.parametrize("said", [row[0] for row in AT_ONCE[:4]])
async def test_what_fails_upstream_cancels_the_call_once(bench, said):
    stream, source = bench.open()
    said(source.producer)
    stream.end(EndReason.STOPPED)
    assert source.call.fate == ["cancelled"]


async def test_the_first_reason_wins(bench):
    stream, source = bench.open()
    stream.end(EndReason.STOPPED, "first")
    source.producer.receive(b.answer("Salt."))
    source.producer.eof()
    stream.crashed(ValueError())
    bench.sweep(DEFAULTS.deadline_s)
    assert reason_of(stream) is EndReason.STOPPED
    assert [ended.reason for _, ended in bench.ended] == [EndReason.STOPPED]


async def test_a_crash_ends_the_stream_internal_error_without_its_message(bench):
    stream, source = bench.open()
    stream.crashed(ValueError("the secret prompt"))
    assert reason_of(stream) is EndReason.INTERNAL_ERROR
    assert "secret" not in stream.ended.receipt.detail
    assert source.call.fate == ["cancelled"]


async def test_the_receipt_is_waited_for_and_then_there_for_everybody(bench):
    stream, source = bench.open()
    receipts: list[object] = []

    async def wait() -> None:
        receipts.append(await stream.receipt())

    for _ in range(3):
        bench.task(wait())
    await settle()
    assert receipts == []
    source.producer.receive(b.answer("Salt."))
    await settle()
    await wait()
    assert receipts == [stream.ended.receipt] * 4


async def test_a_call_that_cannot_be_let_go_keeps_nobody_waiting(bench):
    class StuckCall:
        def release(self) -> None:
            raise OSError("bad file descriptor")

        cancel = release

    class Source(ScriptedSource):
        def start(self, producer):
            super().start(producer)
            return StuckCall()

    source = Source()
    stream = bench.relay.open(source)
    with pytest.raises(OSError, match="bad file"):
        stream.end(EndReason.STOPPED)
    assert (await stream.receipt()).reason is EndReason.STOPPED
    assert bench.relay.live == 0


async def test_the_message_is_what_the_log_holds_now(bench):
    stream, source = bench.open()
    assert (await stream.message())[0] == {}
    source.producer.receive(b.answer("Sal", "t.")[:4])
    message, unknown = await stream.message()
    assert (message["content"][0]["text"], unknown) == ("Salt.", None)
    assert message["stop_reason"] is None
    source.producer.receive(b.answer()[2:])
    message, unknown = await stream.message()
    assert (message["stop_reason"], unknown) == ("end_turn", None)


async def test_the_message_names_the_first_unknown_delta(bench):
    stream, source = bench.open()
    delta = b.block_delta(0, "not_yet_invented", words="many")
    source.producer.receive([b.message_start(), b.text_start(), delta])
    _, unknown = await stream.message()
    assert unknown is not None
    assert "not_yet_invented" in unknown


# -- who is here ----------------------------------------------------------------------------------


async def test_a_stream_nobody_came_to_yet_is_not_abandoned(bench):
    stream, _ = bench.open()
    bench.sweep_for(60.0, step_s=1.0)
    assert stream.ended is None
    assert not stream.watched


async def test_when_the_last_one_leaves_the_call_is_cancelled_before_leaving_returns(bench):
    stream, source = bench.open()
    with stream.presence():
        with stream.presence():
            assert stream.watched
        assert stream.ended is None
    assert reason_of(stream) is EndReason.ABANDONED
    assert source.call.fate == ["cancelled"]


async def test_leaving_by_an_error_is_leaving(bench):
    stream, _ = bench.open()
    with pytest.raises(ConnectionError), stream.presence():
        raise ConnectionError
    assert reason_of(stream) is EndReason.ABANDONED


async def test_leaving_an_ended_stream_changes_nothing(bench):
    stream, source = bench.open()
    with stream.presence():
        source.producer.receive(b.answer("Salt."))
    assert reason_of(stream) is EndReason.COMPLETE
    assert source.call.fate == ["released"]


async def test_a_stream_that_lingers_is_abandoned_when_linger_s_has_run_out(bench):
    stream, source = bench.open(linger_s=10.0)
    with stream.presence():
        pass
    bench.sweep_for(9.8)
    assert stream.ended is None
    bench.sweep_for(0.4)
    assert reason_of(stream) is EndReason.ABANDONED
    assert source.call.fate == ["cancelled"]


async def test_somebody_who_comes_back_in_time_stops_the_clock_and_starts_it_anew(bench):
    stream, _ = bench.open(linger_s=10.0)
    with stream.presence():
        pass
    bench.sweep_for(9.0)
    with stream.presence():
        bench.sweep_for(30.0)
        assert stream.ended is None
    bench.sweep_for(9.8)
    assert stream.ended is None
    bench.sweep_for(0.4)
    assert reason_of(stream) is EndReason.ABANDONED


async def test_a_stream_that_ends_while_it_lingers_keeps_its_own_reason(bench):
    stream, source = bench.open(linger_s=10.0)
    with stream.presence():
        pass
    source.producer.receive(b.answer("Salt."))
    bench.sweep_for(20.0)
    assert reason_of(stream) is EndReason.COMPLETE


async def test_presence_has_a_limit_and_a_place_is_free_again_when_somebody_left():
    bench = with_limits(max_viewers=2)
    stream, _ = bench.open(linger_s=1.0)
    with stream.presence():
        with stream.presence():
            with pytest.raises(TooManyViewersError, match="max_viewers=2"), stream.presence():
                pass
            assert stream.ended is None
        with stream.presence():
            assert stream.watched
    await bench.close()


async def test_a_viewer_that_leaves_last_ends_the_stream_also_in_the_middle_of_an_answer(bench):
    stream, source = bench.open()
    outlet = BufferOutlet()
    client = bench.watch(stream, outlet)
    await settle()
    source.producer.receive([b.message_start(), b.text_start()])
    client.cancel()
    await settle()
    assert reason_of(stream) is EndReason.ABANDONED
    assert outlet.words == ["1", "2"]


async def test_a_viewer_that_breaks_alone_leaves_the_stream_to_the_others(bench):
    stream, source = bench.open()
    broken, healthy = BufferOutlet(), BufferOutlet()
    bench.watch(stream, broken).add_done_callback(lambda task: task.exception())
    bench.watch(stream, healthy)
    await settle()
    broken.error = ConnectionResetError("reset")
    source.producer.receive(b.answer("Salt.")[:3])
    await settle()
    source.producer.receive(b.answer("Salt.")[3:])
    await settle()
    assert reason_of(stream) is EndReason.COMPLETE
    assert healthy.words == ["1", "2", "3", "4", "5", "6:complete."]


# -- viewing --------------------------------------------------------------------------------------


async def test_everybody_sees_the_same_stream_whenever_they_came(bench):
    stream, source = bench.open()
    outlets = [BufferOutlet() for _ in range(7)]
    for outlet, event in zip(outlets, [*b.answer("Salt."), None], strict=True):
        bench.watch(stream, outlet)
        await settle()
        if event is not None:
            source.producer.receive([event])
    await settle()
    assert all(outlet.words == ["1", "2", "3", "4", "5", "6:complete."] for outlet in outlets)


@pytest.mark.parametrize("after", [6, 7, 99])
async def test_a_cursor_at_the_end_of_an_ended_stream_has_nothing_to_wait_for(bench, after):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    outlet = BufferOutlet()
    client = bench.watch(stream, outlet, after=after)
    await settle()
    assert client.done()
    assert outlet.words == []


async def test_a_stream_that_is_gone_cannot_be_viewed(bench):
    stream, source = bench.open()
    source.producer.receive(b.answer("Salt."))
    bench.sweep(DEFAULTS.retention_s + 1.0)
    with pytest.raises(UnknownStreamError):
        await stream.view(PlainEncoder(), BufferOutlet())


async def test_before_the_stream_is_dropped_whoever_still_reads_it_is_cut(bench):
    stream, source = bench.open()
    outlet = BufferOutlet(takes=False)
    client = bench.watch(stream, outlet, encoder=PlainEncoder(padding=PADDING))
    await settle()
    source.producer.receive(b.answer("Salt."))
    stream.forget()
    await settle()
    assert outlet.aborted
    assert isinstance(client.exception(), ConnectionAbortedError)


async def test_a_keep_alive_to_a_reader_who_just_left_costs_nobody_else_the_stream(bench):
    stream, _ = bench.open()
    lost, healthy = BufferOutlet(), BufferOutlet()
    bench.watch(stream, lost).add_done_callback(lambda task: task.exception())
    bench.watch(stream, healthy)
    await settle()
    lost.leave()
    bench.sweep_for(DEFAULTS.keep_alive_s * 2)
    await settle()
    assert stream.ended is None
    assert healthy.words[:1] == ["~"]


# -- time -----------------------------------------------------------------------------------------

# what the upstream says before it falls silent, which limit, its seconds
SILENCES = [
    ([], EndReason.FIRST_CONTENT_TIMEOUT, 20.0),
    ([b.message_start()], EndReason.FIRST_CONTENT_TIMEOUT, 20.0),
    ([b.message_start(), b.text_start()], EndReason.IDLE_TIMEOUT, 3.0),
]


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("silent_from_s", [0.0, 0.05, 2.0, 10.0])
@pytest.mark.parametrize(("said", "reason", "limit_s"), SILENCES)
async def test_every_limit_is_kept_to_within_one_sweep_watched_or_not(
    said, reason, limit_s, silent_from_s, watched
):
    bench = with_limits(first_content_s=20.0, idle_s=3.0, keep_alive_s=6.0)
    stream, source = bench.open()
    if watched:
        bench.watch(stream, BufferOutlet())
        await settle()
    opened_at = bench.clock.now
    bench.sweep_for(silent_from_s)
    if said:
        source.producer.receive(said)
    since = bench.clock.now if reason is EndReason.IDLE_TIMEOUT else opened_at
    while stream.ended is None:
        assert bench.clock.now < opened_at + 60
        bench.sweep(0.1)
    assert reason_of(stream) is reason
    assert limit_s <= bench.clock.now - since + 1e-6 <= limit_s + 0.1 + 1e-3
    await bench.close()


async def test_a_trickle_of_content_trips_no_timer_but_the_deadline():
    bench = with_limits(deadline_s=60.0, first_content_s=5.0, idle_s=3.0)
    stream, source = bench.open()
    source.producer.receive([b.message_start(), b.text_start()])
    opened_at = bench.clock.now
    while stream.ended is None:
        source.producer.receive([b.text_delta("")])
        bench.sweep_for(2.5)
    assert reason_of(stream) is EndReason.DEADLINE
    assert bench.clock.now - opened_at <= 62.5
    await bench.close()


async def test_pings_do_not_keep_a_stalled_stream_alive():
    bench = with_limits(first_content_s=5.0, idle_s=3.0)
    stream, source = bench.open()
    source.producer.receive([b.message_start(), b.text_start()])
    for _ in range(4):
        source.producer.receive([b.ping()])
        bench.sweep_for(1.0)
    assert reason_of(stream) is EndReason.IDLE_TIMEOUT
    await bench.close()


async def test_a_sweep_of_streams_with_nothing_to_do_ticks_none_of_them(bench):
    stream, source = bench.open()
    bench.sweep()
    source.producer.receive([b.message_start()])
    ticks: list[float] = []
    tick = stream.tick

    def counted(now: float) -> None:
        ticks.append(now)
        tick(now)

    stream.tick = counted
    bench.sweep_for(100.0)
    assert len(ticks) <= 1


async def test_a_view_that_begins_asks_for_no_look_before_something_is_due(bench):
    stream, source = bench.open()
    source.producer.receive([b.message_start()])
    bench.watch(stream, BufferOutlet())
    await settle()
    due_s = min(DEFAULTS.keep_alive_s, DEFAULTS.write_s, DEFAULTS.idle_s)
    assert stream.wake_at - bench.clock.now > due_s / 2


# -- nothing outlives the stream (I7) -------------------------------------------------------------


async def test_the_call_is_let_go_of_at_the_end_and_its_request_with_it(bench):
    """Its body may be 32 MiB, and retention is 300 s."""
    stream, source = bench.open()
    call, feeder = weakref.ref(source.call), weakref.ref(source)
    stream.end(EndReason.STOPPED)
    del source
    gc.collect()
    assert call() is None
    assert feeder() is None


async def test_after_the_end_and_the_viewers_no_task_and_no_timer_is_left(bench):
    before = asyncio.all_tasks()
    stream, source = bench.open()
    clients = [bench.watch(stream, BufferOutlet()) for _ in range(2)]
    bench.task(waits_begun(stream, within_s=60))
    await settle()
    source.producer.receive(b.answer("Salt."))
    await settle()
    assert all(client.done() for client in clients)
    assert asyncio.all_tasks() == before
    assert timers() <= 1  # the sweeper, while the stream is retained


async def test_a_viewer_that_left_is_forgotten_at_once(bench):
    stream, _ = bench.open(linger_s=5.0)
    outlet = BufferOutlet()
    client = bench.watch(stream, outlet)
    await settle()
    gone = weakref.ref(outlet)
    client.cancel()
    await settle()
    bench._tasks.clear()
    del client, outlet
    gc.collect()
    assert gone() is None
