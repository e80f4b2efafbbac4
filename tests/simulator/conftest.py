"""A running simulator, in the loop of the test."""

import pytest_asyncio

from finalstop.simulator import Simulator


@pytest_asyncio.fixture
async def simulator():
    async with Simulator() as running:
        yield running
