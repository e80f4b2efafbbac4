"""The search for a core's capacity finds it in few probes, and says when it is the load's."""

from __future__ import annotations

import pytest

from bench.load import Plan
from bench.measure import LOAD_BOUND, Run
from bench.scenarios import SCENARIOS
from bench.search import FIRST, NEAR, STREAMS_MAX, capacity, plan_for

HOLDS = {"p99_ms": 1.0, "cpu_us_per_event": 10.0}


def core_that_carries(most, asked):
    def probe(streams):
        asked.append(streams)
        if streams <= most:
            return Run(figures=HOLDS)
        if streams % 2:
            return Run(figures=HOLDS, failures={"late": 1})
        return Run(figures={**HOLDS, "p99_ms": 51.0})

    return probe


@pytest.mark.parametrize("most", [1, 7, 49, 50, 75, 100, 301, 1999])
def test_the_capacity_is_found_to_within_an_eighth(most):
    asked: list[int] = []
    found = capacity(core_that_carries(most, asked), 50).figures["streams_per_core"]
    assert found <= most <= max(found * NEAR, found + 2)
    assert len(asked) <= 16


def test_a_hint_saves_probes():
    asked: list[int] = []
    capacity(core_that_carries(310, asked), 50, hint=300)
    assert asked[0] == 300
    assert asked[1] == 336
    assert len(asked) == 2


def test_a_core_that_carries_nothing_has_no_capacity():
    assert capacity(core_that_carries(0, []), 50).figures["streams_per_core"] == 0


def test_the_loads_own_bound_is_not_taken_for_the_relays():
    found = capacity(core_that_carries(10**9, []), 50)
    assert found.figures["streams_per_core"] == STREAMS_MAX
    assert found.figures["at_bound"] == 1

    def probe(streams):
        return Run(figures=HOLDS, failures={LOAD_BOUND: 1} if streams > 1000 else {})

    found = capacity(probe, 50)
    assert 890 < found.figures["streams_per_core"] <= 1000
    assert found.figures["at_bound"] == 1


def test_everybodys_streams_are_opened_at_one_pace():
    assert plan_for(Plan(), 30).ramp_ms == 1500
    assert plan_for(Plan(), 3000).ramp_ms == 6000


def test_the_search_knows_where_to_begin_with_everybody():
    assert set(SCENARIOS["capacity"].subjects) == FIRST.keys()
