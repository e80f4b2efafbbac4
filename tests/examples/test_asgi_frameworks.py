"""The examples of the ASGI frameworks: short, and each answers as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finalstop.simulator import SimulatorThread

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
FRAMEWORKS = ("starlette", "fastapi", "litestar", "quart", "django")
LINES_MAX = 30

# The example's own folder is where a reader runs it; the request is made in the same process.
ONE_REQUEST = """
import asyncio
from app import app
from tests.adapters.fake_asgi import FakeClient, asked_in_process

async def main():
    client = FakeClient()
    await (await asked_in_process(app, client, {"prompt": "Why is the ocean salty?"}))
    print(client.status, client.is_whole, client.body.decode())

asyncio.run(main())
"""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_example_is_short(framework):
    assert len((EXAMPLES / framework / "app.py").read_text().splitlines()) < LINES_MAX


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_example_answers_a_request(framework):
    with SimulatorThread() as simulator:
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "ANTHROPIC_BASE_URL": simulator.url,
            "ANTHROPIC_API_KEY": "any",
        }
        done = subprocess.run(
            [sys.executable, "-c", ONE_REQUEST],
            cwd=EXAMPLES / framework, env=env, capture_output=True, text=True, timeout=50,
            check=True,
        )  # fmt: skip
    assert done.stdout.startswith("200 True")
    assert '"event":"end"' in done.stdout
    assert '"reason":"complete"' in done.stdout
