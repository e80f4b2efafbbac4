"""Each sick endpoint gets its cause named; no healthy one is called sick.

All are examined once, several at a time: an examination is mostly waiting. `make endpoints` does
the same and writes `endpoints/verdicts.json`, from which the page of them is made.
"""

from __future__ import annotations

import pytest

from tests.doctor.ward import HEALTHY, SICK, endpoints, examine_all, read_verdicts

SICK_MIN = 25
HEALTHY_MIN = 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_every_cause_is_named_and_no_healthy_endpoint_has_a_problem(record_property):
    verdicts = await examine_all([*endpoints(SICK), *endpoints(HEALTHY)])
    unnamed = {
        it.endpoint.name: missing
        for it in verdicts
        if (missing := set(it.endpoint.causes) - {*it.problems, *it.warnings})
    }
    alarms = {
        it.endpoint.name: it.evidence
        for it in verdicts
        if it.problems and it.endpoint.folder.parent == HEALTHY
    }
    sick = sum(it.endpoint.folder.parent == SICK for it in verdicts)
    healthy = len(verdicts) - sick
    record_property(
        "figure",
        f"doctor: {sick - len(unnamed)} of {sick} sick endpoints named, "
        f"{len(alarms)} of {healthy} healthy ones called sick",
    )
    assert (unnamed, alarms) == ({}, {})


def test_there_are_enough_of_both():
    assert len(endpoints(SICK)) >= SICK_MIN
    assert len(endpoints(HEALTHY)) >= HEALTHY_MIN
    assert all(it.causes for it in endpoints(SICK))
    assert not any(it.causes for it in endpoints(HEALTHY))


def test_the_published_table_has_a_row_for_each_of_them():
    told = {it.name: list(it.causes) for it in [*endpoints(SICK), *endpoints(HEALTHY)]}
    assert {name: row["causes"] for name, row in read_verdicts()["endpoints"].items()} == told
