"""The viewer: each number once, in order, whatever the reader does; and nobody else pays."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.core.events import Deltas, Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended
from finalstop.core.timers import SWEEP_S
from finalstop.log.contract import Log, UnknownStreamError
from finalstop.log.memory import EVENT_OVERHEAD_BYTES, MemoryLog
from finalstop.runtime.viewer import OUTLET_BYTES_HIGH, SLICE_BYTES, STALL_CHECK_S, Viewer
from finalstop.wire.formats import Encoder, encoder_for
from tests import builders as b
from tests.log.followers import deltas, ended
from tests.log.later import LaterLog
from tests.runtime.fakes import BrokenEncoder, BufferOutlet, FakeClock, PlainEncoder, settle
from tests.wire.transcripts import frames_of

KEEP_ALIVE_S = DEFAULTS.keep_alive_s
WRITE_S = DEFAULTS.write_s

# A word this long fills an outlet: two of them are more than it takes.
PADDING = OUTLET_BYTES_HIGH // 2 + 1024


class Booth:
    """One viewer in its task, the log it watches, and the hands of sweeper and producer."""

    def __init__(
        self,
        outlet: BufferOutlet,
        *,
        encoder: Encoder | None = None,
        after: int = 0,
        limits: Limits = DEFAULTS,
        log: Log | None = None,
        settles: bool = True,
    ) -> None:
        self.outlet = outlet
        self._settles = settles
        self.clock = FakeClock()
        self.log: Log = log or MemoryLog(DEFAULTS)
        if log is None:
            self.log.open("s1", lambda _accepted, _why: None)
        self.viewer = Viewer(
            "s1",
            self.log,
            encoder or PlainEncoder(),
            outlet,
            after=after,
            limits=limits,
            clock=self.clock,
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.get_running_loop().create_task(self.viewer.run())
        if self._settles:
            await settle()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    def append(self, count: int = 1, *, then_end: bool = False) -> None:
        batch: list[Event | Deltas | Ended] = [*deltas(count)]
        if then_end:
            batch.append(ended())
        self.log.append("s1", batch)

    def tick(self, after_s: float = 0.0) -> float:
        return self.viewer.tick(self.clock.advance(after_s))

    def sweep_for(self, seconds: float) -> None:
        """What the sweeper does: look every SWEEP_S, tick when due."""
        wake_at = self.clock.now
        for _ in range(round(seconds / SWEEP_S)):
            self.clock.advance(SWEEP_S)
            if wake_at <= self.clock.now:
                wake_at = self.tick()


def numbers(outlet: BufferOutlet) -> list[int]:
    """The sequence numbers on the wire, in order, without keep-alives and padding."""
    words = [word for word in outlet.words if word != "~"]
    return [int(word.split(":")[0].rstrip("_")) for word in words]


# -- the fast path --------------------------------------------------------------------------------


async def test_a_caught_up_viewer_writes_before_the_append_returns():
    async with Booth(BufferOutlet()) as booth:
        booth.append(2)
        assert booth.outlet.words == ["1", "2"]
        booth.append(1)
        assert booth.outlet.words == ["1", "2", "3"]


async def test_deltas_together_are_one_write_and_the_next_goes_on_after_the_last_of_them():
    async with Booth(BufferOutlet(), encoder=encoder_for("anthropic")) as booth:
        booth.log.append("s1", [b.together(*deltas(3))])
        booth.log.append("s1", deltas(1))
        booth.log.append("s1", [b.together(*deltas(2)), ended()])
        ids = [[frame.id for frame in frames_of(data)] for data in booth.outlet.writes]
        assert ids == [["1-1", "1-2", "1-3"], ["1-4"], ["1-5", "1-6", "1-7"]]
        assert booth.viewer.cursor == 7


async def test_a_batch_is_one_write():
    async with Booth(BufferOutlet()) as booth:
        booth.append(5)
        assert booth.outlet.writes == [b"1 2 3 4 5 "]


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is scheduled on it."""

    scheduled = 0

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        self.scheduled += 1
        return super().call_soon(*args, **options)

    def call_at(self, *args: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.scheduled += 1
        return super().call_at(*args, **options)


def on_counting_loop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(work)


def test_caught_up_viewers_cost_no_callback_of_the_loop_at_all():
    """Goal: no task wakes per event or per viewer. Method: count what is scheduled meanwhile."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        outlets = [BufferOutlet() for _ in range(10)]
        booth = Booth(outlets[0])
        others = [Booth(outlet, log=booth.log) for outlet in outlets[1:]]
        async with booth:
            tasks = [loop.create_task(other.viewer.run()) for other in others]
            await settle()
            before = loop.scheduled
            for _ in range(100):
                booth.append(3)
            assert loop.scheduled == before
            booth.append(0, then_end=True)
            await settle()
            assert all(task.done() for task in tasks)
        assert all(numbers(outlet) == list(range(1, 302)) for outlet in outlets)

    on_counting_loop(work())


async def test_an_entry_without_a_word_in_this_format_writes_nothing():
    outlet = BufferOutlet()
    async with Booth(outlet, encoder=PlainEncoder(silent=frozenset({1, 2, 4}))) as booth:
        booth.append(2)
        booth.append(2)
        assert outlet.writes == [b"3 "]
        assert booth.viewer.cursor == 4


# -- from the cursor to the end -------------------------------------------------------------------


@pytest.mark.parametrize("then", [0, 3])
@pytest.mark.parametrize("before", [0, 1, 5])
async def test_replay_then_live_is_one_contiguous_view(before, then):
    log = MemoryLog(DEFAULTS)
    log.open("s1", lambda _accepted, _why: None)
    if before:
        log.append("s1", deltas(before))
    async with Booth(BufferOutlet(), log=log) as booth:
        booth.append(then, then_end=True)
        await settle()
        assert numbers(booth.outlet) == list(range(1, before + then + 2))
        assert booth.task.done()


@pytest.mark.parametrize("after", range(5))
async def test_a_view_of_an_ended_stream_is_the_tail_after_the_cursor(after):
    log = MemoryLog(DEFAULTS)
    log.open("s1", lambda _accepted, _why: None)
    log.append("s1", [*deltas(4), ended()])
    async with Booth(BufferOutlet(), log=log, after=after) as booth:
        assert numbers(booth.outlet) == list(range(after + 1, 6))
        assert booth.task.done()


@pytest.mark.parametrize("after", [5, 6, 99])
async def test_a_cursor_at_or_past_the_terminal_ends_with_the_stream_and_not_never(after):
    outlet = BufferOutlet()
    async with Booth(outlet, after=after) as booth:
        booth.append(4, then_end=True)
        await settle()
        assert booth.task.done()
        assert outlet.words == []


async def test_what_fits_in_one_slice_takes_one_turn_of_the_loop():
    log = MemoryLog(DEFAULTS)
    log.open("s1", lambda _accepted, _why: None)
    log.append("s1", deltas(3))
    async with Booth(BufferOutlet(), log=log, settles=False) as booth:
        await asyncio.sleep(0)
        booth.append(1)
        assert numbers(booth.outlet) == [1, 2, 3, 4]


async def test_others_get_their_turn_between_two_slices_and_may_cut_the_view_there():
    log = MemoryLog(DEFAULTS)
    log.open("s1", lambda _accepted, _why: None)
    log.append("s1", deltas(SLICE_BYTES // EVENT_OVERHEAD_BYTES + 1))
    async with Booth(BufferOutlet(), log=log, settles=False) as booth:
        await asyncio.sleep(0)
        assert len(booth.outlet.writes) == 1
        booth.viewer.abort("said between them")
        await settle()
        assert len(booth.outlet.writes) == 1
        assert str(booth.task.exception()) == "said between them"


async def test_the_view_returns_when_the_terminal_is_written():
    async with Booth(BufferOutlet()) as booth:
        booth.append(1)
        await settle()
        assert not booth.task.done()
        booth.append(0, then_end=True)
        await settle()
        assert booth.task.done()
        assert booth.task.exception() is None
        assert booth.viewer.done


async def test_the_view_waits_for_room_before_it_returns():
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=PADDING)) as booth:
        booth.append(2, then_end=True)
        await settle()
        assert not booth.task.done()
        outlet.take()
        await settle()
        assert booth.task.done()
        assert numbers(outlet) == [1, 2, 3]


async def test_an_unknown_stream_cannot_be_viewed():
    log = MemoryLog(DEFAULTS)
    async with Booth(BufferOutlet(), log=log) as booth:
        assert isinstance(booth.task.exception(), UnknownStreamError)


async def test_a_view_that_ended_or_was_cancelled_follows_no_more():
    outlet = BufferOutlet()
    async with Booth(outlet) as booth:
        booth.append(1)
        booth.task.cancel()
        await settle()
        booth.append(1)
        assert numbers(outlet) == [1]


# -- falling behind, catching up ------------------------------------------------------------------


async def test_a_full_outlet_is_not_written_to_until_it_has_room():
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=PADDING)) as booth:
        for _ in range(10):
            booth.append(1)
            await settle()
        assert numbers(outlet) == [1, 2]
        outlet.take()
        await settle()
        assert numbers(outlet) == list(range(1, 11))


async def test_catching_up_is_by_slices_and_no_outlet_holds_more_than_one_beyond_its_mark():
    outlet = BufferOutlet(takes=False)
    words = 2000
    async with Booth(outlet, encoder=PlainEncoder(padding=600)) as booth:
        booth.append(200)
        most = 0
        for _ in range(words - 200):
            booth.append(1)
        for _ in range(100):
            await settle()
            most = max(most, outlet.backlog)
            outlet.take()
        assert numbers(outlet) == list(range(1, words + 1))
        # One word takes about as much in the outlet as its entry does in the log.
        assert most <= OUTLET_BYTES_HIGH + 2 * SLICE_BYTES
        assert len(outlet.writes) < 20


async def test_a_viewer_that_fell_behind_is_fast_again_once_it_has_caught_up():
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=PADDING)) as booth:
        booth.append(3)
        outlet.take()
        await settle()
        outlet.take()
        outlet.takes = True
        booth.append(1)
        assert numbers(outlet) == [1, 2, 3, 4]


async def test_a_read_that_answers_late_repeats_nothing_that_was_told_meanwhile():
    log = LaterLog(DEFAULTS, turns=(2,))
    log.open("s1", lambda _accepted, _why: None)
    outlet = BufferOutlet()
    async with Booth(outlet, log=log, settles=False) as booth:
        for turns in (6, 6, 8):
            booth.append(1)
            for _ in range(turns):
                await asyncio.sleep(0)
        booth.append(0, then_end=True)
        await settle()
        assert numbers(outlet) == [1, 2, 3, 4]


ACTIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 4)),
    st.tuples(st.just("take"), st.integers(1, 3 * OUTLET_BYTES_HIGH)),
    st.tuples(st.just("turn"), st.integers(1, 4)),
    st.tuples(st.just("time"), st.integers(1, 8)),
)
MAKE_LOG: dict[str, Callable[[list[int]], Log]] = {
    "memory": lambda _turns: MemoryLog(DEFAULTS),
    "later": lambda turns: LaterLog(DEFAULTS, turns),
}


@pytest.mark.parametrize("kind", MAKE_LOG)
@given(
    score=st.lists(ACTIONS, max_size=30),
    turns=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    after=st.integers(0, 3),
    padding=st.sampled_from([0, 600, 20_000, PADDING]),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_every_number_is_written_once_and_in_order_under_any_interleaving(
    kind, score, turns, after, padding
):
    async def play() -> None:
        log = MAKE_LOG[kind](turns)
        log.open("s1", lambda _accepted, _why: None)
        outlet = BufferOutlet(takes=False)
        log.append("s1", deltas(after + 1))
        last = after + 1
        encoder = PlainEncoder(padding=padding)
        booth = Booth(outlet, log=log, after=after, encoder=encoder, settles=False)
        async with booth:
            for what, amount in score:
                match what:
                    case "append":
                        booth.append(amount)
                        last += amount
                    case "take":
                        outlet.take(amount)
                    case "turn":
                        for _ in range(amount):
                            await asyncio.sleep(0)
                    case _:
                        booth.tick(float(amount))
            booth.append(0, then_end=True)
            for _ in range(200):
                outlet.take()
                await asyncio.sleep(0)
                if booth.task.done():
                    break
            assert booth.task.done()
            assert booth.task.exception() is None
            assert numbers(outlet) == list(range(after + 1, last + 2))
            assert outlet.words[-1].endswith("stopped.")

    asyncio.run(play())


# -- no silent wire -------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_alive_s", [1.0, 15.0])
async def test_the_wire_is_never_silent_for_longer_than_keep_alive_s(keep_alive_s):
    limits = Limits(keep_alive_s=keep_alive_s, commit_s=0.5)
    outlet = BufferOutlet()
    async with Booth(outlet, limits=limits) as booth:
        wake_at, written_at, longest_s = 0.0, booth.clock.now, 0.0
        for turn in range(round(4 * keep_alive_s / SWEEP_S)):
            wrote = len(outlet.writes)
            # On the way there is an event, just after a sweep.
            if turn == round(1.7 * keep_alive_s / SWEEP_S):
                booth.append(1)
            booth.clock.advance(SWEEP_S)
            if wake_at <= booth.clock.now:
                wake_at = booth.tick()
            await settle()
            if len(outlet.writes) > wrote:
                longest_s = max(longest_s, booth.clock.now - written_at)
                written_at = booth.clock.now
        assert longest_s <= keep_alive_s + 1e-6
        assert numbers(outlet) == [1]
        assert 3 <= outlet.words.count("~") <= 5


async def test_a_busy_wire_needs_no_keep_alive():
    outlet = BufferOutlet()
    async with Booth(outlet) as booth:
        for _ in range(20):
            booth.sweep_for(KEEP_ALIVE_S / 2)
            booth.append(1)
        assert "~" not in outlet.words


async def test_events_without_a_word_in_this_format_do_not_count_as_bytes():
    outlet = BufferOutlet()
    async with Booth(outlet, encoder=PlainEncoder(silent=frozenset(range(99)))) as booth:
        for _ in range(4):
            booth.sweep_for(KEEP_ALIVE_S / 2)
            booth.append(1)
        assert outlet.words.count("~") >= 1


async def test_there_is_no_keep_alive_while_bytes_wait_for_the_reader():
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=PADDING)) as booth:
        booth.append(3)
        booth.sweep_for(KEEP_ALIVE_S * 1.5)
        await settle()
        assert "~" not in outlet.words


async def test_there_is_no_keep_alive_after_the_terminal():
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=PADDING)) as booth:
        booth.append(2, then_end=True)
        await settle()
        booth.sweep_for(KEEP_ALIVE_S * 1.5)
        outlet.take()
        await settle()
        booth.tick(KEEP_ALIVE_S * 2)
        assert "~" not in outlet.words
        assert booth.task.done()


# -- a reader that takes nothing ------------------------------------------------------------------


async def stalled(limits: Limits = DEFAULTS) -> tuple[Booth, BufferOutlet]:
    outlet = BufferOutlet(takes=False)
    return Booth(outlet, encoder=PlainEncoder(padding=PADDING), limits=limits), outlet


@pytest.mark.parametrize("write_s", [2.0, 10.0, 30.0, 60.0])
@pytest.mark.parametrize("events", [1, 3], ids=["some bytes wait", "the outlet is full"])
async def test_a_reader_that_takes_nothing_is_cut_after_write_s_and_soon(write_s, events):
    booth, outlet = await stalled(Limits(write_s=write_s))
    async with booth:
        booth.sweep_for(7.3)  # a silent wire stalls nobody
        booth.append(events)
        stalled_at, wake_at = booth.clock.now, 0.0
        while not outlet.aborted and booth.clock.now < stalled_at + 3 * write_s:
            booth.clock.advance(SWEEP_S)
            if wake_at <= booth.clock.now:
                wake_at = booth.tick()
        assert write_s <= booth.clock.now - stalled_at <= write_s + STALL_CHECK_S + SWEEP_S + 1e-6
        await settle()
        error = booth.task.exception()
        assert isinstance(error, ConnectionAbortedError)
        assert f"write_s={write_s:g}" in str(error)


async def test_the_stall_is_found_also_when_it_began_right_after_a_look():
    """The viewer says when to look again; an outlet that fills just after must not be missed."""
    booth, outlet = await stalled(Limits(write_s=2.0))
    async with booth:
        wake_at = booth.tick()
        booth.append(3)
        stalled_at = booth.clock.now
        while not outlet.aborted and booth.clock.now < stalled_at + 30:
            booth.clock.advance(SWEEP_S)
            if wake_at <= booth.clock.now:
                wake_at = booth.tick()
        assert booth.clock.now - stalled_at <= 2.0 + STALL_CHECK_S + SWEEP_S + 1e-6


async def test_a_reader_that_takes_a_little_now_and_then_is_never_cut():
    booth, outlet = await stalled()
    async with booth:
        booth.append(3)
        for _ in range(100):
            booth.sweep_for(WRITE_S * 0.6)
            outlet.take(1)
        assert not outlet.aborted


async def test_a_reader_that_takes_as_fast_as_we_write_is_never_cut():
    """Its backlog looks the same at every look, because each slice it takes makes room for one."""
    outlet = BufferOutlet(takes=False)
    async with Booth(outlet, encoder=PlainEncoder(padding=SLICE_BYTES)) as booth:
        wake_at = 0.0
        for _ in range(100):
            booth.append(1)
            await settle()
            booth.clock.advance(STALL_CHECK_S)
            if wake_at <= booth.clock.now:
                wake_at = booth.tick()
            outlet.take()
            await settle()
        assert not outlet.aborted


@pytest.mark.parametrize("write_s", [1.0, 5.0, 30.0])
async def test_a_reader_is_not_cut_for_bytes_that_have_only_just_been_written(write_s):
    booth, outlet = await stalled(Limits(write_s=write_s))
    async with booth:
        for _ in range(20):
            booth.sweep_for(KEEP_ALIVE_S / 2)
            booth.append(1)
            booth.tick()
            booth.clock.advance(write_s / 2)
            outlet.take()
            await settle()
        assert not outlet.aborted


async def test_a_reader_that_stalls_on_the_last_bytes_is_cut_and_not_told_off_as_done():
    booth, outlet = await stalled()
    async with booth:
        booth.append(2, then_end=True)
        await settle()
        booth.sweep_for(WRITE_S + 2 * STALL_CHECK_S)
        await settle()
        assert outlet.aborted
        assert isinstance(booth.task.exception(), ConnectionAbortedError)


# -- what breaks, breaks alone --------------------------------------------------------------------


async def test_a_write_that_fails_in_the_dispatch_ends_this_view_alone():
    lost, healthy = BufferOutlet(), BufferOutlet()
    async with Booth(lost) as booth, Booth(healthy, log=booth.log) as other:
        lost.error = ConnectionResetError("reset")
        booth.append(1)
        booth.append(1)
        await settle()
        assert booth.task.exception() is lost.error
        assert numbers(healthy) == [1, 2]
        assert not other.task.done()


async def test_a_broken_view_asks_for_no_more_time():
    async with Booth(BufferOutlet()) as booth:
        booth.outlet.error = ConnectionResetError("reset")
        booth.append(1)
        assert booth.tick(KEEP_ALIVE_S * 2) == math.inf


async def test_a_write_that_fails_while_catching_up_ends_this_view():
    outlet = BufferOutlet()
    outlet.error = ConnectionResetError("reset")
    log = MemoryLog(DEFAULTS)
    log.open("s1", lambda _accepted, _why: None)
    log.append("s1", deltas(1))
    async with Booth(outlet, log=log) as booth:
        assert booth.task.exception() is outlet.error


async def test_a_keep_alive_that_cannot_be_written_ends_this_view_and_does_not_raise():
    outlet = BufferOutlet()
    async with Booth(outlet) as booth:
        outlet.leave()
        booth.tick(KEEP_ALIVE_S)
        await settle()
        assert isinstance(booth.task.exception(), ConnectionError)


@pytest.mark.parametrize("at", [1, 3])
async def test_an_encoders_bug_ends_its_own_view(at):
    healthy = BufferOutlet()
    booth = Booth(BufferOutlet(), encoder=BrokenEncoder(at))
    async with booth, Booth(healthy, log=booth.log):
        for _ in range(4):
            booth.append(1)
        await settle()
        assert isinstance(booth.task.exception(), LookupError)
        assert numbers(healthy) == [1, 2, 3, 4]
        assert numbers(booth.outlet) == list(range(1, at))


async def test_a_stream_dropped_under_a_slow_viewer_ends_its_view():
    booth, outlet = await stalled()
    async with booth:
        booth.append(3)
        await settle()
        booth.log.drop("s1")
        outlet.take()
        await settle()
        assert isinstance(booth.task.exception(), UnknownStreamError)
