"""The rest: under load the loop looks at its sockets in a rhythm, and else it never waits."""

from typing import Any

import pytest

from finalstop.upstream.rest import BATCH_READS, FEW_READS, LEAST_S, SPAN_S, Rest

REST_S = 0.004
WORK_S = 20e-6


class Loop:
    """A loop whose reads come at a pace, with a clock that sleep and work move.

    Each turn begins with a poll that finds all that has come; if nothing has, it waits for it.
    """

    def __init__(self, *, rest_s=REST_S, work_s=WORK_S, wakes_late_s=0.0):
        self.now = 50.0
        self.soon = []
        self.slept = []
        self.looks = []
        self.waits = []
        self._wakes_late_s = wakes_late_s
        self._work_s = work_s
        loop: Any = self
        self.rest = Rest(rest_s, loop, clock=lambda: self.now, sleep=self._sleep)

    def call_soon(self, act):
        self.soon.append(act)

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
            for _ in range(found):
                self.now += self._work_s
                self.rest.saw_read()
            self.end_turn()

    def end_turn(self):
        acts, self.soon = self.soon, []
        assert len(acts) <= 1, "once in a turn, and not once per read"
        for act in acts:
            act()


def test_while_reads_come_thick_a_look_finds_a_batch_of_them():
    loop = Loop()
    loop.reads_come(50e-6, for_s=1.0)
    assert all(abs(found - BATCH_READS) <= 2 for found in loop.looks[-300:])
    assert max(loop.slept) <= REST_S


def test_no_read_waits_longer_than_the_rest_may_last():
    loop = Loop(wakes_late_s=60e-6)
    loop.reads_come(REST_S / FEW_READS, for_s=1.0)
    assert loop.slept
    assert max(loop.waits) <= REST_S + 60e-6


@pytest.mark.parametrize("apart_s", [REST_S / (FEW_READS - 1), 0.001, 0.05])
def test_while_few_streams_speak_there_is_no_rest(apart_s):
    loop = Loop()
    loop.reads_come(apart_s, for_s=2.0)
    assert loop.slept == []
    assert max(loop.waits) == 0


def test_a_loop_that_has_more_to_do_than_time_does_not_rest():
    loop = Loop(work_s=55e-6)
    loop.reads_come(50e-6, for_s=1.0)
    assert loop.slept == []


def test_what_is_hardly_worth_it_is_not_slept():
    loop = Loop(work_s=48e-6)
    loop.reads_come(50e-6, for_s=1.0)
    assert all(seconds > LEAST_S for seconds in loop.slept)


def test_when_it_thins_out_there_is_no_rest_any_more():
    loop = Loop()
    loop.reads_come(50e-6, for_s=0.5)
    assert loop.slept
    loop.reads_come(0.01, for_s=2 * SPAN_S)
    loop.slept.clear()
    loop.reads_come(0.01, for_s=1.0)
    assert loop.slept == []


def test_the_first_read_after_silence_does_not_wait():
    loop = Loop()
    loop.reads_come(50e-6, for_s=0.5)
    loop.now += 3.0
    loop.slept.clear()
    loop.rest.saw_read()
    loop.end_turn()
    assert loop.slept == []


def test_it_takes_a_while_of_reads_to_rest_at_all():
    loop = Loop()
    loop.reads_come(50e-6, for_s=SPAN_S * 0.9)
    assert loop.slept == []
