"""The shared relay: one per loop, and it drains when the process is told to end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from finalstop import shared
from finalstop.core.endings import EndReason
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.log.memory import MemoryLog
from finalstop.runtime.relay import Relay
from finalstop.shared import DRAIN_SIGNALS, drain_on_signals, shared_relay
from tests.runtime.fakes import ScriptedSource, reason_of, settle


@pytest.fixture(autouse=True)
def own_signals():
    """Each test begins with handlers that do nothing, and leaves the process as it was."""
    before = {number: signal.getsignal(number) for number in DRAIN_SIGNALS}
    heard: list[int] = []
    for number in DRAIN_SIGNALS:
        signal.signal(number, lambda number, _frame: heard.append(number))
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)
    shared._drains.clear()
    shared._relays.clear()


def short_relay(drain_s=0.2):
    limits = Limits(drain_s=drain_s)
    relay = Relay(MemoryLog(limits), limits)
    drain_on_signals(relay)
    return relay


# -- one per loop ---------------------------------------------------------------------------------


async def test_a_loop_has_one_relay_with_the_default_limits():
    relay = shared_relay()
    assert shared_relay() is relay
    assert relay.limits is DEFAULTS


def test_every_loop_has_its_own_and_none_outlives_it():
    async def mine():
        return shared_relay()

    first, second = asyncio.run(mine()), asyncio.run(mine())
    assert first is not second
    assert [*shared._relays.values()] == [second]
    assert [it.relay for it in shared._drains] == [second]


def test_there_is_none_without_a_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        shared_relay()


# -- the signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", DRAIN_SIGNALS)
async def test_a_signal_begins_the_drain_and_does_what_was_done_before(own_signals, number):
    relay = shared_relay()
    stream = relay.open(ScriptedSource())
    signal.raise_signal(number)
    await settle()
    assert own_signals == [number]
    assert not relay.accepting
    assert reason_of(stream) is EndReason.DRAINING


async def test_a_second_signal_ends_every_stream_at_once():
    relay = shared_relay()
    stream = relay.open(ScriptedSource())
    with stream.presence():
        signal.raise_signal(signal.SIGTERM)
        await settle()
        assert stream.ended is None
        signal.raise_signal(signal.SIGTERM)
        await settle()
        assert reason_of(stream) is EndReason.DRAINING


async def test_listening_twice_is_listening_once(own_signals):
    relay = shared_relay()
    drain_on_signals(relay)
    drain_on_signals(relay)
    stream = relay.open(ScriptedSource())
    with stream.presence():
        signal.raise_signal(signal.SIGTERM)
        await settle()
        assert stream.ended is None
    assert own_signals == [signal.SIGTERM]


async def test_every_relay_of_the_loop_is_drained():
    relays = [shared_relay(), short_relay()]
    signal.raise_signal(signal.SIGTERM)
    await settle()
    assert [it.accepting for it in relays] == [False, False]


async def test_a_signal_that_was_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    relay = shared_relay()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.raise_signal(signal.SIGINT)
    await settle()
    assert relay.accepting


async def test_a_handler_that_cuts_responses_is_called_after_the_drain(own_signals):
    def cuts(number, _frame):
        own_signals.append(number)

    cuts.__module__ = "twisted.internet.base"
    signal.signal(signal.SIGTERM, cuts)
    relay = short_relay()
    stream = relay.open(ScriptedSource())
    with stream.presence():
        signal.raise_signal(signal.SIGTERM)
        await settle()
        assert own_signals == []
        await relay.drain()
        assert own_signals == []
    await asyncio.sleep(3 * shared.LOOK_S)
    assert own_signals == [signal.SIGTERM]


async def test_a_handler_that_cuts_responses_is_not_held_back_twice(own_signals):
    def cuts(number, _frame):
        own_signals.append(number)

    cuts.__module__ = "twisted.internet.base"
    signal.signal(signal.SIGTERM, cuts)
    stream = short_relay(drain_s=20.0).open(ScriptedSource())
    with stream.presence():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert own_signals == [signal.SIGTERM]


def test_in_another_thread_no_handler_is_set():
    before = signal.getsignal(signal.SIGTERM)

    async def mine():
        return shared_relay()

    seen: list[object] = []

    def run():
        seen.append(asyncio.run(mine()))
        seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen[1] is before


def test_a_signal_after_the_loop_is_closed_does_only_what_was_done_before(own_signals):
    async def mine():
        return shared_relay()

    asyncio.run(mine())
    signal.raise_signal(signal.SIGTERM)
    assert own_signals == [signal.SIGTERM]


# -- with nobody else to end the process ----------------------------------------------------------

PROGRAM = """
import asyncio, sys
from finalstop import Limits, MemoryLog, Relay
from finalstop.shared import drain_on_signals
from tests.runtime.fakes import ScriptedSource

async def main():
    limits = Limits(drain_s=0.4)
    relay = Relay(MemoryLog(limits), limits)
    drain_on_signals(relay)
    stream = relay.open(ScriptedSource(), on_end=lambda receipt, _: print(receipt.reason))
    print("ready", flush=True)
    async for chunk in stream.attach("text"):
        print(chunk.decode().partition(":")[2].strip()[:17], flush=True)
    await asyncio.sleep(30)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_plain_program_drains_and_is_then_ended_by_the_signal():
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        said = process.stdout.read().split("\n")
        assert process.wait(10) == -signal.SIGTERM
    assert "draining" in said
    assert any("event" in line for line in said)
