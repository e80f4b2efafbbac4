"""The smoke run, as CI sees it: a printed figure, and no gate on it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bench.measure import Run
from bench.smoke import line
from tests.doors import ROOT


def test_the_line_says_the_ratio_and_whether_to_believe_it():
    runs = {
        "self": [Run(figures={"cpu_us_per_event": 8.0})],
        "nginx": [Run(figures={"cpu_us_per_event": 16.0}, disturbed=("other processes",))],
    }
    assert "ratio 0.50" in line(runs)
    assert "worth nothing" in line(runs)


def test_the_line_does_without_nginx():
    said = line({"self": [Run(figures={"cpu_us_per_event": 8.0})], "nginx": []})
    assert "self 8.0 us/event" in said
    assert "ratio" not in said


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("cc") is None, reason="the load is written in C: no cc here")
def test_ours_beside_nginx(record_property):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "smoke"],
        cwd=ROOT, capture_output=True, text=True, timeout=220, check=False,
    )  # fmt: skip
    said = done.stdout.strip().splitlines()
    assert said, done.stderr
    assert said[-1].startswith("bench smoke"), done.stderr
    record_property("figure", said[-1])
