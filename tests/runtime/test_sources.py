"""Anybody's stream object through a real relay, over real sockets, against the simulator.

Every kind of object that the SDK, httpx2 and aiohttp give, healthy and under every fault; and
after each, nothing left: no task, no thread, no descriptor, no open connection.
"""

import asyncio
import gc
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest

from finalstop.core.endings import EndReason as R
from finalstop.core.limits import Limits
from finalstop.log.memory import MemoryLog
from finalstop.runtime.intake import SSEIntake
from finalstop.runtime.producer import Producer
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.sources import ObjectSource, source_of
from finalstop.simulator import CallEnd, Simulator, describe
from tests.faults.belongings import belongings, leaks
from tests.faults.table import EXPECTED, spec_of
from tests.runtime.fakes import FakeClock, RecordingWatcher, ScriptedSource
from tests.wire.sdk import stated

ASK: dict[str, Any] = {
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Why is the ocean salty?"}],
}
STREAM = {"stream": True, **ASK}
KEY = {"x-api-key": "k"}
# Only what ends by a timer has a short one: a busy machine must not look like a silent upstream.
BOUNDS: dict[str, Any] = {
    "commit_s": 0.2, "event_bytes": 64 * 1024, "stream_bytes": 512 * 1024,
}  # fmt: skip
LONG = Limits(first_content_s=20.0, idle_s=20.0, **BOUNDS)
TIMERS = {
    R.FIRST_CONTENT_TIMEOUT: Limits(first_content_s=0.5, idle_s=20.0, **BOUNDS),
    R.IDLE_TIMEOUT: Limits(first_content_s=20.0, idle_s=0.5, **BOUNDS),
}
# I7; after a good end the drain takes all of it when the upstream will not close.
LET_GO_S = 1.3
CLOSED_S = 0.2
AT_ONCE = 24


@dataclass
class Clients:
    """One client of each library, all asking the same simulator."""

    url: str
    waiting: anthropic.AsyncAnthropic
    blocking: anthropic.Anthropic
    httpx: httpx2.AsyncClient
    httpx_sync: httpx2.Client
    aiohttp: aiohttp.ClientSession


@asynccontextmanager
async def asking():
    """A simulator and clients that neither retry nor run into limits of their own."""
    limits = httpx2.Limits(max_connections=500)
    options: dict[str, Any] = {"verify": False, "timeout": 60, "limits": limits}
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator())
        many = [httpx2.AsyncClient(**options) for _ in range(2)]
        few = [httpx2.Client(**options) for _ in range(2)]
        sdk: dict[str, Any] = {
            "api_key": "k",
            "base_url": simulator.url,
            "max_retries": 0,
            "timeout": 60,
        }
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=500))
        await stack.enter_async_context(session)
        for asynchronous in many:
            await stack.enter_async_context(asynchronous)
        for synchronous in few:
            stack.enter_context(synchronous)
        waiting = anthropic.AsyncAnthropic(http_client=many[0], **sdk)
        blocking = anthropic.Anthropic(http_client=few[0], **sdk)
        yield simulator, Clients(simulator.url, waiting, blocking, many[1], few[1], session)


def named(spec):
    return {"model": f"sim:{spec}"}


def post(client, spec, **how):
    return client.stream("POST", how["url"], json={**named(spec), **STREAM}, headers=KEY)


async def items_of(stream):
    """What somebody writes who filters: an iterator of the SDK's own events."""
    async with stream as events:
        async for event in events:
            yield event


async def chunks_of(response):
    async with response as opened:
        async for chunk in opened.aiter_bytes():
            yield chunk


def dicts_of(make):
    """A generator that blocks, of plain dicts."""
    for event in make():
        yield event.to_dict()


