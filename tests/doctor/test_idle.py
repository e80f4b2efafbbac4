"""The idle limit: a cut tells it at once, the next silence confirms it."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager

import pytest

from finalstop.doctor.announce import Notice
from finalstop.doctor.http import make_question
from finalstop.doctor.idle import find_idle_limit
from finalstop.doctor.observations import Ending
from finalstop.doctor.patient import treated
from finalstop.doctor.trials import Ward
from finalstop.simulator import Simulator
from tests.doctor.places import free_port, recipe_of, relay_at

pytestmark = pytest.mark.slow


@asynccontextmanager
async def ward(mode, idle_s=2.0):
    port = free_port()
    question = make_question(f"http://127.0.0.1:{port}/", data=b"{}")
    async with Simulator() as simulator:
        command = f"IDLE_S={idle_s} {relay_at(port, mode)}"
        recipe = recipe_of(command, port, upstream=simulator.url)
        async with treated(recipe) as patient:
            yield Ward(question, simulator, 1.0, patient=patient)


async def test_a_limit_is_found_between_two_bounds():
    announced: list[Notice] = []
    async with ward("frugal", idle_s=3.0) as bed:
        found = await find_idle_limit(bed, most_s=6.0, announce=announced.append)
    assert found.survived_s < 3.0 <= found.cut_s < 4.0
    assert found.cut_s - found.survived_s < 1.5
    assert found.exchange.ending is Ending.CUT
    assert 2 <= len(announced) <= 6
    assert announced[0].says == "idle: a silence of 6 s"
    assert announced[0].at_most_s >= 6.0


async def test_where_nothing_is_cut_the_longest_silence_was_survived():
    async with ward("attentive") as bed:
        found = await find_idle_limit(bed, most_s=2.0, announce=lambda notice: None)
    assert (found.survived_s, found.cut_s) == (2.0, math.inf)
    assert found.exchange.ending is Ending.WHOLE
