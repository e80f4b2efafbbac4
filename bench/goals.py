"""The goals, judged: a must and a goal for each figure, PASS or FAIL by what was measured.

A ratio is taken round by round, between runs of the same minutes, and then the median: never
between figures of two loads or two sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bench.figures import Figure, figure_of

Results = Mapping[str, Any]


class Verdict(StrEnum):
    """PASS: the must is kept."""

    PASS = "PASS"  # noqa: S105 - a verdict, no word to pass with
    FAIL = "FAIL"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A figure that was promised.

    Args:
        title: what it is.
        must: the worst that will do.
        goal: what is wished for.
        measure: the figure, from results; raises `NotRunError`.
        unit: behind the figure.
        is_floor: whether more is better.
        beside: what is printed beside it.
        also: what else has to hold, as complaints.
    """

    title: str
    must: float
    goal: float
    measure: Callable[[Results], Figure]
    unit: str = "x"
    digits: int = 2
    is_floor: bool = False
    beside: Callable[[Results], str] = lambda _: ""
    also: Callable[[Results], list[str]] = lambda _: []

    def reaches(self, figure: Figure, bound: float) -> bool:
        """Whether the median keeps a bound."""
        return figure.median >= bound if self.is_floor else figure.median <= bound


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A goal with its verdict. `measured` says why when it was not run."""

    goal: Goal
    verdict: Verdict
    is_reached: bool
    measured: str


class NotRunError(LookupError):
    """The runs that a figure needs are not there; the message says which."""


# --- figures from results --------------------------------------------------------------------


def runs_of(results: Results, scenario: str, subject: str) -> list[Mapping[str, Any]]:
    """The rounds of a subject.

    Raises:
        NotRunError: there are none.
    """
    played = results["scenarios"].get(scenario)
    if played is None:
        raise NotRunError(f"{scenario} was not played")
    runs: list[Mapping[str, Any]] = played["subjects"].get(subject, [])
    if not runs:
        why = played["missing"].get(subject, "it was not asked for").partition("\n")[0]
        raise NotRunError(f"{subject} in {scenario}: {why}")
    return runs


def values_of(results: Results, scenario: str, subject: str, name: str) -> list[float]:
    """A figure in every round; a round whose streams failed does not count.

    Raises:
        NotRunError: no round gave it.
    """
    sound = [run for run in runs_of(results, scenario, subject) if not run["failures"]]
    found = [run["figures"][name] for run in sound if name in run["figures"]]
    if not found:
        raise NotRunError(f"{subject} in {scenario}: no round came whole")
    return found


def of(scenario: str, subject: str, name: str) -> Callable[[Results], Figure]:
    """The measure that is one figure."""
    return lambda results: figure_of(values_of(results, scenario, subject, name))


def ratio(
    ours: tuple[str, str], theirs: tuple[str, str], name: str, *, minus: float = 0.0
) -> Callable[[Results], Figure]:
    """The measure that is a ratio, round by round."""

    def measure(results: Results) -> Figure:
        rounds = zip(runs_of(results, *ours), runs_of(results, *theirs), strict=False)
        sound = [(a, b) for a, b in rounds if not a["failures"] and not b["failures"]]
        pairs = [
            (a["figures"][name], b["figures"][name]) for a, b in sound if b["figures"].get(name)
        ]
        if not pairs:
            raise NotRunError(f"{ours[1]} and {theirs[1]}: no round in which both came whole")
        return figure_of(a / b - minus for a, b in pairs)

    return measure


def _delay(scenario: str, subject: str) -> Callable[[Results], str]:
    def beside(results: Results) -> str:
        p50, p99 = (of(scenario, subject, name)(results) for name in ("p50_ms", "p99_ms"))
        return f"added p50 {p50.median:.1f} ms, p99 {p99.median:.1f} ms"

    return beside


def _p99_at_most(scenario: str, subject: str, most_ms: float) -> Callable[[Results], list[str]]:
    def also(results: Results) -> list[str]:
        p99 = of(scenario, subject, "p99_ms")(results).median
        return [f"added p99 {p99:.1f} ms, at most {most_ms:g}"] if p99 > most_ms else []

    return also


def _one_call_each(results: Results) -> list[str]:
    calls = max(values_of(results, "watch8", "self-watch", "upstream_calls"))
    wanted = results["scenarios"]["watch8"]["streams"]
    return [] if calls == wanted else [f"{calls:g} upstream calls, exactly {wanted}"]


def _at_bound(results: Results) -> str:
    bounds = values_of(results, "capacity", "self", "at_bound")
    return "at least: the load itself is the bound" if any(bounds) else ""


def _capacity(peer: str) -> Callable[[Results], Figure]:
    return ratio(("capacity", "self"), ("capacity", peer), "streams_per_core")


def _cpu(
    ours: str, theirs: str, scenario: str, *, minus: float = 0.0
) -> Callable[[Results], Figure]:
    return ratio((scenario, ours), (scenario, theirs), "cpu_us_per_event", minus=minus)


GOALS: Final[tuple[Goal, ...]] = (
    Goal(
        title="headline: CPU per event against nginx, 250 x 100/s, as started",
        must=0.65, goal=0.50, measure=_cpu("self", "nginx", "paced-fast"),
        beside=_delay("paced-fast", "self"), also=_p99_at_most("paced-fast", "self", 30.0),
    ),
    Goal(
        title="strict: CPU per event against nginx, 1,000 x 20/s",
        must=1.25, goal=1.10, measure=_cpu("self-strict", "nginx", "paced-many"),
        beside=_delay("paced-many", "self-strict"),
        also=_p99_at_most("paced-many", "self-strict", 5.0),
    ),
    Goal(
        title="strict: CPU per event against nginx, 2,000 x 20/s",
        must=1.25, goal=1.10, measure=_cpu("self-strict", "nginx", "paced-2000"),
        beside=_delay("paced-2000", "self-strict"),
        also=_p99_at_most("paced-2000", "self-strict", 5.0),
    ),
    Goal(
        title="streams per core against Express + SDK",
        must=6, goal=10, is_floor=True, digits=1, measure=_capacity("express"), beside=_at_bound,
    ),
    Goal(
        title="CPU per event against Express + SDK at equal load, 200 x 20/s",
        must=1 / 3, goal=1 / 4, measure=_cpu("self", "express", "equal-200"),
    ),
    Goal(
        title="streams per core against FastAPI + SDK",
        must=20, goal=25, is_floor=True, digits=1, measure=_capacity("fastapi"), beside=_at_bound,
    ),
    Goal(
        title="streams per core against LiteLLM /v1/messages",
        must=26, goal=40, is_floor=True, digits=1, measure=_capacity("litellm"), beside=_at_bound,
    ),
    Goal(
        title="conversion to text: CPU per event against nginx, 1,000 x 20/s, strict",
        must=1.40, goal=1.20, measure=_cpu("self-text", "nginx", "paced-many"),
    ),
    Goal(
        title="memory of 5,000 open streams",
        must=130, goal=75, unit=" MB", digits=0, measure=of("open-5000", "self", "rss_mb"),
    ),
    Goal(
        title="memory of 5,000 open streams with 100 events logged each",
        must=250, goal=200, unit=" MB", digits=0, measure=of("logged-5000", "self", "rss_mb"),
    ),
    Goal(
        title="8 viewers of one stream: CPU per delivered event against nginx",
        must=0.60, goal=0.50,
        measure=ratio(("watch8", "self-watch"), ("watch8-own", "nginx"), "cpu_us_per_event"),
        also=_one_call_each,
    ),
    Goal(
        title="CPU to set a stream up, 1,000 x 20/s",
        must=0.6, goal=0.3, unit=" ms", measure=of("paced-many", "self", "setup_ms_per_stream"),
    ),
    Goal(
        title="exec to first streamed byte",
        must=500, goal=300, unit=" ms", digits=0, measure=of("cold", "self", "first_byte_ms"),
    ),
    Goal(
        title="price of the guarantees over our bare pass-through, 1,000 x 20/s",
        must=0.15, goal=0.08, unit="", measure=_cpu("self-strict", "bare", "paced-many", minus=1),
    ),
    Goal(
        title="the library: Starlette with a raw source against nginx, 1,000 x 20/s",
        must=3.0, goal=2.3, measure=_cpu("starlette-raw", "nginx", "paced-many"),
    ),
    Goal(
        title="the library: with the SDK's stream against the SDK's own loop, 75 x 20/s",
        must=1.10, goal=1.03, measure=_cpu("sdk-ours", "sdk-bare", "equal-75"),
    ),
)  # fmt: skip


def judged(goal: Goal, results: Results) -> Judged:
    """The verdict on one goal."""
    try:
        figure = goal.measure(results)
        complaints, beside = goal.also(results), goal.beside(results)
    except NotRunError as error:
        return Judged(goal=goal, verdict=Verdict.NOT_RUN, is_reached=False, measured=str(error))
    passed = goal.reaches(figure, goal.must) and not complaints
    said = [f"{figure.text(goal.digits)}{goal.unit}", *filter(None, [beside]), *complaints]
    return Judged(
        goal=goal,
        verdict=Verdict.PASS if passed else Verdict.FAIL,
        is_reached=passed and goal.reaches(figure, goal.goal),
        measured="; ".join(said),
    )


def judge(results: Results) -> list[Judged]:
    """Every goal, in the order of the table."""
    return [judged(goal, results) for goal in GOALS]


def lost_streams(results: Results) -> list[str]:
    """Streams of ours that did not come out whole: no figure excuses them."""
    return [
        f"{scenario}: {subject}: {count} {kind}"
        for scenario, played in results["scenarios"].items()
        if played["kind"] != "search"
        for subject, runs in played["subjects"].items()
        if subject.startswith("self")
        for run in runs
        for kind, count in run["failures"].items()
        if kind != "load_bound"
    ]
