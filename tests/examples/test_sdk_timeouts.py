"""What the SDKs' own `timeout` covers: docs/topics/why-streams-hang.md stands on this."""

from __future__ import annotations

import asyncio
import os

import anthropic
import pytest

from finalstop.simulator import SimulatorThread
from tests.doors import ROOT
from tools.node import install, node

FOLDER = ROOT / "examples" / "express"
TIMEOUT_S = 0.7
# So long after it has begun a stream is called open; each of the others ended within a second.
OPEN_S = 4.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PROGRAM = """
import Anthropic from '@anthropic-ai/sdk';
const client = new Anthropic({ timeout: 700, maxRetries: 0 });
const messages = [{ role: 'user', content: 'x' }];
const stream = client.messages.stream({ model: process.argv[1], max_tokens: 9, messages });
try { for await (const event of stream); console.log('ended'); }
catch (error) { console.log('threw'); }
process.exit(0);
"""

# what the upstream does, what becomes of it with a timeout of 0.7 s in TypeScript, and in Python
COVERED = [
    ("no-head", "threw", "threw"),
    ("stall@mid-text", "open", "threw"),
    ("pings-forever@mid-text", "open", "open"),
]


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as running:
        yield running


@pytest.mark.parametrize(("spec", "becomes", "_python"), COVERED)
async def test_in_typescript_the_timeout_covers_the_wait_for_the_head(
    simulator, spec, becomes, _python
):
    install(FOLDER)
    env = {**os.environ, "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": "simulated"}
    process = await asyncio.create_subprocess_exec(
        *[str(node()), "--input-type=module", "--eval", PROGRAM, f"sim:{spec}"],
        cwd=FOLDER,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        # One that throws may take its time to start; one that is open stays so.
        async with asyncio.timeout(OPEN_S if becomes == "open" else 30):
            said, _ = await process.communicate()
    except TimeoutError:
        said = b"open"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    assert said.decode().strip() == becomes


@pytest.mark.parametrize(("spec", "_typescript", "becomes"), COVERED)
async def test_in_python_it_covers_silence_and_a_ping_is_none(
    simulator, spec, _typescript, becomes
):
    client = anthropic.AsyncAnthropic(
        api_key="simulated", base_url=simulator.url, timeout=TIMEOUT_S, max_retries=0
    )
    question = {"role": "user", "content": "x"}
    async with client:
        assert await _outcome(client, f"sim:{spec}", question, becomes) == becomes


async def _outcome(client, model, question, becomes):
    try:
        async with asyncio.timeout(OPEN_S if becomes == "open" else 30):
            stream = client.messages.stream(model=model, max_tokens=9, messages=[question])
            async with stream as events:
                async for _ in events:
                    pass
    except TimeoutError:
        return "open"
    except Exception:  # noqa: BLE001 - the SDK raises what its HTTP library raises
        return "threw"
    return "ended"
