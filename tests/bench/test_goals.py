"""The verdicts: a goal is judged by what was measured, and by nothing that was not."""

from __future__ import annotations

import pytest

from bench.goals import GOALS, NotRunError, Verdict, judge, judged, lost_streams, ratio, values_of
from tests.bench.made_up import played, results, run

HEADLINE, STRICT = GOALS[0], GOALS[1]
CAPACITY = GOALS[3]


def paced(ours, nginx, p99=20.0):
    return results(
        paced_fast=played(
            self=[run(cpu_us_per_event=it, p50_ms=12.0, p99_ms=p99) for it in ours],
            nginx=[run(cpu_us_per_event=it, p50_ms=0.1, p99_ms=1.0) for it in nginx],
        )
    )


# ours, nginx, added p99 ms, verdict, whether the goal is reached
HEADLINES = [
    ([8.0], [16.0], 20.0, Verdict.PASS, True),
    ([10.0], [16.0], 20.0, Verdict.PASS, False),
    ([11.0], [16.0], 20.0, Verdict.FAIL, False),
    ([8.0], [16.0], 30.1, Verdict.FAIL, False),
    ([8.0, 20.0, 8.0], [16.0, 16.0, 16.0], 20.0, Verdict.PASS, True),
]


@pytest.mark.parametrize(("ours", "nginx", "p99", "verdict", "is_reached"), HEADLINES)
def test_the_headline_is_judged_by_its_ratio_and_its_delay(ours, nginx, p99, verdict, is_reached):
    found = judged(HEADLINE, paced(ours, nginx, p99))
    assert (found.verdict, found.is_reached) == (verdict, is_reached)


def test_the_price_in_delay_stands_beside_the_headline():
    assert "p50 12.0 ms, p99 20.0 ms" in judged(HEADLINE, paced([8.0], [16.0])).measured


def test_a_ratio_is_taken_round_by_round():
    # By medians it would be 1.0; in no round was it.
    found = ratio(("paced-fast", "self"), ("paced-fast", "nginx"), "cpu_us_per_event")(
        paced([10.0, 30.0, 20.0], [20.0, 10.0, 20.0])
    )
    assert (found.least, found.median, found.most) == (0.5, 1.0, 3.0)


def test_a_round_that_lost_a_stream_counts_for_nobody():
    them = paced([99.0, 8.0], [16.0, 16.0])
    them["scenarios"]["paced-fast"]["subjects"]["self"][0]["failures"] = {"short": 1}
    assert judged(HEADLINE, them).verdict is Verdict.PASS
    assert values_of(them, "paced-fast", "self", "cpu_us_per_event") == [8.0]
    assert lost_streams(them) == ["paced-fast: self: 1 short"]


def test_a_bottleneck_in_the_load_loses_no_stream_but_voids_the_figure():
    them = paced([8.0], [16.0])
    them["scenarios"]["paced-fast"]["subjects"]["self"][0]["failures"] = {"load_bound": 1}
    assert judged(HEADLINE, them).verdict is Verdict.NOT_RUN
    assert lost_streams(them) == []


def test_what_was_not_measured_is_not_judged_and_says_why():
    found = judge(results())
    assert {it.verdict for it in found} == {Verdict.NOT_RUN}
    assert found[0].measured == "paced-fast was not played"
    them = results(paced_fast=played(self=[run(cpu_us_per_event=1.0)]))
    them["scenarios"]["paced-fast"]["missing"] = {"nginx": "nginx is not installed\nmore"}
    with pytest.raises(NotRunError, match=r"^nginx in paced-fast: nginx is not installed$"):
        HEADLINE.measure(them)


@pytest.mark.parametrize(("ours", "verdict"), [(500.0, Verdict.FAIL), (600.0, Verdict.PASS)])
def test_more_streams_are_better(ours, verdict):
    them = results(
        capacity=played(
            kind="search",
            self=[run(streams_per_core=ours, at_bound=1.0)],
            express=[run(streams_per_core=100.0, at_bound=0.0)],
        )
    )
    found = judged(CAPACITY, them)
    assert found.verdict is verdict
    assert "at least" in found.measured


def test_watching_must_not_cost_a_second_upstream_call():
    watching = next(goal for goal in GOALS if "8 viewers" in goal.title)

    def them(calls):
        ours = [run(cpu_us_per_event=1.0, upstream_calls=calls)]
        return results(
            watch8=played(self_watch=ours), watch8_own=played(nginx=[run(cpu_us_per_event=4.0)])
        )

    assert judged(watching, them(64)).verdict is Verdict.PASS
    assert judged(watching, them(65)).verdict is Verdict.FAIL


def test_every_must_is_easier_than_its_goal():
    for goal in GOALS:
        assert goal.must < goal.goal if goal.is_floor else goal.must > goal.goal