# What somebody may have in their hands: name -> how it is made of the clients and a script.
KINDS = {
    "stream": lambda c, s: c.waiting.messages.stream(**named(s), **ASK),
    "create": lambda c, s: c.waiting.messages.create(**named(s), **STREAM),
    "raw": lambda c, s: c.waiting.messages.with_streaming_response.create(**named(s), **STREAM),
    "beta stream": lambda c, s: c.waiting.beta.messages.stream(**named(s), **ASK),
    "beta create": lambda c, s: c.waiting.beta.messages.create(**named(s), **STREAM),
    "sync stream": lambda c, s: c.blocking.messages.stream(**named(s), **ASK),
    "sync create": lambda c, s: asyncio.to_thread(
        c.blocking.messages.create, **named(s), **STREAM
    ),
    "sync raw": lambda c, s: c.blocking.messages.with_streaming_response.create(
        **named(s), **STREAM
    ),
    "sync beta": lambda c, s: c.blocking.beta.messages.stream(**named(s), **ASK),
    "httpx": lambda c, s: post(c.httpx, s, url=f"{c.url}/v1/messages"),
    "sync httpx": lambda c, s: post(c.httpx_sync, s, url=f"{c.url}/v1/messages"),
    "aiohttp": lambda c, s: c.aiohttp.post(
        f"{c.url}/v1/messages", json={**named(s), **STREAM}, headers=KEY
    ),
    "items": lambda c, s: items_of(c.waiting.messages.stream(**named(s), **ASK)),
    "beta items": lambda c, s: items_of(c.waiting.beta.messages.stream(**named(s), **ASK)),
    "chunks": lambda c, s: chunks_of(post(c.httpx, s, url=f"{c.url}/v1/messages")),
    "dicts": lambda c, s: dicts_of(
        lambda: c.blocking.messages.create(**named(s), **STREAM)
    ),
}  # fmt: skip


async def ended(relay, thing, limits=LONG):
    """The receipt and the message of a stream fed from `thing`, and how long it took."""
    began = time.monotonic()
    stream = relay.open(source_of(thing, limits=limits), limits=limits)
    with stream.presence():
        async with asyncio.timeout(20):
            receipt = await stream.receipt()
    message, unknown = await stream.message()
    assert unknown is None
    return receipt, message, time.monotonic() - began


async def told(clients, answer):
    """The Message as the SDK accumulates it from the same answer."""
    messages = clients.waiting.beta.messages if "beta" in answer else clients.waiting.messages
    async with messages.stream(**named(answer), **ASK) as stream:
        message = await stream.get_final_message()
    return stated(message.model_dump(mode="json", by_alias=True, warnings=False))


def threads():
    return [it for it in threading.enumerate() if it.name == "finalstop-object"]


