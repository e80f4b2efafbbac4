"""The capacity of a core: the most streams that all come whole, with an added p99 under a bound.

Looking for it is arithmetic over yes and no; what a probe is, the caller knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from bench.load import Plan
from bench.measure import LOAD_BOUND, Run

P99_MS_MAX: Final = 50.0
# Where to begin: a good guess saves probes and changes nothing else.
FIRST: Final[Mapping[str, int]] = {
    "self": 1200, "nginx": 2000, "express": 200, "fastapi": 100, "litellm": 75, "vercel": 75,
}  # fmt: skip
# How much more is tried while nothing was too much, and after a search that gave a hint.
GROWTH: Final = 1.5
# Two probes that lie this near say the same.
NEAR: Final = 1.12
# Beyond this the load's own core is the bound.
STREAMS_MAX: Final = 3000
OPENED_PER_S: Final = 500
RAMP_MS_MIN: Final = 1500

Probe = Callable[[int], Run]


def plan_for(plan: Plan, streams: int) -> Plan:
    """The plan with so many streams, opened at one pace whoever carries them."""
    return replace(plan, streams=streams, ramp_ms=max(RAMP_MS_MIN, streams * 1000 // OPENED_PER_S))


def carried(run: Run) -> bool:
    """Whether a core carries this load."""
    return not run.failures and run.figures["p99_ms"] < P99_MS_MAX


def capacity(probe: Probe, first: int, hint: int | None = None) -> Run:
    """The run with the most streams that is carried, `streams_per_core` among its figures.

    Args:
        probe: a run with so many streams.
        first: where to begin.
        hint: where it was last time: two or three probes then suffice.
    """
    best: Run | None = None
    low, high, at_bound = 0, STREAMS_MAX + 1, False
    tried = min(hint or first, STREAMS_MAX)
    while tried:
        run = probe(tried)
        if carried(run):
            low, best = tried, run
        else:
            high = tried
            at_bound = at_bound or LOAD_BOUND in run.failures
        tried = following(low, high, growth=NEAR if hint else GROWTH)
    if best is None:
        return Run(figures={"streams_per_core": 0.0, "at_bound": 0.0}, disturbed=run.disturbed)
    found = {"streams_per_core": float(low), "at_bound": float(at_bound or low == STREAMS_MAX)}
    return Run(figures={**best.figures, **found}, disturbed=best.disturbed)


def following(low: int, high: int, *, growth: float) -> int:
    """What to try when `low` is carried and `high` is not; 0 when it is known well enough.

    Upwards by `growth` while nothing was too much, downwards by a third while nothing was little
    enough, and between two bounds by their geometric middle.
    """
    if high > STREAMS_MAX:
        return 0 if low >= STREAMS_MAX else min(max(int(low * growth), low + 1), STREAMS_MAX)
    if low == 0:
        return high * 2 // 3
    if high <= low * NEAR or high - low <= 2:
        return 0
    return round(math.sqrt(low * high))
