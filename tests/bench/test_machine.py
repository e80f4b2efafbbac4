"""The quiet check: whoever else uses the machine is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.machine import (
    Shares,
    Spent,
    _exactly_busy_s,
    cores,
    description,
    disturbances,
    noise,
    shares,
)

QUIET = {"relay": 0.5, "load": 0.6, "others": 0.02, "unseen": 0.05, "stolen": 0.0}

DISTURBED = [
    ({}, []),
    ({"others": 0.07}, ["other processes used 7% of a core (at most 6%)"]),
    ({"unseen": 0.16}, ["processes that came and went used 16% of a core (at most 15%)"]),
    ({"stolen": 0.03}, ["the hypervisor took 3% of a core (at most 2%)"]),
]


@pytest.mark.parametrize(("change", "said"), DISTURBED)
def test_a_busy_machine_is_told_with_the_share(change, said):
    assert disturbances(Shares(**{**QUIET, **change})) == said


def test_what_our_own_processes_used_is_nobody_elses():
    before = Spent(100.0, 50.0, 1.0, 1.0, {1: 5_000_000_000, 2: 7})
    after = Spent(110.0, 64.0, 3.0, 1.1, {1: 5_200_000_000, 3: 100_000_000})
    seen = shares(before, after, relay_s=5.0, load_s=6.0, runner_s=0.5)
    assert seen.others == pytest.approx(0.03)
    assert seen.unseen == pytest.approx(0.02)
    assert (seen.relay, seen.load) == (0.5, 0.6)
    assert seen.stolen == pytest.approx(0.01)


@pytest.mark.parametrize(("said", "busy_s"), [("2500000000\n", 2.5), ("", None), (None, None)])
def test_the_schedulers_account_is_taken_where_there_is_one(said, busy_s, tmp_path):
    account = tmp_path / "cpuacct.usage"
    if said is not None:
        account.write_text(said)
    assert _exactly_busy_s(account) == busy_s


@pytest.mark.slow
def test_a_process_that_spins_is_noise():
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert any("other processes" in why for why in noise(0.5))
    finally:
        spin.kill()
        spin.wait()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the benchmark needs two cores")
def test_the_relay_has_a_core_of_its_own():
    mine = cores()
    assert mine.relay != mine.load


def test_the_stamp_says_what_machine_it_was():
    assert {"cpu", "cores", "kernel", "python", "memory_mb"} == description().keys()
