"""A session refuses a busy machine, and says of everybody why there is no figure."""

from __future__ import annotations

import pytest

from bench import session
from bench.load import Plan
from bench.machine import Cores
from bench.made import MissingError
from bench.measure import Run
from bench.scenarios import Kind, Scenario
from bench.session import TRIES, Terms, UnquietError, play

SCENARIO = Scenario(name="made-up", title="-", plan=Plan(), subjects=("self", "nginx", "bare"))
BUSY = ("other processes used 50% of a core",)


def terms(**more):
    return Terms(cores=Cores(1, 0), **{"rounds": 2, "unquiet": False, **more})


@pytest.fixture
def machine(monkeypatch):
    """What each run gives, by subject, in order; the last one stays. `asked` is who was run."""

    class Machine:
        def __init__(self):
            self.gives, self.asked = {}, []

        def measure(self, subject, _plan, _cores):
            self.asked.append(subject.name)
            them = self.gives.get(subject.name, [Run(figures={"p50_ms": 0.1})])
            run = them.pop(0) if len(them) > 1 else them[0]
            if isinstance(run, Exception):
                raise run
            return run

    it = Machine()
    monkeypatch.setitem(session.MEASURES, Kind.PACED, it.measure)
    monkeypatch.setattr(session, "direct", lambda *_: Run(figures={}))
    return it


def test_subjects_take_turns_and_the_order_is_rotated(machine):
    recorded = play(SCENARIO, terms())
    assert machine.asked == ["self", "nginx", "bare", "nginx", "bare", "self"]
    assert {name: len(runs) for name, runs in recorded["subjects"].items()} == {
        "self": 2, "nginx": 2, "bare": 2,
    }  # fmt: skip
    assert len(recorded["direct"]) == 1


def test_a_disturbed_run_is_taken_again(machine):
    machine.gives["self"] = [Run(figures={}, disturbed=BUSY), Run(figures={"p50_ms": 0.2})]
    recorded = play(SCENARIO, terms(rounds=1))
    assert machine.asked.count("self") == 2
    assert recorded["subjects"]["self"] == [
        {"figures": {"p50_ms": 0.2}, "failures": {}, "disturbed": []}
    ]


def test_a_machine_that_stays_busy_is_refused(machine):
    machine.gives["bare"] = [Run(figures={}, disturbed=BUSY)]
    with pytest.raises(UnquietError, match="bare: other processes used 50%"):
        play(SCENARIO, terms())
    assert machine.asked.count("bare") == TRIES


def test_whoever_insists_gets_figures_that_are_stamped(machine):
    machine.gives["bare"] = [Run(figures={"p50_ms": 1.0}, disturbed=BUSY)]
    recorded = play(SCENARIO, terms(unquiet=True))
    assert machine.asked.count("bare") == 2
    assert recorded["subjects"]["bare"][0]["disturbed"] == list(BUSY)


def test_nginx_is_the_witness_of_a_quiet_machine(machine):
    machine.gives["nginx"] = [Run(figures={"p50_ms": 0.6})]
    with pytest.raises(UnquietError, match=r"nginx itself added 0\.60 ms"):
        play(SCENARIO, terms())
    recorded = play(SCENARIO, terms(unquiet=True, rounds=1))
    assert "nginx itself added" in recorded["subjects"]["self"][0]["disturbed"][0]


def test_a_round_with_a_slow_witness_is_taken_again_as_a_whole(machine):
    machine.gives["nginx"] = [Run(figures={"p50_ms": 0.6}), Run(figures={"p50_ms": 0.1})]
    recorded = play(SCENARIO, terms(rounds=1))
    assert machine.asked == ["self", "nginx", "bare"] * 2
    assert len(recorded["subjects"]["self"]) == 1


def test_who_is_not_installed_is_left_out_and_named(machine):
    machine.gives["nginx"] = [MissingError("nginx is not installed; apt-get install nginx")]
    recorded = play(SCENARIO, terms())
    assert recorded["missing"] == {"nginx": "nginx is not installed; apt-get install nginx"}
    assert "nginx" not in recorded["subjects"]
    assert machine.asked.count("nginx") == 1


def test_only_who_was_asked_for_is_run(machine):
    play(SCENARIO, terms(subjects=frozenset({"self"}), rounds=1))
    assert machine.asked == ["self"]


def test_held_streams_are_no_more_than_files_allow():
    scenario = Scenario(
        name="h", title="-", kind=Kind.HELD, plan=Plan(streams=10_000), subjects=("self",)
    )
    assert terms(open_streams_max=9900).plan(scenario).streams == 9900
    assert terms(seconds=2.0).plan(SCENARIO).steady_ms == 2000
