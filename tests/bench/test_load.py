"""The native load: it counts right, and it sees every way in which a relay can be wrong."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from bench.load import LoadError, Plan, loading
from tests.bench.lying_relay import LIES, lying

CORE = min(os.sched_getaffinity(0))
pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="the load is written in C: no cc here"
)
SHORT = Plan(
    streams=3, events=6, interval_us=5000, ramp_ms=20, settle_ms=20, steady_ms=60,
    patience_ms=10_000,
)  # fmt: skip


def played(load, port):
    load.go(port)
    for at in ("start", "steady", "steady_over"):
        load.hear(at)
    return load.hear("done")


@pytest.mark.slow
@pytest.mark.parametrize(("lie", "result"), LIES.values(), ids=LIES.keys())
def test_a_viewer_sees_what_a_relay_did_to_its_stream(lie, result):
    with loading(SHORT, core=CORE) as load, lying(load.port, lie) as port:
        done = played(load, port)
    seen = {kind: count for kind, count in done["results"].items() if count}
    assert seen == {result: SHORT.streams}


@pytest.mark.slow
def test_the_load_against_itself_gets_every_event_once():
    plan = replace(SHORT, streams=20, batch=4, events=30)
    with loading(plan, core=CORE) as load:
        done = played(load, load.port)
    assert done["results"]["complete"] == 20
    assert done["events"] == done["origin"]["events"] == 20 * 30
    assert done["delay"]["count"] == 600
    assert 0 < done["delay"]["p50_ms"] <= done["delay"]["p99_ms"] <= done["delay"]["max_ms"]


@pytest.mark.slow
def test_a_churning_viewer_asks_again_and_every_stream_counts():
    plan = replace(SHORT, mode="churn", steady_ms=400)
    with loading(plan, core=CORE) as load:
        done = played(load, load.port)
    assert done["results"]["complete"] > plan.streams
    assert done["events"] == done["results"]["complete"] * plan.events


@pytest.mark.slow
def test_the_close_of_every_viewer_that_left_is_awaited_at_the_origin():
    plan = replace(SHORT, streams=10, events=100, leave_every=5)
    with loading(plan, core=CORE) as load:
        done = played(load, load.port)
    assert done["results"]["left"] == 2
    assert done["results"]["complete"] == 8
    assert done["origin"]["leavers"] == done["origin"]["closes_seen"] == 2


@pytest.mark.slow
def test_a_close_that_a_relay_keeps_to_itself_is_missed():
    # The relay reads all of the origin's answer, whoever has left.
    plan = replace(SHORT, streams=1, events=20, leave_every=1, patience_ms=300)
    with loading(plan, core=CORE) as load, lying(load.port, LIES["nothing"][0]) as port:
        done = played(load, port)
    # By then the origin has said all: there was nothing to close, and nothing is claimed.
    assert done["results"]["left"] == 1
    assert done["origin"]["closes_seen"] == 0


@pytest.mark.slow
def test_held_streams_stay_open_until_told():
    plan = replace(SHORT, mode="hold", settle_ms=0, steady_ms=0)
    with loading(plan, core=CORE) as load:
        load.go_direct()
        load.hear("start")
        held = load.hear("held")
        load.stop()
        done = load.hear("done")
    assert held["events"] == plan.streams * plan.events
    assert held["open"] == plan.streams
    assert done["origin"]["finished"] == 0


@pytest.mark.slow
def test_a_load_that_is_told_nonsense_says_so():
    with pytest.raises(LoadError, match="its end"), loading(replace(SHORT, batch=5000), core=CORE):
        pass


def test_a_stream_outlasts_the_steady_part():
    plan = Plan(streams=1, interval_us=10_000, ramp_ms=1000, settle_ms=500, steady_ms=2000)
    assert plan.events_each * plan.interval_us >= 3_500_000
    assert plan.offered_per_s == 100
