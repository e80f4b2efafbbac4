"""A session: scenarios in turn, subjects interleaved, rounds rotated, every run recorded.

It refuses to go on when the machine is not quiet, unless it is told that figures from a busy
machine will do; then every one of them is stamped as such.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from bench import cold, held, search
from bench.figures import rotated
from bench.load import LoadError, Plan
from bench.machine import NGINX_P50_MS_MAX, Cores
from bench.made import MissingError
from bench.measure import Run, direct, paced
from bench.processes import StartError
from bench.scenarios import Kind, Scenario
from bench.subjects import SUBJECTS, Subject

TRIES: Final = 3

Measure = Callable[[Subject, Plan, Cores], Run]
MEASURES: Final[dict[Kind, Measure]] = {
    Kind.PACED: paced,
    Kind.HELD: held.held,
    Kind.COLD: cold.cold,
}


class UnquietError(RuntimeError):
    """The machine was not quiet; the message says what was seen, and where."""


@dataclass(frozen=True)
class Terms:
    """How a session is held."""

    cores: Cores
    rounds: int
    unquiet: bool
    subjects: frozenset[str] | None = None
    seconds: float | None = None
    searches: int | None = None
    open_streams_max: int = 10_000

    def plan(self, scenario: Scenario) -> Plan:
        """The scenario's plan, as long and as large as the terms allow."""
        plan = scenario.plan
        if scenario.kind is Kind.HELD and plan.streams > self.open_streams_max:
            plan = replace(plan, streams=self.open_streams_max)
        return plan.lasting(self.seconds) if self.seconds else plan

    def chosen(self, scenario: Scenario) -> list[str]:
        """The scenario's subjects that were asked for."""
        return [it for it in scenario.subjects if self.subjects is None or it in self.subjects]


Recorded = dict[str, Any]


def play(scenario: Scenario, terms: Terms) -> Recorded:
    """All rounds of a scenario, as it is written into the results.

    Raises:
        UnquietError: a run was disturbed each time it was tried.
    """
    recorded: Recorded = {
        "title": scenario.title,
        "kind": scenario.kind,
        "streams": terms.plan(scenario).streams,
        "offered_per_s": terms.plan(scenario).offered_per_s,
        "subjects": {},
        "missing": {},
        "direct": [],
    }
    if scenario.kind is Kind.SEARCH:
        _search(scenario, terms, recorded)
        return recorded
    for number in range(min(terms.rounds, scenario.rounds_max)):
        runs = _round(scenario, terms, number, recorded["missing"])
        for name, run in runs.items():
            key = (
                recorded["direct"]
                if name == "direct"
                else recorded["subjects"].setdefault(name, [])
            )
            key.append(_as_json(run))
    return recorded


def _round(
    scenario: Scenario, terms: Terms, number: int, missing: dict[str, str]
) -> dict[str, Run]:
    """One run of everybody; again as a whole when nginx says that the machine was not quiet."""
    for _ in range(TRIES):
        runs = _once(scenario, terms, number, missing)
        witness = runs.get("nginx")
        slow = witness is not None and witness.figures.get("p50_ms", 0.0) > NGINX_P50_MS_MAX
        if not slow or terms.unquiet:
            break
        say(f"  nginx itself added over {NGINX_P50_MS_MAX} ms: once more")
    if not slow:
        return runs
    assert witness is not None
    why = f"nginx itself added {witness.figures['p50_ms']:.2f} ms (at most {NGINX_P50_MS_MAX})"
    if not terms.unquiet:
        raise UnquietError(f"{scenario.name}: {why}")
    return {name: replace(run, disturbed=(*run.disturbed, why)) for name, run in runs.items()}


def _once(scenario: Scenario, terms: Terms, number: int, missing: dict[str, str]) -> dict[str, Run]:
    measure, plan, runs = MEASURES[scenario.kind], terms.plan(scenario), {}
    if scenario.kind is Kind.PACED and plan.viewers == 1 and number == 0:
        runs["direct"] = _quietly(partial(direct, plan, terms.cores), terms, "direct")
    for name in rotated(terms.chosen(scenario), number):
        if name in missing:
            continue
        try:
            run = _quietly(partial(measure, SUBJECTS[name], plan, terms.cores), terms, name)
        except (MissingError, StartError, LoadError) as error:
            missing[name] = str(error)
            say(f"  {name}: NOT RUN: {str(error).splitlines()[0]}")
            continue
        runs[name] = run
        say(f"  {name}: {_line(run)}")
    return runs


def _quietly(measure: Callable[[], Run], terms: Terms, name: str) -> Run:
    """A run that nobody disturbed.

    Raises:
        UnquietError: there was none.
    """
    for _ in range(1 if terms.unquiet else TRIES):
        run = measure()
        if not run.disturbed:
            return run
        say(f"  {name}: disturbed: {'; '.join(run.disturbed)}")
    if not terms.unquiet:
        raise UnquietError(f"{name}: {'; '.join(run.disturbed)}")
    return run


def _search(scenario: Scenario, terms: Terms, recorded: Recorded) -> None:
    plan = terms.plan(scenario)
    hints: dict[str, int] = {}
    for number in range(min(terms.searches or terms.rounds, scenario.rounds_max)):
        for name in rotated(terms.chosen(scenario), number):
            if name in recorded["missing"]:
                continue

            def carries(streams: int, it: Subject = SUBJECTS[name]) -> Run:
                grown = search.plan_for(plan, streams)
                return _quietly(lambda: paced(it, grown, terms.cores), terms, it.name)

            try:
                found = search.capacity(carries, search.FIRST[name], hints.get(name))
            except (MissingError, StartError, LoadError) as error:
                recorded["missing"][name] = str(error)
                say(f"  {name}: NOT RUN: {str(error).splitlines()[0]}")
                continue
            hints[name] = int(found.figures["streams_per_core"])
            recorded["subjects"].setdefault(name, []).append(_as_json(found))
            say(f"  {name}: {_line(found)}")


def _as_json(run: Run) -> Recorded:
    return {
        "figures": {name: round(value, 4) for name, value in run.figures.items()},
        "failures": dict(run.failures),
        "disturbed": list(run.disturbed),
    }


_SHOWN: Final = (
    ("cpu_us_per_event", "{:.1f} us/event"),
    ("p50_ms", "p50 {:.2f}"),
    ("p99_ms", "p99 {:.1f} ms"),
    ("setup_ms_per_stream", "set-up {:.2f} ms"),
    ("rss_mb", "{:.0f} MB"),
    ("first_byte_ms", "{:.0f} ms"),
    ("streams_per_core", "{:.0f} streams"),
)


def _line(run: Run) -> str:
    said = [form.format(run.figures[name]) for name, form in _SHOWN if name in run.figures]
    failed = [f"FAILED {count} {kind}" for kind, count in run.failures.items()]
    return ", ".join([*said, *failed, *(["UNQUIET"] if run.disturbed else [])])


def say(line: str) -> None:
    """Progress, for whoever waits."""
    print(line, file=sys.stderr, flush=True)


def names_of(scenarios: Sequence[Scenario]) -> str:
    """For a message."""
    return ", ".join(scenario.name for scenario in scenarios)
