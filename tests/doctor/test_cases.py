"""The trials: every case has its part, every part is a script, no two are confused."""

from __future__ import annotations

import pytest

from finalstop.doctor.cases import ENDLESS, ROLE_OF, ROLES, Leaving
from finalstop.doctor.observations import Case
from finalstop.simulator import Simulator
from finalstop.simulator.answers import Ask, answer, delta_kind
from finalstop.simulator.script import parse_script


def test_every_case_has_one_role_and_the_healthy_one_comes_first():
    assert [role.case for role in ROLES] == list(Case)
    assert set(ROLE_OF) == set(Case)


@pytest.mark.parametrize("role", ROLES, ids=[role.case for role in ROLES])
@pytest.mark.parametrize("window_s", [1, 3, 60])
def test_every_script_can_be_played(role, window_s):
    assert Simulator(default=role.script(window_s)) is not None


def test_we_leave_only_where_the_case_says_so():
    leaving = {role.case: role.leaving for role in ROLES if role.leaving is not Leaving.NEVER}
    assert leaving == {
        Case.LEAVE_MID_STREAM: Leaving.MID_STREAM,
        Case.LEAVE_BEFORE_HEAD: Leaving.BEFORE_HEAD,
    }


def test_clients_that_try_again_are_given_the_time_for_it():
    retried = {role.case for role in ROLES if role.windows > 1}
    failed = {Case.RESET, Case.ERROR_FIRST, Case.ERROR_MIDWAY, Case.RATE_LIMITED, Case.OVERLOADED}
    assert retried == failed


def deltas(spec):
    events = answer(parse_script(spec), Ask()).events
    return [kind for event in events if (kind := delta_kind(event))]


def test_a_healthy_gap_is_far_below_the_window():
    script = parse_script(ROLE_OF[Case.SLOW].script(3.0))
    assert script.pace_s(0) == pytest.approx(0.5)
    assert len(deltas(script.spec)) >= 8


def test_what_goes_on_for_ever_outlasts_every_watch():
    script = parse_script(ENDLESS)
    assert len(deltas(ENDLESS)) * script.pace_s(0) > 120


def test_one_case_has_deltas_of_every_kind_that_is_no_text():
    spec = ROLE_OF[Case.TOOLS_AND_THINKING].script(3.0)
    wanted = {"thinking_delta", "signature_delta", "text_delta", "input_json_delta"}
    assert set(deltas(spec)) == wanted
