"""Tables and plots say what the results say."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from bench.plots import PLOTS, drawn
from bench.report import goal_rows, markdown, profile_rows, scenario_rows, stamp, text
from tests.bench.made_up import played, results, run

FIGURES: dict[str, Any] = {
    "cpu_us_per_event": 8.0, "kernel_us_per_event": 6.0, "whole_us_per_event": 9.0,
    "setup_ms_per_stream": 0.3, "p50_ms": 11.8, "p99_ms": 29.4,
}  # fmt: skip
BESIDE = {**FIGURES, "cpu_us_per_event": 16.0}
TAKEN = results(
    paced_fast=played(self=[run(**FIGURES), run(**FIGURES)], nginx=[run(**BESIDE), run(**BESIDE)])
)


def test_a_row_has_the_figures_and_the_ratio_to_nginx():
    head, ours, nginx = scenario_rows(TAKEN, "paced-fast")
    assert head[-1] == "vs nginx"
    assert ours[:2] == ("ours, as started", "8.0 (8.0..8.0)")
    assert ours[-1] == "0.50 (0.50..0.50)"
    assert nginx[-1] == "1.00 (1.00..1.00)"


def test_a_figure_whose_streams_failed_is_not_shown():
    broken = results(paced_fast=played(self=[run(failures={"cut": 2}, **FIGURES)]))
    assert set(scenario_rows(broken, "paced-fast")[1][1:]) == {"-"}
    assert "{'cut': 2}" in text(broken)
    assert "STREAMS OF OURS WERE LOST" in text(broken)


def test_a_capacity_that_the_load_bounds_is_at_least_that():
    found: dict[str, Any] = {"streams_per_core": 2500.0, "cpu_us_per_event": 9.0, "p99_ms": 40.0}
    bounded = results(capacity=played(self=[run(at_bound=1.0, **found)]))
    free = results(capacity=played(self=[run(at_bound=0.0, **found)]))
    assert "at least; the load itself is the bound" in text(bounded)
    assert "at least" not in text(free)


def test_unquiet_figures_are_stamped_as_worthless():
    assert "UNQUIET" not in stamp(TAKEN)
    unquiet = {**TAKEN, "stamp": {**TAKEN["stamp"], "unquiet": True}}
    assert "UNQUIET" in stamp(unquiet)


def test_every_goal_has_a_row():
    rows = goal_rows(TAKEN)
    assert rows[1][:2] == ("PASS", "yes")
    assert all(row[0] == "NOT RUN" for row in rows[2:])
    table = markdown(rows)
    assert table.count("\n") == len(rows)


def test_the_profiles_stand_side_by_side_with_the_whole_last():
    rows = profile_rows({"before": {"total": 3.0, "parser": 2.0}, "after": {"total": 1.0}})
    assert rows[0] == ("stage", "before", "after")
    assert rows[1] == ("parser", "2.00", "0.00")
    assert rows[-1] == ("the whole chain", "3.00", "1.00")
    assert profile_rows({}) == []


def test_a_plot_has_a_bar_and_a_figure_for_everybody():
    svg = drawn(PLOTS[0], TAKEN)
    assert svg is not None
    root = ET.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{name}rect")]
    assert widths[1] == 2 * widths[0]
    assert [it.text for it in root.iter(f"{name}text")][1:3] == ["ours, as started", "8.0"]
    assert drawn(PLOTS[1], TAKEN) is None
