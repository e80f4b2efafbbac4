"""Results as tables: for a terminal, and as Markdown for the page. It measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.figures import Figure, figure_of
from bench.goals import NotRunError, judge, lost_streams, ratio, values_of

Results = Mapping[str, Any]
Row = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A figure in a table: its head, its name in a run, its digits."""

    head: str
    name: str
    digits: int


COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "paced": (
        Column("CPU us/event", "cpu_us_per_event", 1),
        Column("of it kernel", "kernel_us_per_event", 1),
        Column("with set-up", "whole_us_per_event", 1),
        Column("set-up ms/stream", "setup_ms_per_stream", 2),
        Column("added p50 ms", "p50_ms", 2),
        Column("added p99 ms", "p99_ms", 1),
        Column("first byte p50 ms", "first_byte_p50_ms", 1),
    ),
    "held": (
        Column("streams", "streams", 0),
        Column("memory MB", "rss_mb", 0),
        Column("before MB", "rss_before_mb", 0),
        Column("kB/stream", "kb_per_stream", 1),
    ),
    "cold": (
        Column("first byte ms", "first_byte_ms", 0),
        Column("memory MB", "rss_mb", 0),
    ),
    "search": (
        Column("streams per core", "streams_per_core", 0),
        Column("CPU us/event there", "cpu_us_per_event", 1),
        Column("added p99 ms there", "p99_ms", 1),
    ),
}
# In place of those of the kind.
COLUMNS_OF: Final[Mapping[str, tuple[Column, ...]]] = {
    "abort": (
        Column("viewers that left", "left", 0),
        Column("upstream closed after, p50 ms", "close_p50_ms", 1),
        Column("at most ms", "close_max_ms", 1),
        Column("CPU us/event", "cpu_us_per_event", 1),
    ),
}
# A stream that comes and goes: its whole life is the figure.
WHOLE_LIFE: Final = frozenset({"churn"})


def text(results: Results) -> str:
    """For a terminal."""
    parts = [stamp(results)]
    for name, played in results["scenarios"].items():
        parts.append(f"{name}: {played['title']}\n{aligned(scenario_rows(results, name))}")
        parts += asides(results, name)
    parts.append(f"goals\n{aligned(goal_rows(results))}")
    lost = lost_streams(results)
    if lost:
        parts.append("STREAMS OF OURS WERE LOST\n" + "\n".join(lost))
    return "\n\n".join(parts)


def stamp(results: Results) -> str:
    """What was measured on what, and when; and whether to believe it."""
    it, machine = results["stamp"], results["stamp"]["machine"]
    said = (
        f"Taken {it['taken']} at {it['commit']}, {it['rounds']} rounds, on "
        f"{machine['cores']} cores of {machine['cpu']}, "
        f"Linux {machine['kernel']}, Python {machine['python']}."
    )
    notes = []
    if it["unquiet"]:
        notes.append(
            "UNQUIET: others used the machine meanwhile; no figure here is worth anything."
        )
    if not it["gating"]:
        notes.append("This version has no read gating: as started and strict are the same.")
    return " ".join([said, *notes])


def scenario_rows(results: Results, name: str) -> list[Row]:
    """The head and a row per subject; CPU also as a ratio to nginx where it took part."""
    played = results["scenarios"][name]
    columns = COLUMNS_OF.get(name) or COLUMNS[played["kind"]]
    with_ratio = played["kind"] == "paced" and "nginx" in played["subjects"]
    key = "whole_us_per_event" if name in WHOLE_LIFE else "cpu_us_per_event"
    head = ["relay", *(column.head for column in columns), *(["vs nginx"] if with_ratio else [])]
    rows: list[Row] = [tuple(head)]
    for subject in played["subjects"]:
        cells = [_cell(results, name, subject, column) for column in columns]
        if with_ratio:
            cells.append(_against_nginx(results, name, subject, key))
        rows.append((title(results, subject), *cells))
    return rows


def goal_rows(results: Results) -> list[Row]:
    """One row per goal."""
    rows: list[Row] = [("", "goal reached", "figure", "must", "goal", "measured")]
    for it in judge(results):
        goal = it.goal
        sign = ">=" if goal.is_floor else "<="
        bounds = (f"{sign} {bound:.3g}{goal.unit}" for bound in (goal.must, goal.goal))
        reached = "yes" if it.is_reached else "no"
        rows.append((it.verdict, reached, goal.title, *bounds, it.measured))
    return rows


def profile_rows(profiles: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Microseconds per stage of the chain, a column for each profile; empty without any."""
    if not profiles:
        return []
    stages = dict.fromkeys(stage for profile in profiles.values() for stage in profile)
    last = ("total", "bare")
    ordered = [*(it for it in stages if it not in last), *(it for it in last if it in stages)]
    titles = {"bare": "cutting and writing alone, for comparison", "total": "the whole chain"}
    return [
        ("stage", *profiles),
        *(
            (titles.get(it, it), *(f"{profile.get(it, 0.0):.2f}" for profile in profiles.values()))
            for it in ordered
        ),
    ]


def title(results: Results, subject: str) -> str:
    """The subject as tables call it."""
    return str(results["stamp"]["titles"].get(subject, subject))


def _cell(results: Results, scenario: str, subject: str, column: Column) -> str:
    def figure() -> Figure:
        return figure_of(values_of(results, scenario, subject, column.name))

    return _safe(lambda: figure().text(column.digits))


def _against_nginx(results: Results, scenario: str, subject: str, name: str) -> str:
    measure = ratio((scenario, subject), (scenario, "nginx"), name)
    return _safe(lambda: measure(results).text(2))


def _safe(make: Callable[[], str]) -> str:
    try:
        return make()
    except NotRunError:
        return "-"


def asides(results: Results, name: str) -> list[str]:
    """The load alone, what was not run and what was lost."""
    played, said = results["scenarios"][name], []
    if played["commit"] != results["stamp"]["commit"]:
        said.append(f"  kept from {played['taken']}, at {played['commit']}")
    if played["direct"]:
        figures = {
            key: figure_of(run["figures"][key] for run in played["direct"])
            for key in ("events_per_s", "p50_ms", "p99_ms", "load_share")
        }
        said.append(
            f"  the load alone: {figures['events_per_s'].median:,.0f} events/s of "
            f"{played['offered_per_s']:,.0f}, p50 {figures['p50_ms'].text(2)} ms, "
            f"p99 {figures['p99_ms'].text(1)} ms, its core {figures['load_share'].median:.0%} busy"
        )
    said += [
        f"  {subject}: NOT RUN: {why.partition(chr(10))[0]}"
        for subject, why in played["missing"].items()
    ]
    said += [
        f"  {title(results, subject)}: at least; the load itself is the bound"
        for subject, runs in played["subjects"].items()
        if any(run["figures"].get("at_bound") for run in runs)
    ]
    for subject, runs in played["subjects"].items():
        for number, run in enumerate(runs, start=1):
            if run["failures"]:
                said.append(f"  {subject}, round {number}: {run['failures']}")
    return ["\n".join(said)] if said else []


def aligned(rows: Sequence[Row]) -> str:
    """Columns for a terminal."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
