"""What Django has for itself, WSGI above all. What holds of every framework: test_frameworks."""

from __future__ import annotations

import asyncio

import pytest
from django.test import AsyncRequestFactory, RequestFactory  # type: ignore[import-untyped]

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.django import respond, respond_sync
from tests.adapters.answers import HEALTHY
from tests.adapters.handlers import set_up_django
from tests.runtime.fakes import Bench

LIMITS = Limits(commit_s=0.05)


@pytest.fixture(autouse=True, scope="module")
def _set_up():
    set_up_django()


@pytest.fixture
def relay():
    background = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))
    yield background
    background.close()


def test_under_wsgi_a_sync_view_streams_on_the_background_relay(relay):
    response = respond_sync(RequestFactory().post("/"), iter(HEALTHY), format="text", relay=relay)
    assert response.status_code == 200
    assert response.streaming
    assert b'"reason":"complete"' in b"".join(response)
    response.close()


def test_under_wsgi_a_failure_known_in_time_has_its_true_status(relay):
    response = respond_sync(RequestFactory().post("/"), iter(()), relay=relay)
    assert response.status_code == 502
    assert b"truncated" in b"".join(response)
    response.close()


async def test_under_wsgi_an_async_view_is_told_to_be_a_sync_one():
    with pytest.raises(TypeError, match="respond_sync"):
        await respond(RequestFactory().post("/"), iter(HEALTHY))


async def test_a_relay_of_the_other_kind_is_named(relay):
    bench = Bench()
    with pytest.raises(TypeError, match="give a BackgroundRelay"):
        respond_sync(RequestFactory().post("/"), iter(HEALTHY), relay=bench.relay)
    over_asgi = AsyncRequestFactory().post("/")
    with pytest.raises(TypeError, match="give a Relay"):
        await asyncio.to_thread(respond_sync, over_asgi, iter(HEALTHY), relay=relay)
    await bench.close()
