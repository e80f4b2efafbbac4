"""The SDK retries by itself, twice; the gateway must neither add to that nor hinder it.

So on the SDK's route the API sees exactly as many requests through the gateway as it would see
without it, and none at all after a failure of which the gateway says that a retry is useless.
"""

import asyncio

import anthropic
import pytest

from tests.conformance.python.ways import PLAIN, async_client, helper, whole
from tests.gateway.running import name_of, running

# the script, requests that the API sees with the SDK's two retries, whether an answer comes
STREAMED = [
    ("text,words=3", 1, True),
    ("status-529,times=1", 2, True),
    ("status-429,times=2,retry_after=0", 3, True),
    ("status-500", 3, False),
    ("status-529", 3, False),
    ("error-first", 3, False),  # told as the status that it means, so that it can be retried
    ("status-408", 3, False),
    ("status-409", 3, False),
    ("status-400", 1, False),
    ("status-401", 1, False),
    ("status-429-spend", 1, False),  # the API itself says x-should-retry: false
    ("json-200", 1, False),  # and we say it of what a repetition will not mend
    ("wrong-content-type", 1, False),
    ("no-head", 3, False),
    ("fin@mid-text", 1, False),  # the head is gone: nobody can retry but the program itself
    ("error-overloaded@mid-text", 1, False),
]
# Without a stream the status is always true, so that what a retry may mend is always retried.
WHOLE = [
    ("fin@mid-text", 3, False),
    ("fin@mid-text,times=1", 2, True),
    ("error-overloaded@mid-text", 3, False),
    ("bad-json@mid-text", 1, False),
    ("status-400", 1, False),
]


async def requests_seen(gateway, way, spec, **options):
    """How many requests of one call the simulator saw, and whether the call had an answer."""
    name = f"{way.__name__} {spec} {options}"
    ask = {**PLAIN, "model": f"sim:{spec}", "metadata": {"user_id": name}}
    async with async_client(gateway.url, **options) as client:
        try:
            await way(client, ask)
        except anthropic.APIStatusError:
            answered = False
        else:
            answered = True
    return sum(name_of(call) == name for call in gateway.calls), answered


async def all_seen(rows, way, **options):
    async with running(connect_s=5.0) as gateway, asyncio.timeout(20), asyncio.TaskGroup() as owner:
        tasks = [
            owner.create_task(requests_seen(gateway, way, spec, **options)) for spec, *_ in rows
        ]
    return [(spec, *task.result()) for (spec, *_), task in zip(rows, tasks, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "way"), [(STREAMED, helper), (WHOLE, whole)])
async def test_the_api_sees_as_many_requests_as_the_sdk_makes(rows, way):
    assert await all_seen(rows, way, max_retries=2) == rows


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "way"), [(STREAMED, helper), (WHOLE, whole)])
async def test_without_retries_the_api_sees_every_call_once(rows, way):
    seen = await all_seen(rows, way, max_retries=0)
    assert [count for _, count, _ in seen] == [1] * len(rows)


@pytest.mark.slow
async def test_the_wait_that_the_api_asks_for_is_the_wait_that_the_sdk_keeps():
    async with running(connect_s=5.0) as gateway:
        count, answered = await requests_seen(
            gateway, helper, "status-429,times=1,retry_after=1", max_retries=2
        )
        first, second = gateway.calls
    assert (count, answered) == (2, True)
    assert 0.9 < second.accepted_at - first.accepted_at < 3.0


@pytest.mark.slow
async def test_a_connection_that_closes_without_an_answer_is_a_failure_that_the_sdk_retries():
    async with running(connect_s=5.0) as gateway:
        seen = await requests_seen(gateway, helper, "eof@before-head", max_retries=2)
    assert seen == (3, False)


@pytest.mark.slow
async def test_only_a_kept_connection_that_closes_without_an_answer_is_tried_again_by_us():
    """It may have died while it was idle; that is not the SDK's failure, nor an attempt."""
    async with running(connect_s=5.0) as gateway:
        assert await requests_seen(gateway, helper, "text,words=3") == (1, True)
        assert await requests_seen(gateway, helper, "eof@before-head") == (2, False)
        kept, reused, fresh = [call.connection for call in gateway.calls]
    assert kept == reused != fresh
