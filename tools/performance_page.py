"""The performance page: its tables and plots, from the committed results and nothing else.

Where there are no results yet, the page says so; it never holds a figure that was typed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bench import goals, report, results
from bench import plots as drawing
from bench.goals import Verdict

PERFORMANCE: Final = "docs/topics/performance.md"
PLOTS_FOLDER: Final = "docs/topics/performance"
PROFILE_NOT_TAKEN: Final = "Not taken yet: `python -m bench chain --keep-as NAME` takes a column."
NOT_TAKEN: Final = "Not taken yet: `make bench`, on a quiet machine, takes them."


def goals_markdown() -> str:
    """Every goal with its verdict."""
    found = _results()
    if found is None:
        return NOT_TAKEN
    verdicts = [it.verdict for it in goals.judge(found)]
    counts = ", ".join(f"{verdicts.count(it)} {it}" for it in Verdict if it in verdicts)
    return f"{report.stamp(found)}\n\n{counts}.\n\n{report.markdown(report.goal_rows(found))}"


def measured_markdown() -> str:
    """A table per scenario, the plots where there are some, and the versions."""
    found = _results()
    if found is None:
        return NOT_TAKEN
    parts = list(_scenarios(found))
    versions = sorted(
        {it for line in found["stamp"]["versions"].values() for it in line.split(", ")}
    )
    return "\n\n".join([*parts, f"Versions: {', '.join(versions)}."])


def profile_markdown() -> str:
    """Where the microseconds go, before and after."""
    rows = report.profile_rows(results.read_profiles())
    return report.markdown(rows) if rows else PROFILE_NOT_TAKEN


def plots() -> dict[str, str]:
    """The SVG files of the page, by their path."""
    found = _results()
    if found is None:
        return {}
    drawn = {plot.file: drawing.drawn(plot, found) for plot in drawing.PLOTS}
    return {f"{PLOTS_FOLDER}/{file}": svg for file, svg in drawn.items() if svg is not None}


def _results() -> results.Results | None:
    return results.read(results.LATEST) if results.LATEST.is_file() else None


def _scenarios(found: dict[str, Any]) -> Iterator[str]:
    files = {plot.scenario: plot for plot in drawing.PLOTS}
    drawn = plots()
    for name, played in found["scenarios"].items():
        yield f"### {name}: {played['title']}"
        plot = files.get(name)
        if plot is not None and f"{PLOTS_FOLDER}/{plot.file}" in drawn:
            yield f"![{plot.title}](performance/{plot.file})"
        yield report.markdown(report.scenario_rows(found, name))
        yield from (aside.strip() for aside in report.asides(found, name))
