"""SIGTERM with a stream open: how long the server takes, and what its reader sees."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager

import pytest

from finalstop.doctor.http import make_question
from finalstop.doctor.observations import Ending
from finalstop.doctor.patient import treated
from finalstop.doctor.shutdown import shut_down
from finalstop.doctor.trials import Ward
from finalstop.simulator import Simulator
from tests.doctor.places import free_port, recipe_of, relay_at

pytestmark = pytest.mark.slow


@asynccontextmanager
async def ward(mode):
    port = free_port()
    question = make_question(f"http://127.0.0.1:{port}/", data=b"{}")
    async with Simulator() as simulator:
        recipe = recipe_of(relay_at(port, mode), port, upstream=simulator.url)
        async with treated(recipe) as patient:
            yield Ward(question, simulator, 1.0, patient=patient), patient


async def test_a_server_that_ends_at_once_cuts_its_reader():
    async with ward("attentive") as (bed, patient):
        seen = await shut_down(bed, patient, within_s=5.0)
    assert seen is not None
    assert seen.exchange.ending is Ending.CUT
    assert seen.exchange.arrivals
    assert seen.exited_s is not None
    assert seen.signalled_s <= seen.exited_s < seen.signalled_s + 3.0
    assert seen.status == -signal.SIGTERM


async def test_a_server_that_only_waits_for_its_streams_does_not_end():
    async with ward("careless") as (bed, patient):
        seen = await shut_down(bed, patient, within_s=1.0)
        assert patient.alive
    assert seen is not None
    assert seen.exchange.ending is Ending.LEFT
    assert seen.exchange.ended_s - seen.signalled_s >= 1.0
    assert (seen.exited_s, seen.status) == (None, None)


async def test_without_a_stream_there_is_nothing_to_see():
    async with ward("deaf") as (bed, patient):
        assert await shut_down(bed, patient, within_s=1.0) is None
        assert patient.alive
