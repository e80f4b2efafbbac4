"""Thousands of schedules of the real gateway in virtual time, and proof that this finds races.

More of them, and one of them with everything that happened: see proof/simulation/schedules.py.
"""

import asyncio
import gc
import math
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import msgspec
import pytest

from finalstop.adapters.outlet import ResponseOutlet
from finalstop.core import timers
from finalstop.core.account import Account, characters_of
from finalstop.core.endings import EndReason
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.receipt import Ended
from finalstop.core.transitions import Phase
from finalstop.runtime.producer import Producer
from finalstop.runtime.pulled import PulledOutlet
from finalstop.runtime.stream import Stream
from finalstop.runtime.viewer import Viewer
from finalstop.upstream import connections
from finalstop.upstream.connections import Connection
from finalstop.upstream.gate import Gate
from finalstop.wire import text
from proof.ledger import ProofError
from proof.simulation import schedules
from proof.simulation.laws import judge
from proof.simulation.loop import BEGIN_S, TICK_S, NothingLeftError, SimLoop, run
from proof.simulation.openings import house
from proof.simulation.plan import MODES, plan_of
from proof.simulation.schedules import TWICE_EVERY, command_of, replay, tally_of
from proof.simulation.world import World, simulate

# 2,000 in all, in shares that a worker takes one by one.
SHARES = [(mode, range(at, at + 125)) for mode in MODES for at in range(1, 1001, 125)]

# Within so many schedules each planted race must be seen.
PLANTED_SEEN_WITHIN = 400


@pytest.mark.slow
@pytest.mark.timeout(300)  # it is all processor time, and a busy machine has little of that
@pytest.mark.parametrize(("mode", "seeds"), SHARES, ids=lambda it: getattr(it, "start", it))
def test_every_law_holds_in_every_schedule(mode, seeds, record_property):
    tally = tally_of(mode, seeds)
    assert tally.schedules == len(seeds)
    assert tally.twice >= len(seeds) // TWICE_EVERY
    shown = "".join(f"\n  {line}\n    {command_of(mode, seed)}" for _, seed, line in tally.wrong)
    assert not tally.wrong, shown
    per_s = tally.schedules / tally.cpu_s
    figure = (
        f"simulation, {mode}, seeds {seeds.start} to {seeds.stop - 1}: {tally.streams} streams,"
        f" {len(tally.wrong)} violations, {per_s:.0f} schedules per CPU-second,"
        f" {tally.virtual_s / tally.cpu_s:.0f} virtual seconds per CPU-second"
    )
    record_property("figure", figure)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_schedules_reach_every_ending_that_a_single_process_can_have():
    reached = set()
    beyond = {EndReason.OWNER_LOST, EndReason.INTERNAL_ERROR}
    for seed in range(2000, 2800):
        world = simulate(plan_of(seed, "safety"))
        reached |= {story.ended.receipt.reason for story in world.stories if story.ended}
        if reached >= set(EndReason) - beyond:
            break
    assert reached == set(EndReason) - beyond


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_gate_reads_past_the_transport_and_finds_words_nothing_and_the_end(record_property):
    found: Counter[str] = Counter()
    seed = 0
    # An end is found so in one schedule of a thousand, so it is looked for until there are two.
    while seed < 1000 or (found["fin"] < 2 and seed < 6000):
        seed += 1
        for mode in MODES:
            plan = plan_of(seed, mode)
            if "gate_s" in plan.limits and plan.has_descriptors and plan.client == "direct":
                record = simulate(plan).loop.network.record
                looks = [row[3] for row in record if row[1] == "look"]
                found.update(it if isinstance(it, str) else "words" for it in looks)
    said = f"looks past the transport that found something, seeds 1 to {seed}: {dict(found)}"
    record_property("figure", said)
    assert found["words"] > 300
    assert found["nothing"] > 100
    assert found["fin"] > 1


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_is_one_schedule(mode):
    first, second, other = (simulate(plan_of(seed, mode)) for seed in (7, 7, 8))
    assert first.hash == second.hash != other.hash


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_leaves_the_same_trace_alone_and_after_many_others(mode):
    command = [sys.executable, *command_of(mode, 7).split()[1:]]
    alone = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with house():
        assert not tally_of(mode, range(100, 140)).wrong
        assert f"hash {simulate(plan_of(7, mode)).hash}" in alone.splitlines()


def test_schedules_leave_nothing_behind():
    def worlds():
        gc.collect()
        # Not isinstance: it asks the object, and some that other tests made answer with an error.
        return sum(type(it) is World for it in gc.get_objects())

    before = worlds()
    assert not tally_of("safety", range(1, 21)).wrong
    assert worlds() == before


def test_a_schedule_that_crashes_is_told_with_its_seed(monkeypatch):
    def breaks(_world):
        raise LookupError("a bug of the judge")

    monkeypatch.setattr(schedules, "judge", breaks)
    [(mode, seed, line)] = tally_of("liveness", [4]).wrong
    assert (mode, seed, line) == ("liveness", 4, "crashed: LookupError('a bug of the judge')")


