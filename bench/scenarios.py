"""What is played, and through whom: a table.

Slow peers meet ours at a load that they can carry, or as streams per core; a row of one load is
never divided by a row of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bench.load import Plan


class Kind(StrEnum):
    """How a scenario is measured."""

    PACED = "paced"
    HELD = "held"
    COLD = "cold"
    SEARCH = "search"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A load, and who carries it.

    Args:
        name: on the command line and in the results.
        title: one line for a person.
        kind: how it is measured.
        plan: what is played; for a search, all but the number of streams.
        subjects: who is measured, in the order of the first round.
        quick: whether it is part of `--quick`.
        rounds_max: more rounds say no more.
    """

    name: str
    title: str
    kind: Kind = Kind.PACED
    plan: Plan
    subjects: tuple[str, ...]
    quick: bool = False
    rounds_max: int = 99


_AT_20: Final = 50_000
_RELAYS: Final = ("self", "self-strict", "nginx")
_OURS: Final = (*_RELAYS, "bare")
_ALL_PEERS: Final = ("express", "fastapi", "litellm", "vercel")

SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="paced-fast",
            title="250 streams x 100 events/s",
            plan=Plan(streams=250, interval_us=10_000),
            subjects=(*_OURS, "haproxy", "self-text"),
            quick=True,
        ),
        Scenario(
            name="paced-many",
            title="1,000 streams x 20 events/s",
            plan=Plan(streams=1000, interval_us=_AT_20, ramp_ms=2000),
            subjects=(*_OURS, "self-at-once", "self-text", "starlette-raw"),
            quick=True,
        ),
        Scenario(
            name="paced-2000",
            title="2,000 streams x 20 events/s",
            plan=Plan(streams=2000, interval_us=_AT_20, ramp_ms=4000),
            subjects=_RELAYS,
        ),
        Scenario(
            name="burst-1",
            title="1 stream, 16 events a send, 500 sends/s",
            plan=Plan(streams=1, batch=16, interval_us=2000, ramp_ms=200),
            subjects=_RELAYS,
        ),
        Scenario(
            name="burst-64",
            title="64 streams, 16 events a send, 50 sends/s",
            plan=Plan(streams=64, batch=16, interval_us=20_000),
            subjects=_RELAYS,
        ),
        Scenario(
            name="watch8",
            title="64 streams x 8 viewers x 50 events/s",
            plan=Plan(streams=64, viewers=8, interval_us=20_000, settle_ms=1500),
            subjects=("self-watch",),
        ),
        Scenario(
            name="watch8-own",
            title="512 viewers x 50 events/s, each with its own stream",
            plan=Plan(streams=512, interval_us=20_000),
            subjects=("nginx",),
        ),
        Scenario(
            name="churn",
            title="300 viewers, streams of 60 events at 20/s, one after the other",
            plan=Plan(mode="churn", streams=300, events=60, interval_us=_AT_20, ramp_ms=3000),
            subjects=_RELAYS,
        ),
        Scenario(
            name="abort",
            title="300 streams x 20 events/s; every tenth viewer leaves",
            plan=Plan(streams=300, interval_us=_AT_20, leave_every=10),
            subjects=_RELAYS,
            rounds_max=3,
        ),
        Scenario(
            name="equal-75",
            title="75 streams x 20 events/s",
            plan=Plan(streams=75, interval_us=_AT_20),
            subjects=("self", "self-strict", "nginx", *_ALL_PEERS, "sdk-ours", "sdk-bare"),
        ),
        Scenario(
            name="equal-200",
            title="200 streams x 20 events/s",
            plan=Plan(streams=200, interval_us=_AT_20),
            subjects=("self", "self-strict", "nginx", "express"),
            quick=True,
        ),
        Scenario(
            name="idle10k",
            title="10,000 open streams, one event each",
            kind=Kind.HELD,
            plan=Plan(mode="hold", streams=10_000, events=1, ramp_ms=30_000, patience_ms=30_000),
            subjects=("self", "nginx"),
            rounds_max=1,
        ),
        Scenario(
            name="open-5000",
            title="5,000 open streams, one event each",
            kind=Kind.HELD,
            plan=Plan(mode="hold", streams=5000, events=1, ramp_ms=15_000, patience_ms=30_000),
            subjects=("self", "nginx"),
            rounds_max=2,
        ),
        Scenario(
            name="logged-5000",
            title="5,000 open streams, 100 events each",
            kind=Kind.HELD,
            plan=Plan(
                mode="hold", streams=5000, events=100, batch=20, interval_us=4_000_000,
                ramp_ms=15_000, patience_ms=60_000,
            ),
            subjects=("self", "nginx"),
            rounds_max=2,
        ),
        Scenario(
            name="cold",
            title="from exec to the first streamed byte",
            kind=Kind.COLD,
            plan=Plan(streams=1, events=20, interval_us=10_000),
            subjects=("self", "nginx", "haproxy", "express", "fastapi", "litellm"),
            quick=True,
        ),
        Scenario(
            name="capacity",
            title="most streams at 20 events/s with an added p99 under 50 ms",
            kind=Kind.SEARCH,
            plan=Plan(interval_us=_AT_20, steady_ms=3000),
            subjects=("self", "nginx", *_ALL_PEERS),
            quick=True,
            rounds_max=2,
        ),
    )
}  # fmt: skip

# `--quick` leaves out whoever takes long to install or to start.
QUICK_SUBJECTS: Final = frozenset({"self", "self-strict", "nginx", "bare", "express", "fastapi"})
QUICK_ROUNDS: Final = 3
QUICK_SECONDS: Final = 3.0
