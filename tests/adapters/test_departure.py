"""Clients that leave without a word, and somebody who looks."""

from __future__ import annotations

import asyncio

import pytest

from finalstop.adapters import departure
from finalstop.adapters.departure import ClientGoneError, watching


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(departure, "LOOK_S", 0.01)


class Client:
    """Gone after so many looks; counts them."""

    def __init__(self, looks):
        self.looks = looks

    def gone(self):
        self.looks -= 1
        return self.looks < 0


async def test_a_departure_cancels_what_is_awaited():
    cancelled = []

    async def block():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(ClientGoneError):
        async with watching(Client(3).gone):
            await block()
    assert cancelled == [True]


async def test_a_client_that_was_gone_before_is_seen_at_once():
    client = Client(0)
    with pytest.raises(ClientGoneError):
        async with watching(client.gone):
            await asyncio.sleep(10)
    assert client.looks == -1


async def test_nobody_looks_any_more_when_the_block_is_over():
    client = Client(100)
    async with watching(client.gone):
        await asyncio.sleep(0.03)
    left = client.looks
    await asyncio.sleep(0.03)
    assert client.looks == left < 99


async def test_where_nobody_can_tell_the_block_just_runs():
    has_run = False
    async with watching(None):
        await asyncio.sleep(0)
        has_run = True
    assert has_run


async def test_the_blocks_own_timeout_stays_a_timeout():
    with pytest.raises(TimeoutError) as raised:
        async with watching(Client(100).gone), asyncio.timeout(0.005):
            await asyncio.sleep(10)
    assert not isinstance(raised.value, ClientGoneError)
