"""Each sick endpoint gets its cause named; no healthy one is called sick.

All are examined once, several at a time: an examination is mostly waiting. `make endpoints` does
the same and writes `endpoints/verdicts.json`, from which the page of them is made.
"""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from tests.doctor.ward import HEALTHY, SICK, Verdict, endpoints, examine_all, read_verdicts

SICK_MIN = 25
HEALTHY_MIN = 10

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.xdist_group("endpoints")]


@cache
def verdicts() -> dict[str, Verdict]:
    seen = asyncio.run(examine_all([*endpoints(SICK), *endpoints(HEALTHY)]))
    return {it.endpoint.name: it for it in seen}


@pytest.mark.parametrize("name", [it.name for it in endpoints(SICK)])
def test_the_cause_of_a_sick_endpoint_is_named(name: str):
    verdict = verdicts()[name]
    named = {*verdict.problems, *verdict.warnings}
    assert set(verdict.endpoint.causes) - named == set(), named


@pytest.mark.parametrize("name", [it.name for it in endpoints(HEALTHY)])
def test_a_healthy_endpoint_has_no_problem(name: str):
    verdict = verdicts()[name]
    assert verdict.problems == (), verdict.evidence


def test_there_are_enough_of_both():
    assert len(endpoints(SICK)) >= SICK_MIN
    assert len(endpoints(HEALTHY)) >= HEALTHY_MIN
    assert all(it.causes for it in endpoints(SICK))
    assert not any(it.causes for it in endpoints(HEALTHY))


def test_the_published_table_has_a_row_for_each_of_them():
    told = {it.name: list(it.causes) for it in [*endpoints(SICK), *endpoints(HEALTHY)]}
    assert {name: row["causes"] for name, row in read_verdicts()["endpoints"].items()} == told
