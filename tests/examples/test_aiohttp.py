"""The aiohttp example: short, and it answers."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.examples.loading import LINES_MAX, example


@pytest.mark.slow
async def test_the_example_is_short_and_answers(monkeypatch, claude_simulator_url):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude_simulator_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    module = example("aiohttp")
    assert module.LINES < LINES_MAX
    async with TestClient(TestServer(module.app)) as client:
        response = await client.post("/stream-claude", json={"prompt": "Why is the ocean salty?"})
        text = await response.text()
    await module.client.close()
    assert response.status == 200
    assert text.count('"event":"end"') == 1
    assert '"reason":"complete"' in text
