"""The chart: one dialect for all exchanges, and one exchange that counts as healthy."""

from __future__ import annotations

import pytest

from finalstop.doctor.chart import chart_of
from finalstop.doctor.observations import Case, Ending, Step
from tests.doctor.exchanges import END, ERROR, GOOD, A, asked, exchange, treated

MINE = exchange(A, A, 'data: {"bye":1}\n\n')


def baseline_of(seen):
    base = chart_of(seen).baseline
    assert base is not None
    return base


def test_the_healthy_trial_is_the_baseline_and_else_the_question():
    assert baseline_of(treated({Case.HEALTHY: MINE})).exchange is MINE
    assert baseline_of(asked(GOOD)).exchange is GOOD
    assert baseline_of(asked(GOOD, steps={Step.ASK: MINE})).exchange is MINE


SOUND = [
    (GOOD, True),
    (exchange(A), True),
    (exchange("The end", kind="text/plain"), True),
    (exchange(A, END, ending=Ending.STILL_OPEN), False),
    (exchange(A, ERROR), False),
    (exchange("x", status=500), False),
    (exchange(), False),
    (exchange("{}", kind="application/json"), False),
]


@pytest.mark.parametrize(("it", "sound"), SOUND)
def test_faults_are_judged_only_against_an_answer_that_ended(it, sound):
    assert chart_of(asked(it)).sound is sound


def test_the_terminal_is_the_one_that_was_seen():
    assert chart_of(treated({Case.HEALTHY: MINE})).terminal == 'data: {"bye":1}'
    assert chart_of(asked(exchange(A))).terminal.startswith("an end frame such as")


def test_an_unfinished_answer_teaches_no_terminal():
    unfinished = exchange(A, A, 'data: {"bye":1}\n\n', ending=Ending.CUT)
    assert baseline_of(asked(unfinished)).verdict is None


def test_where_the_healthy_answer_is_empty_another_tells_the_dialect():
    nothing = exchange("", kind="text/plain")
    assert chart_of(treated({Case.HEALTHY: nothing})).dialect.name == "plain deltas"


def test_no_exchange_is_looked_at_twice():
    chart = chart_of(treated())
    everything = list(chart.everything)
    assert len(everything) == len({id(it) for it in everything}) == len(Case)
    assert [it.name for it in chart.answers] == [
        chart.trials[it].name for it in (Case.HEALTHY, Case.SLOW, Case.TOOLS_AND_THINKING)
    ]
