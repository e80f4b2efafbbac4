"""The popular advice: shown beside hangs only, and every hang there is."""

from __future__ import annotations

from finalstop.doctor.advice import ADVICE, HANGS
from finalstop.doctor.findings import KINDS


def test_the_advice_stands_beside_findings_there_are():
    assert {kind.name for kind in KINDS} >= HANGS
    assert {"open_after_terminal", "hangs_on_stall"} <= HANGS


def test_each_piece_says_what_it_cures_and_what_it_does_not():
    assert all(it.says and it.cures and it.leaves for it in ADVICE)
    assert any("finalMessage" in it.says for it in ADVICE)
    assert any(it.says.startswith("break") for it in ADVICE)
