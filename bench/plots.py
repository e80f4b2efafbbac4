"""Plots of the results as small SVG files: bars with the span of the rounds. It measures nothing.

They are drawn for light and dark pages alike, and every bar says its figure, so that nothing has
to be read off an axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from bench.figures import Figure, figure_of
from bench.goals import NotRunError, values_of
from bench.report import title

Results = Mapping[str, Any]

LABEL_PX: Final = 300
BARS_PX: Final = 360
FIGURE_PX: Final = 130
ROW_PX: Final = 26
BAR_PX: Final = 16
HEAD_PX: Final = 44
OURS: Final = "#2f6fdb"
THEIRS: Final = "#8a94a3"
INK: Final = "#7a828e"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of one scenario, a bar per subject; less is better unless said otherwise."""

    file: str
    title: str
    scenario: str
    figure: str
    digits: int


PLOTS: Final = (
    Plot(
        file="cpu-paced-fast.svg", title="CPU microseconds per event, 250 x 100/s (less is better)",
        scenario="paced-fast", figure="cpu_us_per_event", digits=1,
    ),
    Plot(
        file="cpu-paced-many.svg",
        title="CPU microseconds per event, 1,000 x 20/s (less is better)",
        scenario="paced-many", figure="cpu_us_per_event", digits=1,
    ),
    Plot(
        file="cpu-equal-75.svg", title="CPU microseconds per event, 75 x 20/s (less is better)",
        scenario="equal-75", figure="cpu_us_per_event", digits=0,
    ),
    Plot(
        file="capacity.svg", title="streams per core at 20 events/s, p99 < 50 ms (more is better)",
        scenario="capacity", figure="streams_per_core", digits=0,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A row of a plot."""

    label: str
    figure: Figure
    is_ours: bool


def drawn(plot: Plot, results: Results) -> str | None:
    """The plot as SVG; None when the results do not hold it."""
    played = results["scenarios"].get(plot.scenario)
    if played is None:
        return None
    bars = []
    for subject in played["subjects"]:
        try:
            figure = figure_of(values_of(results, plot.scenario, subject, plot.figure))
        except NotRunError:
            continue
        bars.append(Bar(title(results, subject), figure, subject.startswith(("self", "bare"))))
    return svg(plot.title, bars, plot.digits) if bars else None


def svg(heading: str, bars: Sequence[Bar], digits: int) -> str:
    """Bars under a heading, in the order given."""
    most = max(bar.figure.most for bar in bars) or 1.0
    width, height = LABEL_PX + BARS_PX + FIGURE_PX, HEAD_PX + ROW_PX * len(bars)
    rows = "\n".join(
        _row(bar, HEAD_PX + ROW_PX * number, BARS_PX / most, digits)
        for number, bar in enumerate(bars)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13" '
        f'role="img" aria-label="{escape(heading)}">\n'
        f'<text x="0" y="20" font-weight="bold" fill="{INK}">{escape(heading)}</text>\n'
        f"{rows}\n</svg>\n"
    )


def _row(bar: Bar, top: int, px_per_unit: float, digits: int) -> str:
    middle, end = top + ROW_PX / 2, LABEL_PX + bar.figure.median * px_per_unit
    least, most = (LABEL_PX + it * px_per_unit for it in (bar.figure.least, bar.figure.most))
    said = f"{bar.figure.median:,.{digits}f}"
    return (
        f'<text x="{LABEL_PX - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="{INK}">'
        f"{escape(bar.label)}</text>"
        f'<rect x="{LABEL_PX}" y="{middle - BAR_PX / 2:.1f}" width="{end - LABEL_PX:.1f}" '
        f'height="{BAR_PX}" fill="{OURS if bar.is_ours else THEIRS}"/>'
        f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" '
        f'stroke="{INK}" stroke-width="2"/>'
        f'<text x="{max(end, most) + 6:.1f}" y="{middle + 4:.1f}" fill="{INK}">{said}</text>'
    )
