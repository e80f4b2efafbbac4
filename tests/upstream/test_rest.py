"""The rest: under load the loop looks at its sockets in a rhythm, and else it never waits."""

import asyncio
import socket
import time
from typing import Any

import pytest
import uvloop

from finalstop.upstream.rest import (
    BATCH_READS,
    FEW_READS,
    HURRIED_TURNS,
    LEAST_S,
    SPAN_S,
    Rest,
)

REST_S = 0.0025
WORK_S = 20e-6
# Thick enough, and as thin as that can be.
THICK_S = 50e-6
THINNEST_S = REST_S / FEW_READS


class Loop:
    """A loop whose reads come at a pace, with a clock that sleep and work move.

    Each turn begins with a poll that finds all that has come; if nothing has, it waits for it.
    What is to be called later, at once, is called at the end of that turn, as both loops do.
    """

    def __init__(self, *, rest_s=REST_S, work_s=WORK_S, wakes_late_s=0.0):
        self.now = 50.0
        self.later = []
        self.slept = []
        self.looks = []
        self.waits = []
        self._wakes_late_s = wakes_late_s
        self._work_s = work_s
        loop: Any = self
        self.rest = Rest(rest_s, loop, clock=lambda: self.now, sleep=self._sleep)

    def call_later(self, delay_s, act):
        assert delay_s == 0
        self.later.append(act)

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds + self._wakes_late_s

    def reads_come(self, apart_s, *, for_s):
        """A read every `apart_s`, for so long. Of each: how long it waited to be handled."""
        due, until = self.now, self.now + for_s
        while due < until:
            self.now = max(self.now, due)
            found = 0
            while due <= self.now:
                self.waits.append(self.now - due)
                due += apart_s
                found += 1
            self.looks.append(found)
            self.turn(found)

    def turn(self, reads):
        for _ in range(reads):
            self.now += self._work_s
            self.rest.saw_read()
        acts, self.later = self.later, []
        assert len(acts) <= 1, "once in a turn, and not once per read"
        for act in acts:
            act()


def test_while_reads_come_thick_a_look_finds_a_batch_of_them():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=1.0)
    assert all(abs(found - BATCH_READS) <= 2 for found in loop.looks[-300:])
    assert max(loop.slept) <= REST_S


def test_no_read_waits_longer_than_the_rest_may_last():
    loop = Loop(wakes_late_s=60e-6)
    loop.reads_come(THINNEST_S, for_s=1.0)
    assert loop.slept
    assert max(loop.waits) <= REST_S + 60e-6


@pytest.mark.parametrize("apart_s", [REST_S / (FEW_READS - 1), 0.001, 0.05])
def test_while_reads_are_few_there_is_no_rest(apart_s):
    loop = Loop()
    loop.reads_come(apart_s, for_s=2.0)
    assert loop.slept == []
    assert max(loop.waits) == 0


def test_a_loop_that_has_more_to_do_than_time_does_not_rest():
    loop = Loop(work_s=55e-6)
    loop.reads_come(THICK_S, for_s=1.0)
    assert loop.slept == []


def test_what_is_hardly_worth_it_is_not_slept():
    loop = Loop(work_s=48e-6)
    loop.reads_come(THICK_S, for_s=1.0)
    assert all(seconds > LEAST_S for seconds in loop.slept)


def test_when_it_thins_out_there_is_no_rest_any_more():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=0.5)
    assert loop.slept
    loop.reads_come(0.01, for_s=2 * SPAN_S)
    loop.slept.clear()
    loop.reads_come(0.01, for_s=1.0)
    assert loop.slept == []


def test_the_first_read_after_silence_does_not_wait():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=0.5)
    loop.now += 3.0
    loop.slept.clear()
    loop.turn(1)
    assert loop.slept == []


def test_it_takes_a_while_of_reads_to_rest_at_all():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=SPAN_S * 0.9)
    assert loop.slept == []


def test_whoever_is_in_a_hurry_has_a_few_turns_without_a_rest():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=0.5)
    loop.slept.clear()
    loop.rest.hurry()
    for _ in range(HURRIED_TURNS):
        loop.turn(1)
    assert loop.slept == []
    for _ in range(BATCH_READS):
        loop.turn(1)
    assert loop.slept


def test_a_clock_that_goes_back_makes_no_rest_longer():
    loop = Loop()
    loop.reads_come(THICK_S, for_s=0.5)
    loop.slept.clear()
    loop.now -= 3600
    loop.turn(1)
    assert max(loop.slept) <= REST_S


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_a_poll_has_found_is_handled_before_the_loop_rests(new_loop):
    happened: list[str] = []

    async def three_reads_in_two_turns():
        loop = asyncio.get_running_loop()
        rest = Rest(0.005, loop, sleep=lambda _: happened.append("rest"))
        rest._apart_s, rest._look_at = 0.005, time.monotonic() + 60
        pairs = [socket.socketpair() for _ in range(2)]
        heard = loop.create_future()

        def read_first():
            happened.append("first")
            rest.saw_read()
            pairs[1][1].send(b"x")
            loop.remove_reader(pairs[0][0])

        def read_second():
            happened.append("second")
            loop.remove_reader(pairs[1][0])
            loop.call_later(0.01, heard.set_result, None)

        loop.add_reader(pairs[0][0], read_first)
        loop.add_reader(pairs[1][0], read_second)
        pairs[0][1].send(b"x")
        await heard
        for pair in pairs:
            for end in pair:
                end.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(three_reads_in_two_turns())
    # uvloop reads within its poll, and may rest before it looks again.
    assert happened in (["first", "second", "rest"], ["first", "rest", "second"])
    if new_loop is asyncio.new_event_loop:
        assert happened == ["first", "second", "rest"]


async def test_its_own_clock_is_monotonic_and_its_own_sleep_is_in_seconds():
    rest = Rest(0.02, asyncio.get_running_loop())
    rest._apart_s, rest._look_at = 0.02, time.monotonic() + 0.02
    rest._reads = 1
    began = time.monotonic()
    rest._after_turn()
    assert 0.015 < time.monotonic() - began < 0.15