def test_what_is_lost_and_told_of_only_when_it_is_collected_is_wrong(monkeypatch):
    begin = World._begin

    def loses_a_failure(self, number, asking):
        lost, error = self.loop.create_future(), OSError("lost")
        lost.set_exception(error)
        vars(error)["future"] = lost  # a cycle: only the collector finds it
        begin(self, number, asking)

    monkeypatch.setattr(World, "_begin", loses_a_failure)
    assert any("lost" in line for _, _, line in tally_of("safety", [1]).wrong)
    with pytest.raises(ProofError, match="lost"):
        schedules.main(["--seed", "1", "--replay"])


def test_a_failing_seed_is_replayed_with_everything_that_happened():
    lines = list(replay("safety", 3))
    assert lines[0].startswith("seed 3, safety")
    assert any(" log " in line for line in lines)
    assert lines[-1] == "WRONG nothing"
    assert command_of("safety", 3).endswith("--mode safety --seed 3 --replay")


# -- races that are planted, and must be found -----------------------------------------------------


def forget_who_was_first(monkeypatch):
    """A timer that runs out in the tick of an end writes a second one."""
    end = Lifecycle.end

    def ends_again(self, *args, **how):
        if self.ended is not None and args[0] is not EndReason.DRAINING:
            self.ended, self._phase = None, Phase.ANSWERING
        return end(self, *args, **how)

    monkeypatch.setattr(Lifecycle, "end", ends_again)


def forget_the_upstream(monkeypatch):
    """When the last viewer leaves, the call goes on, and is billed."""
    on_ended = Stream.on_ended

    def keeps_calling(self, ended):
        if ended.receipt.reason is EndReason.ABANDONED:
            self._call = None
        on_ended(self, ended)

    monkeypatch.setattr(Stream, "on_ended", keeps_calling)


def keep_alive_for_ever(monkeypatch):
    """A reader that takes its last bytes slowly is kept alive after its terminal."""

    def put(self, now):
        self._outlet.write(self._encoder.keep_alive)

    monkeypatch.setattr(Viewer, "_keep_alive", put)


def tell_before_the_log(monkeypatch):
    """The end is announced before the log has it."""
    append = Producer._append

    def tells_first(self, batch):
        if batch and self.ended is not None and not self._begun:
            self._watcher.on_begun()
            self._inbox.append(lambda: append(self, batch))
            return
        append(self, batch)

    monkeypatch.setattr(Producer, "_append", tells_first)


def wait_for_ever_for_more(monkeypatch):
    """Once content has come, no silence is too long."""
    due_at = timers._content_due_at

    def never(clocks, limits):
        return due_at(clocks, limits) if clocks.content_at is None else math.inf

    monkeypatch.setattr(timers, "_content_due_at", never)


def cut_every_word(monkeypatch):
    """Of each piece of text the first letter is sent."""
    text_in = text.text_in
    monkeypatch.setattr(text, "text_in", lambda payload: text_in(payload)[:1])


def leave_text_out(monkeypatch):
    """A piece of text of three letters is sent to nobody."""
    text_in = text.text_in

    def not_three(payload):
        said = text_in(payload)
        return "" if len(said) % 3 == 0 else said

    monkeypatch.setattr(text, "text_in", not_three)


def end_with_the_next_keep_alive(monkeypatch):
    """Whoever is caught up is told of the end when time is next looked at."""
    entries, tick = Viewer.entries, Viewer.tick
    late = set()

    def told_later(self, batch):
        if self._caught_up and isinstance(batch[-1].event, Ended):
            late.add(self)
        else:
            entries(self, batch)

    def tells(self, now):
        if self in late:
            late.discard(self)
            self._wake()
        return tick(self, now)

    monkeypatch.setattr(Viewer, "entries", told_later)
    monkeypatch.setattr(Viewer, "tick", tells)


def end_with_the_next_sweep(monkeypatch):
    """Whoever is caught up is told of the end a sweep later."""
    entries = Viewer.entries

    def told_later(self, batch):
        if self._caught_up and isinstance(batch[-1].event, Ended):
            asyncio.get_running_loop().call_later(timers.SWEEP_S, self._wake)
        else:
            entries(self, batch)

    monkeypatch.setattr(Viewer, "entries", told_later)


def leave_who_pulls_waiting(monkeypatch):
    """Whoever comes back for more after the last piece is not told that there is none."""
    over = PulledOutlet.over

    def tells_nobody(self, viewing):
        if viewing.cancelled() or viewing.exception() is not None:
            over(self, viewing)
        else:
            self._closed = True
            self._on_over()

    monkeypatch.setattr(PulledOutlet, "over", tells_nobody)


def bill_the_placeholder(monkeypatch):
    """The output tokens of message_start are taken for a lower bound."""
    began = Account.began

    def bills(self, message):
        output_tokens = message.usage and message.usage.output_tokens
        return msgspec.structs.replace(began(self, message), _output_tokens=output_tokens)

    monkeypatch.setattr(Account, "began", bills)


