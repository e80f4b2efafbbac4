"""The Flask example: short, and it answers."""

from __future__ import annotations

import signal
import threading

import pytest

from finalstop.adapters.background import SHARED
from finalstop.shared import DRAIN_SIGNALS
from tests.examples.loading import LINES_MAX, example


@pytest.fixture
def module(monkeypatch, claude_simulator_url):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude_simulator_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    before = {number: signal.getsignal(number) for number in DRAIN_SIGNALS}
    module = example("flask")
    yield module
    closed = threading.Event()
    SHARED.run(lambda _: close(module.client, closed))  # its connections belong to that loop
    assert closed.wait(5.0)
    for number, handler in before.items():
        signal.signal(number, handler)


async def close(client, closed):
    await client.close()
    closed.set()


@pytest.mark.slow
def test_the_example_is_short_and_answers(module):
    assert module.LINES < LINES_MAX
    client = module.app.test_client()
    response = client.post("/stream-claude", json={"prompt": "Why is the ocean salty?"})
    assert response.status_code == 200
    assert response.text.count('"event":"end"') == 1
    assert '"reason":"complete"' in response.text