async def left_behind(before):
    """What is left once it has had a moment to go."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LET_GO_S):
            while threads():  # noqa: ASYNC110 # they are no tasks
                await asyncio.sleep(0.01)
    return [repr(it) for it in threads()] + await leaks(before)


# -- healthy --------------------------------------------------------------------------------------

ANSWERS = ["text,words=40", "thinking", "tools", "parallel-tools", "citations", "server-tools"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_object_gives_the_whole_message(kind):
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        answers = [*ANSWERS, *(["beta-blocks"] if "beta" in kind else [])]
        for answer in answers:
            expected = await told(clients, answer)
            receipt, message, _ = await ended(relay, KINDS[kind](clients, answer))
            assert (receipt.reason, receipt.detail) == (R.COMPLETE, "")
            assert stated(message) == expected
            assert receipt.request_id or kind in {"items", "beta items", "chunks", "dicts"}
        relay.close()
        await idle(simulator)
        assert {call.ended for call in simulator.calls} == {CallEnd.FINISHED}
    assert await left_behind(before) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "create", "raw", "sync stream", "httpx", "aiohttp"])
async def test_a_connection_is_used_again_after_a_good_end(kind):
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        for _ in range(3):
            await ended(relay, KINDS[kind](clients, "text,words=9"))
            await idle(simulator)
            await asyncio.sleep(0.02)
        assert {call.connection for call in simulator.calls} == {1}
        relay.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "sync stream", "httpx", "aiohttp", "items"])
async def test_a_stream_ends_at_message_stop_and_its_socket_soon_after(kind):
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        for fault in ("never-closed", "never-closed-pings", "never-closed-events"):
            receipt, message, took_s = await ended(relay, KINDS[kind](clients, fault))
            assert receipt.reason is R.COMPLETE
            assert message["stop_reason"] == "end_turn"
            assert took_s < 1.0
        ended_at = time.monotonic()
        await idle(simulator)
        assert max(call.ended_at for call in simulator.calls) - ended_at < LET_GO_S
        relay.close()
    assert await left_behind(before) == []


async def idle(simulator):
    async with asyncio.timeout(LET_GO_S + 1):
        while any(call.ended is CallEnd.OPEN for call in simulator.calls):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# -- under faults ---------------------------------------------------------------------------------

# Where a library keeps from us what its own table of endings cannot know, and what it says then.
# The SDK reads the body of an error before it tells its status.
SDK = {"status-stall": R.TRUNCATED}
# It takes an encoding that it does not know for none at all, and waits for the end of a first line
# that is none.
HTTPX = {"unknown-encoding": R.COMPLETE, "not-http": R.FIRST_CONTENT_TIMEOUT}
# It follows redirects (to a 404); after a malformed chunk it may leave its reader waiting for ever.
AIOHTTP = {"bad-chunk-size": R.IDLE_TIMEOUT, "redirect": R.UPSTREAM_ERROR}
DEVIATES = {
    "stream": SDK | HTTPX,
    "sync stream": SDK | HTTPX,
    "httpx": HTTPX,
    "aiohttp": AIOHTTP,
}


def cells():
    """Every fault at its last phase, which is the most telling: content has come before it."""
    for fault, kind, phases, _ in describe():
        if kind == "fault":
            phase = next((it for it in phases if it == "mid-text"), phases[-1] if phases else "")
            yield fault, spec_of(fault, phase), EXPECTED[fault][phase].reason


@pytest.mark.slow
@pytest.mark.parametrize("kind", DEVIATES)
async def test_every_fault_ends_every_kind_of_object_with_the_right_reason(kind):
    before = belongings()
    turns = asyncio.Semaphore(AT_ONCE)
    async with asking() as (_, clients):
        relay = Relay(MemoryLog(LONG), LONG)

        async def wrong(fault, spec, reason):
            told = DEVIATES[kind].get(fault, reason)
            right = {told, reason} if fault == "bad-chunk-size" else {told}
            async with turns:
                thing = KINDS[kind](clients, spec)
                receipt, _, _ = await ended(relay, thing, TIMERS.get(told, LONG))
            is_right = receipt.reason in right
            return None if is_right else f"{spec}: {receipt.reason}, not {right}: {receipt.detail}"

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(wrong(*cell)) for cell in cells()]
        assert [task.result() for task in asked if task.result()] == []
        relay.close()
    assert await left_behind(before) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "sync stream", "create", "sync raw", "httpx", "items"])
async def test_what_cannot_be_reached_is_unreachable(kind):
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        await simulator.stop()
        receipt, _, _ = await ended(relay, KINDS[kind](clients, "text"))
        assert receipt.reason is R.UNREACHABLE
        relay.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "create", "sync stream", "httpx", "aiohttp"])
async def test_a_refusal_keeps_its_status_its_error_and_its_advice(kind):
    async with asking() as (_, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        stream = relay.open(source_of(KINDS[kind](clients, "status-429,retry_after=7")))
        with stream.presence():
            receipt = await stream.receipt()
        ended = stream.ended
        assert ended is not None
        assert ended.refusal is not None
        assert ended.refusal.status == 429
        assert ended.refusal.error["type"] == "rate_limit_error"
        assert (receipt.retry_after_s, receipt.retryable) == (7.0, True)
        assert receipt.request_id is not None
        assert receipt.request_id.startswith("req_")
        relay.close()


# -- readers who leave ----------------------------------------------------------------------------

LEAVES = ["stream", "create", "raw", "httpx", "aiohttp", "items", "chunks"]
LEAVES_SYNC = ["sync stream", "sync create", "sync raw", "sync httpx"]


async def left(relay, simulator, thing, when):
    """Open, be there until `when(stream)`, leave; how long until the simulator saw it."""
    stream = relay.open(source_of(thing, limits=LONG))
    with stream.presence():
        async with asyncio.timeout(5):
            while not simulator.calls or not when(stream):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    left_at = time.monotonic()
    await idle(simulator)
    [call] = simulator.calls
    assert call.ended is CallEnd.PEER_CLOSED
    assert (await stream.receipt()).reason is R.ABANDONED
    return call.ended_at - left_at


@pytest.mark.slow
@pytest.mark.parametrize("kind", LEAVES)
async def test_leaving_before_the_head_closes_the_upstream_at_once(kind):
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        thing = KINDS[kind](clients, "no-head")
        assert await left(relay, simulator, thing, lambda _: True) < CLOSED_S
        relay.close()
    assert await left_behind(before) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*LEAVES, *LEAVES_SYNC])
async def test_leaving_in_the_middle_closes_the_upstream_at_once(kind):
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        thing = KINDS[kind](clients, "stall@mid-text")
        begun = lambda stream: stream._begun.rings  # noqa: E731
        assert await left(relay, simulator, thing, begun) < CLOSED_S
        relay.close()
    assert await left_behind(before) == []


@pytest.mark.slow
async def test_a_thread_that_waits_for_a_head_closes_what_it_gets():
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        thing = KINDS["sync stream"](clients, "pause@before-head,hold_s=0.5,pace_ms=20")
        assert await left(relay, simulator, thing, lambda _: True) < 0.5 + CLOSED_S
        relay.close()
    assert await left_behind(before) == []


@pytest.mark.slow
async def test_an_iterator_with_nothing_behind_it_ends_when_it_gives_something():
    before = belongings()
    async with asking() as (simulator, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        receipt, _, took_s = await ended(relay, KINDS["dicts"](clients, "never-closed"))
        assert (receipt.reason, took_s < 1.0) == (R.COMPLETE, True)
        relay.close()
        await asyncio.sleep(LET_GO_S)
        assert len(threads()) == 1  # it waits in the iterator, where nobody can wake it
        await simulator.stop()
    assert await left_behind(before) == []


# -- sources --------------------------------------------------------------------------------------


def test_what_is_a_source_already_stays_what_it_is():
    source = ScriptedSource()
    assert source_of(source) is source


@pytest.mark.parametrize("thing", [None, "text", b"data: {}", {"type": "ping"}, 7])
def test_what_is_no_stream_is_refused_before_a_stream_is_opened(thing):
    with pytest.raises(TypeError, match="is not a stream; accepted are"):
        source_of(thing)


async def test_a_client_given_for_a_stream_is_refused_and_can_still_be_used():
    async with asking() as (_, clients):
        relay = Relay(MemoryLog(LONG), LONG)
        for client in (clients.waiting, clients.blocking, clients.httpx, clients.aiohttp):
            with pytest.raises(TypeError, match="is not a stream but a client"):
                relay.open(client)
        assert not clients.waiting.is_closed()
        assert not clients.aiohttp.closed
        message = await clients.waiting.messages.create(**named("text"), **ASK)
        assert message.stop_reason == "end_turn"
        relay.close()


async def test_a_stream_that_is_open_is_attached_to_and_not_opened_again():
    relay = Relay(MemoryLog(LONG), LONG)
    stream = relay.open([{"type": "message_stop"}])
    with pytest.raises(TypeError, match="open already; read it with attach"):
        relay.open(stream)
    relay.close()
    await asyncio.sleep(0.05)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrapped", [False, True])
async def test_wrong_arguments_leave_no_coroutine_that_was_never_awaited(wrapped):
    relay = Relay(MemoryLog(LONG), LONG)
    asked = asyncio.sleep(0)
    with pytest.raises(ValueError, match="linger_s"):
        relay.open(source_of(asked) if wrapped else asked, linger_s=-1)
    del asked
    gc.collect()
    relay.close()


async def test_an_object_feeds_one_stream():
    relay = Relay(MemoryLog(LONG), LONG)
    source = ObjectSource([{"type": "message_stop"}])
    relay.open(source)
    with pytest.raises(RuntimeError, match="feeds another stream already"):
        relay.open(source)
    relay.close()
    await asyncio.sleep(0.05)


async def test_a_relay_that_refuses_leaves_the_object_to_its_owner():
    relay = Relay(MemoryLog(LONG), LONG)
    await relay.drain()
    items = iter([{"type": "message_stop"}])
    with pytest.raises(NotAcceptingError):
        relay.open(source_of(items))
    assert next(items) == {"type": "message_stop"}
    relay.close()


EVENTS = [
    b'{"type":"message_start","message":{"id":"m"}}',
    b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
]


def fed():
    clock, limits = FakeClock(), Limits(event_bytes=1024)
    log = MemoryLog(limits)
    producer = Producer("s", log=log, limits=limits, clock=clock, watcher=RecordingWatcher())
    return producer, SSEIntake(producer, limits)


@pytest.mark.parametrize(("events", "reason"), [(1, R.FIRST_CONTENT_TIMEOUT), (2, R.IDLE_TIMEOUT)])
async def test_a_clients_own_timeout_is_named_by_what_had_come(events, reason):
    producer, intake = fed()
    intake.events(EVENTS[:events])
    intake.timed_out("The client gave up.")
    assert (producer.ended.reason, producer.ended.receipt.detail) == (reason, "The client gave up.")


async def test_events_are_bounded_and_judged_like_bytes():
    producer, intake = fed()
    intake.events([*EVENTS, b'{"type":"news","of":"' + b"x" * 2000 + b'"}'])
    assert producer.ended.reason is R.UPSTREAM_INVALID
    other, intake = fed()
    intake.events([*EVENTS, b"[]"])
    assert other.ended.reason is R.UPSTREAM_INVALID
    assert other.ended.receipt.last_seq == 3
