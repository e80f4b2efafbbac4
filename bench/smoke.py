"""Twenty seconds: ours against nginx, as one line. It says something, it gates nothing."""

from __future__ import annotations

from typing import Final

from bench.figures import figure_of
from bench.load import Plan
from bench.machine import cores
from bench.made import MissingError
from bench.measure import Run, own_affinity, paced
from bench.subjects import SUBJECTS

PLAN: Final = Plan(streams=100, interval_us=20_000, ramp_ms=500, settle_ms=300, steady_ms=1500)
ROUNDS: Final = 2
NAMES: Final = ("self", "nginx")


def smoke() -> int:
    """Print the line; 1 if a stream did not come whole."""
    mine = cores()
    own_affinity(mine.load)
    runs: dict[str, list[Run]] = {name: [] for name in NAMES}
    for _ in range(ROUNDS):
        for name in NAMES:
            try:
                runs[name].append(paced(SUBJECTS[name], PLAN, mine))
            except MissingError as error:
                print(f"bench: {name}: {error}")
    print(line(runs))
    return 1 if any(run.failures for them in runs.values() for run in them) else 0


def line(runs: dict[str, list[Run]]) -> str:
    """What is said, with the ratio where there are both, and whether to believe it."""
    costs = {
        name: figure_of(run.figures["cpu_us_per_event"] for run in them)
        for name, them in runs.items()
        if them
    }
    said = [f"{name} {cost.text()} us/event" for name, cost in costs.items()]
    if len(costs) == len(NAMES):
        said.append(f"ratio {costs['self'].median / costs['nginx'].median:.2f}")
    if any(run.disturbed for them in runs.values() for run in them):
        said.append("on a busy machine: worth nothing")
    failures = [
        f"{name} {run.failures}" for name, them in runs.items() for run in them if run.failures
    ]
    return f"bench smoke, {PLAN.streams} x 50/s: {'; '.join([*said, *failures])}"
