"""The clocks: which limit has run out, at which instant exactly, and what moves them."""

from __future__ import annotations

import math

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.core.receipt import Timings
from finalstop.core.timers import SWEEP_S, Clocks, due, keep_alive_due, next_wakeup

LIMITS = Limits(first_content_s=10, idle_s=4, deadline_s=60, keep_alive_s=6)
FIRST, IDLE, DEADLINE = (
    EndReason.FIRST_CONTENT_TIMEOUT,
    EndReason.IDLE_TIMEOUT,
    EndReason.DEADLINE,
)

# clocks, the instant at which a limit runs out, which one it is
ROWS = [
    # Nothing has happened: a request that is never written must end as well.
    (Clocks(0.0), 10.0, FIRST),
    (Clocks(100.0), 110.0, FIRST),
    # What shows only that the transport lives moves nothing.
    (Clocks(0.0, connected_at=3.0), 10.0, FIRST),
    (Clocks(0.0, connected_at=3.0, heard_at=9.0), 10.0, FIRST),
    # The request is written: the clock starts anew.
    (Clocks(0.0, written_at=7.0), 17.0, FIRST),
    (Clocks(0.0, written_at=7.0, heard_at=16.0), 17.0, FIRST),
    (Clocks(0.0, written_at=49.5), 59.5, FIRST),
    # Content: from here on it is idle_s since the last.
    (Clocks(0.0, written_at=1.0, first_content_at=2.0, content_at=2.0), 6.0, IDLE),
    (Clocks(0.0, written_at=1.0, first_content_at=2.0, content_at=30.0), 34.0, IDLE),
    (Clocks(0.0, content_at=30.0, heard_at=33.0), 34.0, IDLE),
    # The deadline is a fixed instant: it comes whatever else does, and wins a tie.
    (Clocks(0.0, written_at=55.0), 60.0, DEADLINE),
    (Clocks(0.0, written_at=50.0), 60.0, DEADLINE),
    (Clocks(0.0, content_at=58.0), 60.0, DEADLINE),
    (Clocks(0.0, content_at=56.0), 60.0, DEADLINE),
    (Clocks(100.0, content_at=159.0), 160.0, DEADLINE),
    # Instants as a real clock has them.
    (Clocks(1e6 + 0.1, written_at=1e6 + 0.3), 1e6 + 0.3 + 10, FIRST),
    (Clocks(0.1, content_at=0.7), 0.7 + 4, IDLE),
]


@pytest.mark.parametrize(("clocks", "at", "reason"), ROWS)
def test_the_next_wakeup_is_the_instant_at_which_a_limit_runs_out(clocks, at, reason):
    assert next_wakeup(clocks, LIMITS) == at
    assert due(clocks, LIMITS, at) is reason


@pytest.mark.parametrize(("clocks", "at"), [row[:2] for row in ROWS])
def test_just_before_the_next_wakeup_nothing_is_due(clocks, at):
    assert due(clocks, LIMITS, math.nextafter(at, -math.inf)) is None


@pytest.mark.parametrize(("clocks", "at"), [row[:2] for row in ROWS])
def test_what_is_due_stays_due(clocks, at):
    assert due(clocks, LIMITS, at + SWEEP_S) is not None
    assert due(clocks, LIMITS, clocks.opened_at + LIMITS.deadline_s) is DEADLINE


# instants of content; first content, last content, longest gap
CONTENTS = [
    ([], None, None, 0.0),
    ([3.0], 3.0, 3.0, 0.0),  # the wait for the first is no gap: first_content_s tells it
    ([3.0, 3.0], 3.0, 3.0, 0.0),
    ([3.0, 5.0], 3.0, 5.0, 2.0),
    ([3.0, 5.0, 6.0], 3.0, 6.0, 2.0),
    ([3.0, 5.0, 6.0, 9.5], 3.0, 9.5, 3.5),
]


@pytest.mark.parametrize(("instants", "first", "last", "gap_s"), CONTENTS)
def test_content_is_remembered_by_its_first_its_last_and_the_longest_gap(
    instants, first, last, gap_s
):
    clocks = Clocks(0.0)
    for now in instants:
        clocks.content(now)
    assert (clocks.first_content_at, clocks.content_at, clocks.longest_gap_s) == (
        first, last, gap_s,
    )  # fmt: skip


# the clocks, the end, what the receipt says: connect, first content, total, longest gap
TIMINGS = [
    (Clocks(100.0), 101.5, (None, None, 1.5, 0.0)),
    (Clocks(100.0, connected_at=100.25), 101.0, (0.25, None, 1.0, 0.0)),
    (Clocks(1.0, 1.5, first_content_at=2.0, content_at=4.0), 9.0, (0.5, 1.0, 8.0, 5.0)),
    (Clocks(1.0, first_content_at=2.0, content_at=8.0, longest_gap_s=6.0), 9.0,
     (None, 1.0, 8.0, 6.0)),
    # To the microsecond, and no further.
    (Clocks(0.0, 0.12345678, first_content_at=0.12345678, content_at=0.12345678), 0.7654321,
     (0.123457, 0.123457, 0.765432, 0.641975)),
]  # fmt: skip


@pytest.mark.parametrize(("clocks", "ended_at", "said"), TIMINGS)
def test_what_a_receipt_says_of_the_time_a_stream_took(clocks, ended_at, said):
    assert clocks.timings(ended_at) == Timings(*said)


# last bytes to the viewer, now, whether it needs a keep-alive (every 6 s, asked each 0.1 s)
KEEP_ALIVES = [
    (0.0, 0.0, False),
    (0.0, 5.89, False),
    (0.0, 5.9, True),  # the next sweep may come too late
    (0.0, 6.0, True),
    (0.0, 60.0, True),
    (100.0, 105.8, False),
    (100.0, 105.95, True),
]


@pytest.mark.parametrize(("written_at", "now", "needed"), KEEP_ALIVES)
def test_a_keep_alive_comes_one_sweep_early_rather_than_one_late(written_at, now, needed):
    assert keep_alive_due(written_at, LIMITS, now) is needed


@pytest.mark.parametrize("phase_s", [0.0, 0.03, 0.05, 0.0999])
def test_a_viewer_never_waits_longer_than_keep_alive_s_for_bytes(phase_s):
    sweeps = (phase_s + SWEEP_S * number for number in range(1000))
    sent_at = next(now for now in sweeps if keep_alive_due(0.0, LIMITS, now))
    assert LIMITS.keep_alive_s - 2 * SWEEP_S < sent_at <= LIMITS.keep_alive_s
