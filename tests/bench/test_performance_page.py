from __future__ import annotations

from typing import Any

from bench import results
from bench.made import ROOT
from tests.bench.made_up import played, run
from tests.bench.made_up import results as made_up
from tools import performance_page
from tools.performance_page import NOT_TAKEN, PROFILE_NOT_TAKEN

FIGURES: dict[str, Any] = {
    "cpu_us_per_event": 8.0, "kernel_us_per_event": 6.0, "whole_us_per_event": 9.0,
    "setup_ms_per_stream": 0.3, "p50_ms": 11.8, "p99_ms": 29.4,
}  # fmt: skip


def test_without_results_the_page_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "LATEST", tmp_path / "none.json")
    monkeypatch.setattr(results, "PROFILES", tmp_path / "none.json")
    assert performance_page.goals_markdown() == NOT_TAKEN
    assert performance_page.measured_markdown() == NOT_TAKEN
    assert performance_page.profile_markdown() == PROFILE_NOT_TAKEN
    assert performance_page.plots() == {}


def test_with_results_it_has_the_verdicts_the_tables_and_the_plots(monkeypatch, tmp_path):
    path = tmp_path / "latest.json"
    them = played(self=[run(**FIGURES)], nginx=[run(**{**FIGURES, "cpu_us_per_event": 16.0})])
    results.write(path, made_up(paced_fast=them))
    monkeypatch.setattr(results, "LATEST", path)
    assert "1 PASS, 15 NOT RUN" in performance_page.goals_markdown()
    measured = performance_page.measured_markdown()
    assert "### paced-fast: made up" in measured
    assert "(performance/cpu-paced-fast.svg)" in measured
    assert "Versions: nginx 1." in measured
    assert list(performance_page.plots()) == ["docs/topics/performance/cpu-paced-fast.svg"]


def test_committed_results_were_taken_on_a_quiet_machine():
    if results.LATEST.is_file():
        assert not results.read(results.LATEST)["stamp"]["unquiet"]
    assert (ROOT / performance_page.PERFORMANCE).is_file()
