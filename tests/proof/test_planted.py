"""Five of the planted bugs, and the planter itself: what is stale or loose is told.

`make prove ARGS=planted` plants all of them.
"""

from __future__ import annotations

import dataclasses

import pytest

from proof.ledger import ProofError
from proof.planted.plant import named, plant, stale
from proof.planted.planting import Planting
from proof.planted.table import PLANTINGS

SHORT = [
    "swallow the end of the body",
    "arm the idle timer late",
    "append after the seal",
    "forge message_stop for a stream that failed",
    "end a stream in the middle of a dispatch",
]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_planted_bug_is_caught(record_property):
    catches = plant(named(SHORT))
    assert [catch.planting.name for catch in catches] == SHORT
    assert all(catch.test for catch in catches)
    record_property("figure", f"planted bugs caught: {len(catches)} of {len(SHORT)}")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_change_that_no_test_sees_is_told():
    harmless = Planting(
        "a harmless one",
        "core/timers.py",
        "since = clocks.opened_at if clocks.written_at is None else clocks.written_at",
        "since = clocks.written_at if clocks.written_at is not None else clocks.opened_at",
        ("tests/core/test_timers.py",),
    )
    with pytest.raises(ProofError, match="not caught: a harmless one"):
        plant([harmless])


def test_no_planting_is_stale():
    assert [complaint for each in PLANTINGS if (complaint := stale(each))] == []


def test_there_are_enough_of_them_under_names_of_their_own():
    names = [each.name for each in PLANTINGS]
    assert len(set(names)) == len(names) >= 20


CHANGES = [
    ({"old": "no such text"}, "its text is 0 times in core/timers.py"),
    ({"old": "clocks"}, "times in core/timers.py, not once"),
    ({"file": "core/gone.py"}, "its text is 0 times in core/gone.py"),
    ({"new": "return clocks.content_at + limits.idle_s"}, "it changes nothing"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_a_stale_planting_is_told(change, says):
    [late] = named(["arm the idle timer late"])
    assert says in stale(dataclasses.replace(late, **change))


def test_a_planting_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ProofError, match="no planting 'x'; there are: swallow the end"):
        named(["x"])
