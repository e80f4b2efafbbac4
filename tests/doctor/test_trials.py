"""One fault through a relay: what comes, what the relay asked and let go, whether it lives."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from finalstop.doctor.cases import ROLE_OF
from finalstop.doctor.http import make_question
from finalstop.doctor.observations import Case, Ending
from finalstop.doctor.patient import treated
from finalstop.doctor.trials import Ears, Ward, try_role
from finalstop.simulator import Simulator
from tests.doctor.places import free_port, recipe_of, relay_at

pytestmark = pytest.mark.slow

WINDOW_S = 1.0


@asynccontextmanager
async def ward(mode="attentive"):
    port = free_port()
    question = make_question(f"http://127.0.0.1:{port}/", data=b"{}")
    async with Simulator() as simulator:
        recipe = recipe_of(relay_at(port, mode), port, upstream=simulator.url)
        async with treated(recipe) as patient:
            yield Ward(question, simulator, WINDOW_S, patient=patient)


# case, how it ends for the reader of a relay that passes bytes on, status
ENDINGS = [
    (Case.HEALTHY, Ending.WHOLE, 200),
    (Case.NEVER_CLOSED, Ending.STILL_OPEN, 200),
    (Case.NEVER_CLOSED_PINGS, Ending.STILL_OPEN, 200),
    (Case.STALL, Ending.STILL_OPEN, 200),
    (Case.PINGS_ONLY, Ending.STILL_OPEN, 200),
    (Case.NO_HEAD, Ending.STILL_OPEN, None),
    (Case.TRUNCATED, Ending.WHOLE, 200),
    (Case.RESET, Ending.CUT, 200),
    (Case.ERROR_FIRST, Ending.WHOLE, 200),
    (Case.ERROR_MIDWAY, Ending.WHOLE, 200),
    (Case.RATE_LIMITED, Ending.WHOLE, 429),
    (Case.OVERLOADED, Ending.WHOLE, 529),
    (Case.SLOW, Ending.WHOLE, 200),
    (Case.TOOLS_AND_THINKING, Ending.WHOLE, 200),
]


async def test_every_fault_of_the_upstream_reaches_the_reader_of_a_bare_relay():
    async with ward() as bed:
        for case, ending, status in ENDINGS:
            trial = await try_role(bed, ROLE_OF[case])
            assert (trial.case, trial.exchange.ending) == (case, ending)
            assert trial.exchange.status == status, case
            assert len(trial.calls) == 1, case
            assert trial.survived is True
            assert trial.left_s is None
            assert trial.said == "asked POST\n"


async def test_pings_are_watched_for_longer_than_silence_and_not_for_ever():
    async with ward() as bed:
        silent = (await try_role(bed, ROLE_OF[Case.STALL])).exchange
        pinging = (await try_role(bed, ROLE_OF[Case.PINGS_ONLY])).exchange
    assert silent.ended_s - silent.arrivals[-1].at_s >= WINDOW_S
    assert pinging.ended_s >= bed.total_s
    assert pinging.ended_s - pinging.arrivals[-1].at_s < WINDOW_S


async def test_a_call_that_the_simulator_ended_is_not_one_that_the_relay_closed():
    async with ward() as bed:
        for case in (Case.HEALTHY, Case.RESET, Case.TRUNCATED):
            [call] = (await try_role(bed, ROLE_OF[case])).calls
            assert call.finished
            assert call.closed_s is not None
            assert call.closed_s >= call.began_s >= 0


# the relay, whether it closes its upstream when we leave
LEFT = [("attentive", True), ("careless", False)]


@pytest.mark.parametrize(("mode", "closes"), LEFT)
@pytest.mark.parametrize("case", [Case.LEAVE_MID_STREAM, Case.LEAVE_BEFORE_HEAD])
async def test_what_becomes_of_the_call_when_we_leave(case, mode, closes):
    async with ward(mode) as bed:
        trial = await try_role(bed, ROLE_OF[case])
    [call] = trial.calls
    assert trial.exchange.ending is Ending.LEFT
    assert trial.left_s == trial.exchange.ended_s
    assert call.began_s < trial.left_s
    assert not call.finished
    assert (call.closed_s is not None) is closes
    if call.closed_s is not None:
        assert trial.left_s <= call.closed_s < trial.left_s + 2.0


async def test_we_leave_before_the_head_only_once_the_upstream_was_asked():
    async with ward() as bed:
        trial = await try_role(bed, ROLE_OF[Case.LEAVE_BEFORE_HEAD])
    assert trial.exchange.head_s is None
    assert trial.left_s is not None
    assert trial.left_s - trial.calls[0].began_s >= 0.3


async def test_a_process_that_dies_is_seen():
    async with ward("fragile") as bed:
        trial = await try_role(bed, ROLE_OF[Case.RESET])
        assert trial.survived is False
        assert bed.patient is not None
        assert bed.patient.status == 3


async def test_a_server_that_asks_nobody_has_no_calls():
    async with ward("deaf") as bed:
        trial = await try_role(bed, ROLE_OF[Case.HEALTHY])
    assert trial.calls == ()
    assert trial.exchange.ending is Ending.WHOLE


async def test_a_worker_that_hung_in_one_trial_is_free_for_the_next():
    async with ward("single") as bed:
        for case in (Case.STALL, Case.NO_HEAD, Case.LEAVE_MID_STREAM):
            hung = await try_role(bed, ROLE_OF[case])
            assert [call.closed_s for call in hung.calls] == [None]
            healthy = await try_role(bed, ROLE_OF[Case.HEALTHY])
            assert healthy.exchange.ending is Ending.WHOLE
            assert len(healthy.calls) == 1


async def test_calls_of_before_are_not_heard():
    async with ward() as bed:
        await try_role(bed, ROLE_OF[Case.HEALTHY])
        ears = Ears(bed.simulator, 0.0)
        assert ears.calls() == ()
        assert ears.stirred() == 0.0
        assert ears.all_ended()


async def test_a_server_that_is_not_ours_is_not_watched():
    async with ward() as bed:
        theirs = Ward(bed.question, bed.simulator, WINDOW_S)
        trial = await try_role(theirs, ROLE_OF[Case.HEALTHY])
    assert (trial.survived, trial.said) == (None, "")
    assert trial.exchange.ending is Ending.WHOLE
