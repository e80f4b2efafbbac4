"""One run: a subject or the load alone, under a plan, as figures.

A figure counts only when every stream came whole and the machine was quiet; both are recorded
beside it, and whoever reports decides.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from bench.load import Load, Plan, loading, request
from bench.machine import LOAD_SHARE_MAX, Cores, Shares, Spent, disturbances, shares, spent
from bench.processes import Cpu, Tree
from bench.subjects import Subject

WARM_S: Final = 30.0
SETTLED_S: Final = 0.3
MB: Final = 1 << 20
# What the origin and the viewers say of a stream that came out as it should.
GOOD: Final = frozenset({"complete", "left"})
# The load was the bottleneck: no stream is lost, but no figure counts.
LOAD_BOUND: Final = "load_bound"
_MARKS: Final = ("start", "steady", "steady_over")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The figures of one run.

    Args:
        figures: by name; the name carries the unit.
        failures: streams that did not come out whole, by kind.
        disturbed: why the figures cannot be trusted; empty when they can.
    """

    figures: Mapping[str, float]
    failures: Mapping[str, int] = field(default_factory=dict)
    disturbed: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether every stream came whole, on a quiet machine."""
        return not self.failures and not self.disturbed


@dataclass(frozen=True)
class _Mark:
    """What the load told at an instant, and the counters at that instant."""

    told: Mapping[str, Any]
    cpu: Cpu
    spent: Spent
    runner_s: float


def paced(subject: Subject, plan: Plan, cores: Cores) -> Run:
    """Run a plan with a steady part, or a churning one, through a fresh subject."""
    with (
        loading(plan, core=cores.load, path=subject.path, end=subject.end) as load,
        subject.started(load.port, core=cores.relay) as (tree, port),
    ):
        warm(port, subject.path)
        time_to_settle()
        load.go(port)
        begun, steady, steady_over = (_mark(load, at, tree) for at in _MARKS)
        done = load.hear("done")
        whole = tree.cpu() - begun.cpu
    return _run(plan, steady, steady_over, done, whole)


def direct(plan: Plan, cores: Cores) -> Run:
    """The load against itself: what it can offer, and what it adds, when no relay is between."""
    with loading(plan, core=cores.load) as load:
        load.go_direct()
        _, steady, steady_over = (_mark(load, at, None) for at in _MARKS)
        done = load.hear("done")
    return _run(plan, steady, steady_over, done, Cpu(0, 0))


def warm(port: int, path: str) -> None:
    """Have a fresh subject serve the beginning of one stream, then leave it."""
    with socket.create_connection(("127.0.0.1", port), WARM_S) as sock:
        sock.sendall(request(port, path))
        got = b""
        with suppress(TimeoutError):
            while b"@" not in got and (more := sock.recv(65536)):
                got += more


def time_to_settle() -> None:
    """Let a closed warm-up stream be cleaned up before anything is counted."""
    threading.Event().wait(SETTLED_S)


def _mark(load: Load, at: str, tree: Tree | None) -> _Mark:
    told = load.hear(at)
    cpu = tree.cpu() if tree else Cpu(0, 0)
    mine = {os.getpid(), load.pid, *(tree.pids if tree else [])}
    return _Mark(told, cpu, spent(mine), time.process_time())


def _run(plan: Plan, before: _Mark, after: _Mark, done: Mapping[str, Any], whole: Cpu) -> Run:
    seen = _shares(before, after)
    return Run(
        figures={
            **_cost(plan, before, after, done, whole),
            **_delays(done),
            "relay_share": seen.relay,
            "load_share": seen.load,
            "others_share": seen.others,
            "unseen_share": seen.unseen,
            "stolen_share": seen.stolen,
            # The warm-up is not of the plan.
            "upstream_calls": done["origin"]["streams"] - (1 if whole.total_ns else 0),
            "lateness_p99_ms": done["origin"]["lateness"]["p99_ms"],
        },
        failures=_failures(done, seen),
        disturbed=tuple(disturbances(seen)),
    )


def _shares(before: _Mark, after: _Mark) -> Shares:
    return shares(
        before.spent,
        after.spent,
        relay_s=(after.cpu - before.cpu).total_ns / 1e9,
        load_s=(after.told["own_cpu_ns"] - before.told["own_cpu_ns"]) / 1e9,
        runner_s=after.runner_s - before.runner_s,
    )


def _cost(
    plan: Plan, before: _Mark, after: _Mark, done: Mapping[str, Any], whole: Cpu
) -> dict[str, float]:
    """CPU per event delivered in the steady part, per event of the whole, and per stream.

    Set-up is what the whole cost beyond its events at the steady price.
    """
    events = max(after.told["events"] - before.told["events"], 1)
    wall_s = (after.told["now_ns"] - before.told["now_ns"]) / 1e9
    steady = after.cpu - before.cpu
    steady_us = steady.total_ns / 1000 / events
    streams = max(sum(done["results"].values()) / plan.viewers, 1)
    whole_us = whole.total_ns / 1000
    return {
        "cpu_us_per_event": steady_us,
        "kernel_us_per_event": steady.kernel_ns / 1000 / events,
        "whole_us_per_event": whole_us / max(done["events"], 1),
        "setup_ms_per_stream": max(whole_us - steady_us * done["events"], 0.0) / 1000 / streams,
        "whole_ms_per_stream": whole_us / 1000 / streams,
        "events_per_s": events / wall_s,
        "streams": streams,
    }


def _delays(done: Mapping[str, Any]) -> dict[str, float]:
    steady, first, origin = done["delay_steady"], done["first_byte"], done["origin"]
    return {
        "left": origin["leavers"],
        "close_p50_ms": origin["close_delay"]["p50_ms"],
        "close_max_ms": origin["close_delay"]["max_ms"],
        "p50_ms": steady["p50_ms"],
        "p99_ms": steady["p99_ms"],
        "p999_ms": steady["p999_ms"],
        "first_byte_p50_ms": first["p50_ms"],
        "first_byte_p99_ms": first["p99_ms"],
    }


def _failures(done: Mapping[str, Any], seen: Shares) -> dict[str, int]:
    found = {kind: count for kind, count in done["results"].items() if count and kind not in GOOD}
    if "status" in found:
        found[f"status {done['bad_status']}"] = found.pop("status")
    origin = done["origin"]
    unseen = origin["leavers"] - origin["closes_seen"]
    if unseen > 0:
        found["close_unseen"] = unseen
    if seen.load > LOAD_SHARE_MAX:
        found[LOAD_BOUND] = 1
    return found


def own_affinity(core: int) -> None:
    """Keep the runner off the relay's core."""
    os.sched_setaffinity(0, {core})
