"""The correct Express handler: whatever the upstream does, the response ends and says how."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess

import aiohttp
import pytest

from finalstop.simulator import Simulator
from tests.doors import ROOT
from tools.node import install, node

FOLDER = ROOT / "examples" / "express"
LIMITS = {"STREAM_FIRST_CONTENT_S": "1", "STREAM_IDLE_S": "1", "STREAM_DRAIN_S": "0.3"}
END = 'data: {"event":"end"}\n\n'
# A busy machine may need long for what takes a second; a hang takes for ever.
PATIENCE = aiohttp.ClientTimeout(total=20)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def simulator():
    async with Simulator(pace_ms=5) as running:
        yield running


@pytest.fixture
def handler(simulator):
    """A running copy: the process and its address."""
    install(FOLDER)
    env = {**os.environ, **LIMITS, "PORT": "0", "ANTHROPIC_API_KEY": "simulated"}
    env |= {"ANTHROPIC_BASE_URL": simulator.url}
    command = [str(node()), "handler.js"]
    with subprocess.Popen(command, cwd=FOLDER, env=env, stdout=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout is not None
            address = re.search(r"http://\S+", it.stdout.readline())
            assert address
            yield it, f"{address[0]}/stream-claude"
        finally:
            it.kill()


def failed(reason: str) -> str:
    return f'data: {{"event":"error","reason":"{reason}"}}\n\n'


ENDINGS = [
    # what the upstream does, the status, how the body ends
    ("text", 200, END),
    ("never-closed", 200, END),
    ("never-closed-pings", 200, END),
    ("tools", 200, END),
    ("thinking", 200, END),
    ("stall@mid-text", 200, failed("idle_timeout")),
    ("pings-forever@mid-text", 200, failed("idle_timeout")),
    ("no-head", 504, '"first_content_timeout"}'),
    ("fin@mid-text", 200, failed("truncated")),
    ("missing-message-stop", 200, failed("truncated")),
    ("rst@mid-text", 200, failed("upstream_error")),
    ("bad-json@mid-text", 200, failed("upstream_error")),
    ("error-overloaded@mid-text", 200, failed("overloaded_error")),
    ("error-then-open@mid-text", 200, failed("overloaded_error")),
    ("error-first", 529, '"overloaded_error"}'),
    ("status-529", 529, '"overloaded_error"}'),
    ("status-401", 401, '"authentication_error"}'),
]


async def test_every_response_ends_and_says_how(handler, simulator):
    _, url = handler
    seen = {}
    async with aiohttp.ClientSession(timeout=PATIENCE) as client:
        for spec, _, ending in ENDINGS:
            simulator.play(spec)
            async with client.post(url) as response:
                body = await response.text()
                ends = ending if body.endswith(ending) else body[-80:]
                seen[spec] = (spec, response.status, ends)
                assert "{}" not in body, spec
                assert body.count('"event":') <= 1, spec
    assert list(seen.values()) == ENDINGS


async def test_a_429_keeps_its_retry_after(handler, simulator):
    simulator.play("status-429,retry_after=7")
    async with (
        aiohttp.ClientSession(timeout=PATIENCE) as client,
        client.post(handler[1]) as response,
    ):
        assert (response.status, response.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("spec", ["slow-drip,pace_ms=50,words=4000", "no-head"])
async def test_the_upstream_call_ends_when_the_reader_leaves(handler, simulator, spec):
    simulator.play(spec)
    before = len(simulator.calls)
    client = aiohttp.ClientSession(timeout=PATIENCE)
    asked = asyncio.ensure_future(client.post(handler[1]))  # noqa: TID251 - left on purpose
    await until(lambda: len(simulator.calls) > before)
    asked.cancel()
    await client.close()
    await until(lambda: simulator.calls[-1].ended == "peer-closed")


async def test_sigterm_ends_open_streams_with_a_word_and_the_process_exits(handler, simulator):
    process, url = handler
    simulator.play("slow-drip,pace_ms=50,words=4000")
    async with aiohttp.ClientSession(timeout=PATIENCE) as client, client.post(url) as response:
        await response.content.readany()
        process.send_signal(signal.SIGTERM)
        body = (await response.content.read()).decode()
    assert body.endswith(failed("draining"))
    assert await asyncio.to_thread(process.wait, 20) == 0


def test_node_can_read_it():
    for program in [FOLDER / "handler.js", *ROOT.glob("src/finalstop/doctor/remedies/*/*/*.js")]:
        if "compression" not in program.parts:
            said = subprocess.run(
                [node(), "--check", program], capture_output=True, text=True, check=False
            )
            assert not said.stderr, program


async def until(holds, *, within_s=15.0):
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - the simulator's books have no bell
            await asyncio.sleep(0.01)
