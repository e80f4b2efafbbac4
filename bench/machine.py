"""The machine: which core is whose, what it is, and whether anybody else is using it.

A relay that shares its core batches, and its cost per event falls: figures from a busy machine
are worthless, and they err in both directions.
"""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import everybody_else, network_ns

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

# Of one core. What is always there (a shell, an agent, timers of the system) takes under 3 %.
OTHERS_SHARE_MAX: Final = 0.06
# The rest of what the system counts: who came and went between two looks. Where it counts by ticks
# only, its count is off by some percent.
UNSEEN_SHARE_MAX: Final = 0.15
# The scheduler's account of all processes, where the system has control groups of the first kind.
EXACT: Final = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")
# What the hypervisor takes from us is somebody else's, too.
STOLEN_SHARE_MAX: Final = 0.02
# The load's own core: over this it cannot say how late an event came.
LOAD_SHARE_MAX: Final = 0.90
# nginx on a quiet machine is far below; a loaded machine shows first in what nginx adds.
NGINX_P50_MS_MAX: Final = 0.5


@dataclass(frozen=True)
class Cores:
    """The relay has a core to itself; the load and the runner share another."""

    relay: int
    load: int


def cores() -> Cores:
    """The last core this process may use for the relay, the first for the load.

    Raises:
        RuntimeError: there are fewer than two.
    """
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise RuntimeError("the benchmark needs two cores: one for the relay, one for the load")
    return Cores(relay=mine[-1], load=mine[0])


@dataclass(frozen=True)
class Spent:
    """What all cores together have done up to now, in seconds."""

    at_s: float
    busy_s: float
    network_s: float
    stolen_s: float
    others_ns: Mapping[int, int]


def _exactly_busy_s(account: Path) -> float | None:
    """What all processes have used, by the scheduler's own account; None where there is none.

    Ticks fall in with a load that has a rhythm: with 64 streams that send 50 times a second they
    counted 12 to 22 % of a core that nobody had used.
    """
    try:
        return int(account.read_text("utf-8")) / 1e9
    except (OSError, ValueError):
        return None


def spent(mine: Container[int]) -> Spent:
    """Read the counters of the system.

    Args:
        mine: the processes that are ours.
    """
    line = Path("/proc/stat").read_text("utf-8").partition("\n")[0]
    user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, line.split()[1:9])
    ticked_s = (user + nice + system + irq + softirq) / TICKS_PER_S
    exact_s = _exactly_busy_s(EXACT)
    return Spent(
        at_s=time.monotonic(),
        busy_s=ticked_s if exact_s is None else exact_s,
        network_s=network_ns() / 1e9,
        stolen_s=stolen / TICKS_PER_S,
        others_ns=everybody_else(mine),
    )


@dataclass(frozen=True)
class Shares:
    """Who used the machine in a stretch of time, each as a share of one core."""

    relay: float
    load: float
    others: float
    unseen: float
    stolen: float


def shares(
    before: Spent, after: Spent, *, relay_s: float, load_s: float, runner_s: float
) -> Shares:
    """What was used between two readings, given what our own processes used."""
    wall_s = max(after.at_s - before.at_s, 1e-9)
    # Who was born meanwhile counts from its birth.
    others_ns = sum(ns - before.others_ns.get(pid, 0) for pid, ns in after.others_ns.items())
    known_s = relay_s + load_s + runner_s + others_ns / 1e9 + after.network_s - before.network_s
    rest_s = after.busy_s - before.busy_s - known_s
    return Shares(
        relay=relay_s / wall_s,
        load=load_s / wall_s,
        others=others_ns / 1e9 / wall_s,
        unseen=max(rest_s, 0.0) / wall_s,
        stolen=(after.stolen_s - before.stolen_s) / wall_s,
    )


def disturbances(seen: Shares) -> list[str]:
    """Why a stretch of time cannot be trusted; empty when it can."""
    return [
        f"{what} {share:.0%} of a core (at most {most:.0%})"
        for what, share, most in (
            ("other processes used", seen.others, OTHERS_SHARE_MAX),
            ("processes that came and went used", seen.unseen, UNSEEN_SHARE_MAX),
            ("the hypervisor took", seen.stolen, STOLEN_SHARE_MAX),
        )
        if share > most
    ]


def noise(over_s: float) -> list[str]:
    """Watch the machine while we do nothing; why it is not quiet, or nothing."""
    mine = {os.getpid()}
    before, runner_s = spent(mine), time.process_time()
    threading.Event().wait(over_s)
    after, runner_s = spent(mine), time.process_time() - runner_s
    return disturbances(shares(before, after, relay_s=0.0, load_s=0.0, runner_s=runner_s))


def raise_file_limit() -> int:
    """Allow this process and its children as many open files as may be; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (65536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (OSError, ValueError):
            continue
        return wanted
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def description() -> dict[str, str | int]:
    """What the figures were taken on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "memory_mb": _memory_mb(),
    }


def _memory_mb() -> int:
    lines: Sequence[str] = Path("/proc/meminfo").read_text("utf-8").splitlines()
    return int(lines[0].split()[1]) // 1024
