"""A relay in the background: its start, its jobs, and the moments at which a thread is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from finalstop import Limits, MemoryLog, NotAcceptingError, Relay
from finalstop.adapters.background import UNTOLD, BackgroundRelay, drain_on_signals

SRC = Path(__file__).parent.parent.parent / "src"
LIMITS = Limits(drain_s=0.4)
WAIT_S = 5.0


@pytest.fixture
def background():
    background = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))
    yield background
    background.close()


def test_nothing_runs_before_the_first_use(background):
    assert not background.alive
    background.drain()
    background.close()
    assert not background.alive


def test_jobs_share_one_relay_one_loop_and_one_thread(background):
    seen, done = [], threading.Barrier(3)

    async def job(relay):
        seen.append((relay, asyncio.get_running_loop(), threading.current_thread()))
        await asyncio.to_thread(done.wait, WAIT_S)

    background.run(job)
    background.run(job)
    done.wait(WAIT_S)
    assert seen[0] == seen[1]
    assert seen[0][2].daemon


def test_a_job_can_be_cancelled_from_another_thread_also_twice(background):
    started, cancelled = threading.Event(), threading.Event()

    async def job(relay):
        started.set()
        try:
            await asyncio.sleep(WAIT_S)
        finally:
            cancelled.set()

    cancel = background.run(job)
    assert started.wait(WAIT_S)
    cancel()
    cancel()
    assert cancelled.wait(WAIT_S)


@pytest.mark.slow
def test_the_drain_refuses_new_streams_and_waits_for_the_jobs(background):
    started, drained, refused = threading.Event(), threading.Event(), threading.Event()
    leave = threading.Event()

    async def job(relay):
        started.set()
        await asyncio.to_thread(leave.wait, WAIT_S)

    async def late(relay):
        with pytest.raises(NotAcceptingError):
            relay.open(iter(()))
        refused.set()

    background.run(job)
    assert started.wait(WAIT_S)
    background.drain(drained.set)
    background.run(late)
    assert refused.wait(WAIT_S)
    assert not drained.wait(0.1)
    leave.set()
    assert drained.wait(WAIT_S)


async def never(relay):
    raise AssertionError("it was run")


def test_what_could_not_be_made_is_the_first_users_error():
    def make():
        raise ValueError("no such log")

    with pytest.raises(ValueError, match="no such log"):
        BackgroundRelay(make).run(never)


def test_after_closing_it_takes_no_job_and_cancelling_is_quiet(background):
    async def job(relay):
        pass

    cancel = background.run(job)
    background.close()
    cancel()
    with pytest.raises(RuntimeError):
        background.run(job)
    assert not background.alive


def test_signals_belong_to_the_main_thread():
    refused = []

    def call():
        try:
            drain_on_signals()
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert refused == ["drain_on_signals must be called in the main thread"]


# -- in a process of its own ----------------------------------------------------------------------

START = """
import asyncio, os, signal, sys, threading, time
from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.background import BackgroundRelay, drain_on_signals
LIMITS = Limits(drain_s=0.4)
background = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))

async def silent():
    await asyncio.sleep(60)
    yield {"type": "ping"}

def live(background=background):
    opened = threading.Event()
    async def job(relay):
        stream = relay.open(silent(), on_end=lambda receipt, _: print(receipt.reason, flush=True))
        with stream.presence():
            opened.set()
            await stream.receipt()
    background.run(job)
    opened.wait(5)
"""

FORKS = """
live()
child = os.fork()
if child == 0:
    assert not background.alive
    live()
    background.close()
    print("the child has drained", flush=True)
    os._exit(0)
os.waitpid(child, 0)
background.close()
print("the parent has drained")
"""

TOLD_TO_END = """
drain_on_signals(background)
live()
os.kill(os.getpid(), 15)
time.sleep(5)
"""

TOLD_AND_HANDLED = """
signal.signal(15, lambda *_: print("handled", flush=True))
drain_on_signals(background)
live()
os.kill(os.getpid(), 15)
"""

TOLD_TWICE = """
LIMITS = Limits(drain_s=60)
signal.signal(15, lambda *_: None)
drain_on_signals(background)
live()
os.kill(os.getpid(), 15)
time.sleep(0.1)
os.kill(os.getpid(), 15)
"""

TOLD_BEFORE_ANYTHING = """
drain_on_signals(background)
os.kill(os.getpid(), 15)
time.sleep(5)
"""

BOTH = "draining\nthe child has drained\ndraining\nthe parent has drained\n"

FORKS_WITH_ITS_HANDLERS = f"drain_on_signals(background)\n{FORKS}"

FORKS_AND_FORGETS_THEM = f"""
drain_on_signals(background)
os.register_at_fork(after_in_child=lambda: [signal.signal(it, signal.SIG_DFL) for it in (2, 15)])
{FORKS}
"""

USED_TWICE = "live()\nlive()\nbackground.close()"

# what happens to a process with a live stream,  what it says,  its code,  the warnings it logs
LIVES = [
    ("it ends by itself", "live()", "draining\n", 0, 1),
    ("it fails", "live()\nsys.exit(3)", "draining\n", 3, 1),
    ("it is told to end", TOLD_TO_END, "draining\n", -signal.SIGTERM, 0),
    ("it is told to end and handles it", TOLD_AND_HANDLED, "handled\ndraining\n", 0, 0),
    ("it is told to end twice", TOLD_TWICE, "draining\n", 0, 0),
    ("it is told before there was any", TOLD_BEFORE_ANYTHING, "", -signal.SIGTERM, 0),
    ("it forks", FORKS, BOTH, 0, 2),
    ("it forks with its handlers", FORKS_WITH_ITS_HANDLERS, BOTH, 0, 0),
    ("it forks and forgets its handlers", FORKS_AND_FORGETS_THEM, BOTH, 0, 1),
    ("it has two streams", USED_TWICE, "draining\ndraining\n", 0, 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "said", "code", "warnings"), [row[1:] for row in LIVES], ids=[row[0] for row in LIVES]
)
def test_no_live_stream_is_lost_with_its_process(then, said, code, warnings):
    ran = subprocess.run(
        [sys.executable, "-c", START + then],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (ran.stdout, ran.returncode) == (said, code)
    assert ran.stderr == f"{UNTOLD}\n" * warnings