def count_what_the_log_refused(monkeypatch):
    """A receipt tells of characters that no viewer can ever see."""
    refused = Lifecycle.log_refused

    def keeps_counting(self, *args, **how):
        self._before = (self._characters, self._account, self._before[2])
        return refused(self, *args, **how)

    monkeypatch.setattr(Lifecycle, "log_refused", keeps_counting)


def count_one_delta_of_many(monkeypatch):
    """Of deltas that come together the first one is counted."""
    counted = "finalstop.core.lifecycle.characters_of"
    monkeypatch.setattr(counted, lambda views: characters_of(views[:1]))


def take_nothing_yet_for_the_end(monkeypatch):
    """A look at a gated connection that finds nothing takes that for the end of the body."""
    lose, resume = Connection.lose, Connection.resume

    def look(self):
        if not self._is_paused or self.is_closed or self._fd == connections.NOT_OURS:
            resume(self)
            return
        try:
            self._looked(connections.read_at_rest(self._fd, connections.LOOK_BYTES))
        except BlockingIOError:
            self.eof_received()
        except ConnectionError as error:
            lose(self, error)

    monkeypatch.setattr(Connection, "look", look)


def forget_what_a_look_found(monkeypatch):
    """What is read past the transport is handed to nobody."""
    looked = Connection._looked
    monkeypatch.setattr(Connection, "_looked", lambda self, data: data or looked(self, data))


def never_open_the_gate(monkeypatch):
    """A gated connection stays closed for reading."""
    monkeypatch.setattr(Gate, "_beat", lambda _self: None)


def end_a_cut_view_properly(monkeypatch):
    """A reader that takes nothing is let go as if it had had everything."""
    view = Stream.view

    async def ends(self, encoder, outlet):
        with suppress(ConnectionError):
            await view(self, encoder, outlet)
            return
        outlet.end(b"")

    monkeypatch.setattr(ResponseOutlet, "abort", lambda _self: None)
    monkeypatch.setattr(Stream, "view", ends)


def lose_the_last_of_a_slice(monkeypatch):
    """Who is behind goes on after the slice that it read, but for its last entry."""
    write = Viewer._write

    def loses(self, batch):
        is_slice = not self._caught_up and not isinstance(batch[-1].event, Ended)
        write(self, batch[:-1] if is_slice and len(batch) > 1 else batch)
        self.cursor = batch[-1].last

    monkeypatch.setattr(Viewer, "_write", loses)


PLANTED = {
    forget_who_was_first: "I1",
    forget_the_upstream: "I7",
    keep_alive_for_ever: "I1",
    tell_before_the_log: "hang",
    wait_for_ever_for_more: "I2",
    cut_every_word: "I4",
    leave_text_out: "I4",
    end_with_the_next_keep_alive: "I2",
    end_with_the_next_sweep: "I2",
    leave_who_pulls_waiting: "I2",
    bill_the_placeholder: "I8",
    count_what_the_log_refused: "I8",
    count_one_delta_of_many: "I8",
    take_nothing_yet_for_the_end: "reason",
    forget_what_a_look_found: "reason",
    never_open_the_gate: "reason",
    end_a_cut_view_properly: "I1",
    lose_the_last_of_a_slice: "I4",
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_race_is_found(plant, monkeypatch, record_property):
    plant(monkeypatch)
    for seed in range(1, PLANTED_SEEN_WITHIN):
        found = judge(simulate(plan_of(seed, "safety")))
        found = [line for line in found if line.startswith(PLANTED[plant])]
        if found:
            record_property("figure", f"{plant.__name__}: found by seed {seed}: {found[0]}")
            return
    pytest.fail(f"not found in {PLANTED_SEEN_WITHIN} schedules")


# -- the loop itself -------------------------------------------------------------------------------


def test_time_passes_only_when_nothing_is_ready():
    loop = SimLoop(1)

    async def main():
        for _ in range(50):
            await asyncio.sleep(0)
        assert loop.time() == BEGIN_S
        await asyncio.sleep(3600)
        assert loop.time() == BEGIN_S + 3600

    run(loop, main())


def test_timers_are_rounded_up_to_a_tick_so_that_they_meet():
    loop = SimLoop(1)
    seen: list[float] = []

    async def main():
        for delay_s in (TICK_S / 9, TICK_S / 2, TICK_S):
            loop.call_later(delay_s, lambda: seen.append(loop.time()))
        await asyncio.sleep(2 * TICK_S)

    run(loop, main())
    assert seen == [BEGIN_S + TICK_S] * 3


def test_what_is_ready_runs_in_an_order_of_the_seed():
    def order(seed, *, shuffles=True):
        loop = SimLoop(seed, shuffles=shuffles)
        seen: list[int] = []

        async def main():
            for number in range(20):
                loop.call_soon(seen.append, number)
            await asyncio.sleep(1)

        run(loop, main())
        return seen

    assert order(1) == order(1) != order(2)
    assert order(1, shuffles=False) == list(range(20))


def test_waiting_for_what_cannot_come_is_a_hang_and_not_an_endless_test():
    loop = SimLoop(1)

    async def main():
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftError):
        run(loop, main())
