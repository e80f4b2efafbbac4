"""Many schedules, judged: from a range of seeds to figures, and from a seed to a trace.

python -m proof.simulation --schedules 100000              both modes, half of them each
python -m proof.simulation --mode liveness --seed 7 --schedules 1 --replay
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Struct, field

from finalstop.core.endings import EndReason
from proof.ledger import Figures, ProofError
from proof.simulation.laws import judge
from proof.simulation.loop import BEGIN_S
from proof.simulation.openings import house
from proof.simulation.plan import MODES, Mode, plan_of
from proof.simulation.world import World, simulate

SCHEDULES: Final = 100_000

# Each schedule whose number is a multiple of this runs twice, and must leave the same hash.
TWICE_EVERY: Final = 50

# Handed to a process at once.
SHARE: Final = 2_000

# How many schedules leave their garbage before it is collected.
COLLECTED_EVERY: Final = 10

WRONG_SHOWN: Final = 10


class Tally(Struct):
    """What came of a range of seeds.

    Args:
        schedules: how many.
        streams: how many streams there were in them.
        reasons: how often each end reason came up.
        virtual_s: the time that passed in them.
        cpu_s: the processor time that it took, repetitions and all.
        twice: how many ran twice.
        wrong: (mode, seed, complaint).
    """

    schedules: int = 0
    streams: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    twice: int = 0
    wrong: list[tuple[Mode, int, str]] = []

    def add(self, other: Tally) -> None:
        """Add what came of another range."""
        self.schedules += other.schedules
        self.streams += other.streams
        self.reasons.update(other.reasons)
        self.virtual_s += other.virtual_s
        self.cpu_s += other.cpu_s
        self.twice += other.twice
        self.wrong += other.wrong


# The last lines of a replay.
WRONG: Final = "WRONG "
NOTHING: Final = "nothing"


def tally_of(mode: Mode, seeds: Sequence[int]) -> Tally:
    """Run the schedules of `seeds` and judge them."""
    tally = Tally()
    began_s = time.process_time()
    with house(), _collected_by_hand():
        for at in range(0, len(seeds), COLLECTED_EVERY):
            reported = [
                (seed, _run(tally, mode, seed)) for seed in seeds[at : at + COLLECTED_EVERY]
            ]
            told = [len(reports) for _, reports in reported]
            # What is lost in a cycle tells of it now: a failure that nobody asked for, a session
            # that nobody closed.
            gc.collect()
            # Whatever is left is remembered for good.
            gc.freeze()
            tally.wrong += [
                (mode, seed, f"reported: {context}")
                for (seed, reports), before in zip(reported, told, strict=True)
                for context in reports[before:]
            ]
    tally.cpu_s = time.process_time() - began_s
    return tally


def _run(tally: Tally, mode: Mode, seed: int) -> list[dict[str, Any]]:
    """Run a schedule and judge it; what the loop reported, which may become more."""
    try:
        world = simulate(plan_of(seed, mode))
        _count(tally, world)
        tally.wrong += [(mode, seed, line) for line in judge(world)]
        if seed % TWICE_EVERY == 0:
            tally.twice += 1
            if simulate(plan_of(seed, mode)).hash != world.hash:
                tally.wrong.append((mode, seed, "the same seed twice was not the same schedule"))
    except Exception as error:  # noqa: BLE001 - whatever it was, the seed shows it again
        tally.wrong.append((mode, seed, f"crashed: {error!r}"))
        return []
    return world.loop.reported


@contextmanager
def _collected_by_hand() -> Iterator[None]:
    """What is there already is not looked at again, and what comes is collected between schedules.

    Going through the modules of the process each time took a tenth of all.
    """
    gc.collect()
    gc.freeze()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        gc.unfreeze()


def _count(tally: Tally, world: World) -> None:
    tally.schedules += 1
    tally.streams += len(world.stories)
    tally.virtual_s += world.loop.time() - BEGIN_S
    for story in world.stories:
        if story.ended is not None:
            tally.reasons[story.ended.receipt.reason.value] += 1


def replay(mode: Mode, seed: int) -> Iterator[str]:
    """The plan of a seed, everything that happened, and what was wrong with it."""
    plan = plan_of(seed, mode)
    yield f"seed {seed}, {mode}: limits {plan.limits or 'as always'}, upstream {plan.upstream}"
    for number, asking in enumerate(plan.askings):
        yield f"  client {number}: {asking}"
    for wire in plan.wires:
        yield f"  upstream's wire: {wire}"
    yield f"  client: {plan.client}, fast reads that make a flow: {plan.fast_reads}"
    yield f"  a reader is behind at {plan.outlet_bytes} bytes, and caught up by {plan.slice_bytes}"
    yield f"  the upstream's descriptors can be read: {plan.has_descriptors}"
    yield f"  told to end at: {plan.drain_at_s or 'never'}"
    tally = tally_of(mode, [seed])
    world = simulate(plan)
    for at_s, what, *facts in world.loop.network.record:
        assert isinstance(at_s, float)
        yield f"{at_s - BEGIN_S:9.4f}  {what:10} {' '.join(map(str, facts))}"
    yield f"hash {world.hash}"
    again = simulate(plan_of(seed, mode)).hash
    wrong = [line for _, _, line in tally.wrong]
    wrong += [] if again == world.hash else [f"the second time its hash was {again}"]
    yield from (f"{WRONG}{line}" for line in wrong or [NOTHING])


def command_of(mode: Mode, seed: int) -> str:
    """What a person types to see one schedule again."""
    return f"python -m proof.simulation --mode {mode} --seed {seed} --replay"


def main(argv: Sequence[str]) -> Figures:
    """Run schedules on all processors; return the figures.

    Raises:
        ProofError: something was wrong; the message names a command that shows it.
    """
    options = _options(argv)
    if options.replay:
        lines = list(replay(options.mode or "safety", options.seed))
        print("\n".join(lines))
        if lines[-1] != f"{WRONG}{NOTHING}":
            raise ProofError(lines[-1])
        return {}
    modes = [options.mode] if options.mode else list(MODES)
    each = -(-options.schedules // len(modes))
    began_s = time.perf_counter()
    tally = _in_processes(modes, options.seed, each, options.jobs)
    check(tally)
    return figures_of(tally, time.perf_counter() - began_s)


def check(tally: Tally) -> None:
    """Complain of what was wrong.

    Raises:
        ProofError: with the commands that show it.
    """
    if not tally.wrong:
        return
    shown = [f"\n  {line}\n    {command_of(m, n)}" for m, n, line in tally.wrong[:WRONG_SHOWN]]
    raise ProofError(f"{len(tally.wrong)} complaints:{''.join(shown)}")


def figures_of(tally: Tally, real_s: float) -> Figures:
    """The figures of a tally."""
    possible = [reason.value for reason in EndReason]
    return {
        "schedules": tally.schedules,
        "streams": tally.streams,
        "violations": len(tally.wrong),
        "schedules run twice, with the same hash": tally.twice,
        "schedules per CPU second": round((tally.schedules + tally.twice) / tally.cpu_s, 1),
        "virtual seconds": round(tally.virtual_s),
        "virtual seconds per second of real time": round(tally.virtual_s / real_s),
        "ends": [
            {"reason": reason, "streams": tally.reasons[reason]}
            for reason in sorted(possible, key=lambda reason: -tally.reasons[reason])
        ],
    }


def _in_processes(modes: Sequence[Mode], first: int, each: int, jobs: int) -> Tally:
    shares = [
        (mode, range(at, min(at + SHARE, first + each)))
        for at in range(first, first + each, SHARE)
        for mode in modes
    ]
    total = Tally()
    if jobs == 1:
        for mode, seeds in shares:
            total.add(tally_of(mode, seeds))
        return total
    with ProcessPoolExecutor(jobs) as pool:
        for tally in pool.map(tally_of, *zip(*shares, strict=True)):
            total.add(tally)
    return total


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--seed", type=int, default=1, help="the first, or the one to replay")
    parser.add_argument("--mode", choices=MODES, help="both, if none is named")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--replay", action="store_true", help="one seed, with its whole trace")
    return parser.parse_args(argv)
