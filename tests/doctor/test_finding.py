"""The shapes of findings: levels in their order, cures with something behind them."""

from __future__ import annotations

from finalstop.doctor.finding import Cure, Level
from finalstop.doctor.findings import KINDS


def test_the_levels_are_in_the_order_of_the_report():
    assert [str(it) for it in Level] == ["problem", "warning", "note"]


def test_every_cure_cures_something():
    assert {kind.cure for kind in KINDS} == set(Cure)


def test_what_needs_the_simulator_and_a_good_answer_says_so():
    gated = {kind.name for kind in KINDS if kind.gated}
    assert gated < {kind.name for kind in KINDS if kind.simulated}
    assert "process_dies" not in gated
