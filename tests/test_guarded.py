"""The guard over the SDK's own streams: the same events, and an end that cannot be missed."""

import asyncio
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, assert_type

import anthropic
import httpx2
import pytest
from anthropic.lib.streaming import ParsedMessageStreamEvent
from anthropic.types import RawMessageStreamEvent

from finalstop import guarded as guarding
from finalstop.core.endings import EndReason as R
from finalstop.core.limits import Limits
from finalstop.guarded import AsyncGuard, Guard, StreamError, guard
from finalstop.simulator import CallEnd, SimulatorThread, describe
from tests.faults.belongings import belongings, leaks
from tests.faults.table import EXPECTED, spec_of

ASK: dict[str, Any] = {"max_tokens": 64, "messages": [{"role": "user", "content": "Why?"}]}
# Only what ends by a timer has a short one: a busy machine must not look like a silent upstream.
BOUNDS: dict[str, Any] = {
    "commit_s": 0.2, "stream_bytes": 300 * 1024, "event_bytes": 64 * 1024,
}  # fmt: skip
LONG = Limits(first_content_s=20.0, idle_s=20.0, **BOUNDS)
TIMERS = {
    R.FIRST_CONTENT_TIMEOUT: Limits(first_content_s=0.5, idle_s=20.0, **BOUNDS),
    R.IDLE_TIMEOUT: Limits(first_content_s=20.0, idle_s=0.5, **BOUNDS),
}
CLOSED_S = 0.2
AT_ONCE = 16

START = {"type": "message_start", "message": {"id": "m", "content": []}}
OPEN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
CLOSE = {"type": "content_block_stop", "index": 0}
REPORT = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
STOP = {"type": "message_stop"}
WHOLE = [START, OPEN, DELTA, CLOSE, REPORT, STOP]


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as running:
        yield running


@pytest.fixture
def blocking(simulator):
    simulator.forget()
    options = {"api_key": "k", "base_url": simulator.url, "max_retries": 0, "timeout": 60}
    with httpx2.Client(verify=False, timeout=60) as client:
        yield anthropic.Anthropic(http_client=client, **options)


@pytest.fixture
async def waiting(simulator):
    simulator.forget()
    options = {"api_key": "k", "base_url": simulator.url, "max_retries": 0, "timeout": 60}
    async with httpx2.AsyncClient(verify=False, timeout=60) as client:
        yield anthropic.AsyncAnthropic(http_client=client, **options)


def asked(spec):
    return {"model": f"sim:{spec}", **ASK}


# What people have in their hands, async and sync.
WAITING = {
    "stream": lambda client, spec: client.messages.stream(**asked(spec)),
    "create": lambda client, spec: client.messages.create(stream=True, **asked(spec)),
    "beta": lambda client, spec: client.beta.messages.stream(**asked(spec)),
}
BLOCKING = {
    "stream": lambda client, spec: client.messages.stream(**asked(spec)),
    "create": lambda client, spec: client.messages.create(stream=True, **asked(spec)),
    "beta": lambda client, spec: client.beta.messages.stream(**asked(spec)),
}


async def events_of(thing, limits=LONG):
    return [event async for event in guard(thing, limits=limits)]


async def ending_of(thing, limits):
    """What somebody who iterates gets: the events, and the error if there was one."""
    items = aiter(guard(thing, limits=limits))
    events = []
    while True:
        try:
            events.append(await anext(items))
        except StreamError as error:
            return events, error
        except StopAsyncIteration:
            return events, None


def ending_of_sync(make, limits):
    items = iter(guard(make(), limits=limits))
    events = []
    while True:
        try:
            events.append(next(items))
        except StreamError as error:
            return events, error
        except StopIteration:
            return events, None


def threads():
    return [it for it in threading.enumerate() if it.name == "finalstop-guard"]


def no_thread_is_left(within_s=1.0):
    until = time.monotonic() + within_s
    while threads() and time.monotonic() < until:
        threading.Event().wait(0.01)
    return not threads()


def closed_after_s(simulator, left_at):
    """How long the simulator kept the one call's connection after `left_at`."""
    [call] = simulator.calls
    until = time.monotonic() + 2
    while call.ended is CallEnd.OPEN and time.monotonic() < until:
        threading.Event().wait(0.005)
    assert call.ended is CallEnd.PEER_CLOSED
    return call.ended_at - left_at


# -- healthy --------------------------------------------------------------------------------------

ANSWERS = ["text,words=40", "thinking", "tools", "citations", "server-tools", "unicode", "pings"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", WAITING)
async def test_the_events_are_the_streams_own_async(waiting, kind):
    for answer in ANSWERS:
        plain = []
        thing = WAITING[kind](waiting, answer)
        async with await thing if kind == "create" else thing as stream:
            plain = [event async for event in stream]
        guarded = await events_of(WAITING[kind](waiting, answer))
        assert [type(it) for it in guarded] == [type(it) for it in plain]
        assert guarded == plain


@pytest.mark.slow
@pytest.mark.parametrize("kind", BLOCKING)
def test_the_events_are_the_streams_own_sync(blocking, kind):
    for answer in ANSWERS:
        with BLOCKING[kind](blocking, answer) as stream:
            plain = list(stream)
        guarded = list(guard(BLOCKING[kind](blocking, answer)))
        assert [type(it) for it in guarded] == [type(it) for it in plain]
        assert guarded == plain
    assert no_thread_is_left()


@pytest.mark.slow
async def test_the_receipt_tells_of_a_good_end_too(waiting):
    guarded = guard(waiting.messages.stream(**asked("text,words=9")))
    receipts = [guarded.receipt async for _ in guarded]
    assert set(receipts) == {None}
    assert guarded.receipt is not None
    assert guarded.receipt.complete
    assert guarded.receipt.request_id is not None
    assert guarded.receipt.request_id.startswith("req_")


@pytest.mark.slow
async def test_a_connection_is_used_again_after_a_good_end(waiting, simulator):
    for _ in range(3):
        await events_of(waiting.messages.stream(**asked("text,words=9")))
    assert len({call.connection for call in simulator.calls}) == 1


@pytest.mark.slow
def test_a_connection_is_used_again_after_a_good_end_sync(blocking, simulator):
    for _ in range(3):
        list(guard(blocking.messages.stream(**asked("text,words=9"))))
    assert len({call.connection for call in simulator.calls}) == 1


NEVER = ["never-closed", "never-closed-pings", "never-closed-events"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", NEVER)
async def test_it_ends_at_message_stop_async(waiting, simulator, fault):
    before = belongings()
    began = time.monotonic()
    events = await events_of(waiting.messages.stream(**asked(fault)))
    assert events[-1].type == "message_stop"
    assert time.monotonic() - began < 1.0
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S
    assert [it for it in await leaks(before) if not it.startswith("file")] == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", NEVER)
def test_it_ends_at_message_stop_sync(blocking, simulator, fault):
    began = time.monotonic()
    events = list(guard(blocking.messages.stream(**asked(fault))))
    assert events[-1].type == "message_stop"
    assert time.monotonic() - began < 1.0
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S
    assert no_thread_is_left()


# -- under faults ---------------------------------------------------------------------------------

# What the SDK keeps from its iterators, and what is left to see. It reads the body of an error
# before it tells its status, chokes on half a character before it can see the end after it, takes
# an unknown encoding for none, and reads any 2xx as if it were an event stream.
SDK = {
    "status-stall": R.TRUNCATED,
    "cut-mid-utf8": R.UPSTREAM_INVALID,
    "unknown-encoding": R.COMPLETE,
    "wrong-content-type": R.COMPLETE,
    "html-200": R.TRUNCATED,
    "json-200": R.TRUNCATED,
    "no-content-204": R.TRUNCATED,
    "not-http": R.FIRST_CONTENT_TIMEOUT,
    # It has no bound on an event, and holds what never ends until the stream's own limits do.
    "huge-event": R.COMPLETE,
    "huge-line-no-newline": R.IDLE_TIMEOUT,
    "endless-comment": R.IDLE_TIMEOUT,
    "endless-fields": R.IDLE_TIMEOUT,
    "gzip-bomb": R.TOO_LARGE,
}


def cells():
    for fault, kind, phases, _ in describe():
        if kind == "fault":
            phase = next((it for it in phases if it == "mid-text"), phases[-1] if phases else "")
            # Its bound on a head is 100 KiB.
            spec = spec_of(fault, phase).replace("bytes=100000", "bytes=200000")
            yield spec, SDK.get(fault, EXPECTED[fault][phase].reason)


def complaint(spec, reason, ending):
    events, error = ending
    if error is None:
        whole = reason is R.COMPLETE and events[-1].type == "message_stop"
        return None if whole else f"{spec}: no error, not {reason}"
    return None if error.reason is reason else f"{spec}: {error.reason}, not {reason}: {error}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream", "create"])
async def test_every_fault_ends_the_loop_with_the_right_reason_async(waiting, kind):
    before = belongings()
    turns = asyncio.Semaphore(AT_ONCE)

    async def wrong(spec, reason):
        async with turns:
            limits = TIMERS.get(reason, LONG)
            return complaint(spec, reason, await ending_of(WAITING[kind](waiting, spec), limits))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wrong(spec, reason)) for spec, reason in cells()]
    assert [task.result() for task in tasks if task.result()] == []
    assert [it for it in await leaks(before) if not it.startswith("file")] == []


@pytest.mark.slow
def test_every_fault_ends_the_loop_with_the_right_reason_sync():
    with (
        SimulatorThread() as own,
        httpx2.Client(verify=False, timeout=60) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        sdk = anthropic.Anthropic(
            api_key="k", base_url=own.url, max_retries=0, timeout=60, http_client=client
        )

        def wrong(spec, reason):
            limits = TIMERS.get(reason, LONG)
            ending = ending_of_sync(lambda: sdk.messages.stream(**asked(spec)), limits)
            return complaint(spec, reason, ending)

        found = [pool.submit(wrong, spec, reason) for spec, reason in cells()]
        assert [it.result() for it in found if it.result()] == []
        # Those still waiting for a head end with their connections.
        own.stop()
        assert no_thread_is_left()


async def test_a_redirect_that_was_not_followed_is_neither_stream_nor_error():
    async def asking():
        request = httpx2.Request("POST", "http://upstream")
        httpx2.Response(307, request=request, content=b"elsewhere").raise_for_status()

    _, error = await ending_of(asking(), LONG)
    assert error.reason is R.UPSTREAM_INVALID
    assert "answered 307" in str(error)


@pytest.mark.slow
async def test_an_error_tells_what_came_and_why_no_more(waiting):
    events, error = await ending_of(
        waiting.messages.stream(**asked("rst@mid-text,pace_ms=1")), LONG
    )
    assert isinstance(error.__cause__, httpx2.ReadError)
    assert error.reason is error.receipt.reason is R.TRUNCATED
    assert not error.receipt.complete
    said = "".join(event.text for event in events if event.type == "text")
    assert error.partial["content"][0]["text"] == said != ""
    assert "cut off before its end" in str(error)
    assert "endings.md#truncated" in str(error)


async def test_the_receipt_of_a_bad_end_is_the_errors_own():
    guarded, blocked = guard(later(WHOLE[:-1])), guard(WHOLE[:-1])
    with pytest.raises(StreamError) as raised:
        [it async for it in guarded]
    assert raised.value.receipt is guarded.receipt
    with pytest.raises(StreamError) as raised:
        list(blocked)
    assert raised.value.receipt is blocked.receipt


@pytest.mark.slow
async def test_a_refusal_before_the_stream_is_an_ending_too(waiting):
    _, error = await ending_of(waiting.messages.stream(**asked("status-429,retry_after=7")), LONG)
    assert isinstance(error.__cause__, anthropic.RateLimitError)
    assert (error.reason, error.partial) == (R.UPSTREAM_ERROR, {})
    assert (error.receipt.retry_after_s, error.receipt.retryable) == (7.0, True)
    assert error.receipt.request_id.startswith("req_")


# -- leaving --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", WAITING)
async def test_leaving_early_closes_the_upstream_async(waiting, simulator, kind):
    async for _ in guard(WAITING[kind](waiting, "stall@mid-text")):
        break
    left_at = time.monotonic()
    await asyncio.sleep(0.05)
    assert closed_after_s(simulator, left_at) < CLOSED_S


@pytest.mark.slow
@pytest.mark.parametrize("kind", BLOCKING)
def test_leaving_early_closes_the_upstream_sync(blocking, simulator, kind):
    for _ in guard(BLOCKING[kind](blocking, "stall@mid-text")):
        break
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S
    assert no_thread_is_left()


@pytest.mark.slow
async def test_leaving_its_context_closes_the_upstream_at_once(waiting, blocking, simulator):
    async with guard(waiting.messages.stream(**asked("stall@mid-text"))) as events:
        async for _ in events:
            break
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S
    simulator.forget()
    with guard(blocking.messages.stream(**asked("stall@mid-text"))) as steps:
        for _ in steps:
            break
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S
    assert no_thread_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["no-head", "stall@mid-text"])
async def test_a_reader_that_is_cancelled_closes_the_upstream(waiting, simulator, spec):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await events_of(waiting.messages.stream(**asked(spec)))
    assert closed_after_s(simulator, time.monotonic()) < CLOSED_S


# -- time -----------------------------------------------------------------------------------------


async def paced(events, before_s):
    for event in events:
        await asyncio.sleep(before_s)
        yield event


@pytest.mark.slow
async def test_a_slow_caller_is_not_taken_for_a_silent_upstream():
    limits = Limits(first_content_s=0.05, idle_s=0.05)
    seen = []
    async for event in guard(paced(WHOLE, 0.001), limits=limits):
        seen.append(event)
        await asyncio.sleep(0.1)
    assert seen == WHOLE
    seen = []
    for event in guard(iter(WHOLE), limits=limits):
        seen.append(event)
        threading.Event().wait(0.1)
    assert seen == WHOLE


@pytest.mark.slow
async def test_the_deadline_holds_for_everybody():
    limits = Limits(deadline_s=0.2)
    endless = [START, OPEN, *[DELTA] * 1000]
    _, error = await ending_of(paced(endless, 0.01), limits)
    assert error.reason is R.DEADLINE
    slow, blocked = aiter(guard(later(WHOLE), limits=limits)), iter(guard(WHOLE, limits=limits))
    assert await anext(slow) == next(blocked) == START
    await asyncio.sleep(0.25)
    with pytest.raises(StreamError, match="deadline"):
        await anext(slow)
    with pytest.raises(StreamError, match="deadline"):
        next(blocked)


@pytest.mark.slow
def test_a_sync_stream_that_nobody_can_wake_cannot_hang_its_reader(monkeypatch):
    monkeypatch.setattr(guarding, "CLOSE_S", 0.01)
    woken = threading.Event()

    def stuck():
        yield START
        assert woken.wait(5)

    with pytest.raises(StreamError) as raised:
        list(guard(stuck(), limits=Limits(first_content_s=0.1)))
    assert raised.value.reason is R.FIRST_CONTENT_TIMEOUT
    assert raised.value.partial["id"] == "m"
    woken.set()
    assert no_thread_is_left()


@pytest.mark.slow
async def test_the_clients_own_timeout_is_told_by_what_had_come(waiting):
    async def gives_up(events):
        for event in events:
            yield event
        raise httpx2.ReadTimeout("600 s")

    _, early = await ending_of(gives_up([START]), LONG)
    _, late = await ending_of(gives_up([START, OPEN]), LONG)
    assert (early.reason, late.reason) == (R.FIRST_CONTENT_TIMEOUT, R.IDLE_TIMEOUT)
    assert isinstance(late.__cause__, httpx2.ReadTimeout)


# -- what may be given ----------------------------------------------------------------------------


async def later(events):
    for event in events:
        yield event


# the events, and how they end
SHORT_ENDS = [
    ([], R.TRUNCATED),
    (WHOLE[:-1], R.TRUNCATED),
    (WHOLE[1:], R.UPSTREAM_INVALID),
    ([START, OPEN, STOP], R.UPSTREAM_INVALID),
    ([START, {"type": "error", "error": {"type": "overloaded_error"}}], R.UPSTREAM_ERROR),
    ([START, {"type": "content_block_delta"}], R.UPSTREAM_INVALID),
    (WHOLE, None),
    ([START, {"type": "news"}, {"type": "ping"}, *WHOLE[1:]], None),
    ([*WHOLE, DELTA, {"type": "error"}], None),
]


@pytest.mark.parametrize(("events", "reason"), SHORT_ENDS, ids=range(len(SHORT_ENDS)))
async def test_both_guards_judge_alike(events, reason):
    ends = await ending_of(later(events), LONG), ending_of_sync(lambda: iter(events), LONG)
    for seen, error in ends:
        assert (error and error.reason) == reason
        stop = events.index(STOP) + 1 if STOP in events else len(events)
        assert seen == (events[:stop] if reason is None else events[: len(seen)])
        if reason is not None:
            assert STOP not in seen


async def test_whatever_else_the_stream_raises_is_told_by_its_type():
    def broken():
        yield START
        raise LookupError("a prompt")

    async def broken_async():
        yield START
        raise LookupError("a prompt")

    ends = await ending_of(broken_async(), LONG), ending_of_sync(broken, LONG)
    for seen, error in ends:
        assert seen == [START]
        assert error.reason is R.INTERNAL_ERROR
        assert "LookupError" in str(error)
        assert "a prompt" not in str(error)
        assert isinstance(error.__cause__, LookupError)


async def test_what_ends_a_program_is_not_held_back():
    def leaving():
        yield START
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(guard(leaving()))
    assert no_thread_is_left()


@pytest.mark.parametrize("thing", [None, "text", b"data: {}", START, 7])
def test_what_is_no_stream_is_refused(thing):
    with pytest.raises(TypeError, match="is not a stream; accepted are"):
        guard(thing)


async def test_what_turns_out_to_be_no_stream_of_events_is_refused_plainly(waiting, blocking):
    raw, ask = waiting.messages.with_streaming_response, asked("text")
    for thing in (raw.create(stream=True, **ask), waiting.messages.create(**ask)):
        with pytest.raises(TypeError, match=r"not a stream; accepted .* are for a Relay"):
            await events_of(thing)
    with pytest.raises(TypeError, match=r"not a stream; accepted .* are for a Relay"):
        list(guard(blocking.messages.with_streaming_response.create(stream=True, **ask)))
    assert no_thread_is_left()


async def test_a_client_is_refused_and_stays_open(waiting, blocking):
    for client in (waiting, blocking):
        with pytest.raises(TypeError, match="not a stream but a client"):
            guard(client)
        assert not client.is_closed()


def test_limits_of_another_kind_are_refused():
    with pytest.raises(TypeError, match=r"limits must be a finalstop.Limits"):
        guard(WHOLE, limits={"idle_s": 1})  # type: ignore[call-overload]


def test_a_stream_error_survives_pickling():
    _, error = ending_of_sync(lambda: WHOLE[:3], LONG)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is StreamError
    assert (str(copy), copy.reason, copy.receipt) == (str(error), R.TRUNCATED, error.receipt)
    assert copy.partial == error.partial != {}


async def test_a_guard_reads_events_and_says_so_of_all_else():
    with pytest.raises(TypeError, match="gives bytes; guard reads events"):
        await events_of(later([b"data: {}"]))
    with pytest.raises(TypeError, match="gives bytes; guard reads events"):
        list(guard([b"data: {}"]))
    with pytest.raises(TypeError, match="gave str; events or bytes"):
        list(guard(["a text stream"]))
    assert no_thread_is_left()


async def test_an_awaitable_of_a_sync_stream_is_refused():
    async def asking():
        return iter(WHOLE)

    with pytest.raises(TypeError, match="await it, and guard what it gives"):
        await events_of(asking())


async def test_a_guard_is_iterated_once():
    guarded, blocked = guard(later(WHOLE)), guard(WHOLE)
    assert [it async for it in guarded] == list(blocked) == WHOLE
    with pytest.raises(RuntimeError, match="iterated once"):
        [it async for it in guarded]
    with pytest.raises(RuntimeError, match="iterated once"):
        list(blocked)


async def test_a_guard_that_is_never_iterated_closes_what_it_was_given():
    class Given(list):
        closed = False

        def close(self):
            self.closed = True

    thing = Given(WHOLE)
    with guard(thing):
        pass
    assert thing.closed
    items = later(WHOLE)
    async with guard(items):
        pass
    assert [it async for it in items] == []


# -- types ----------------------------------------------------------------------------------------


async def the_type_of_an_event_is_kept(
    waiting: anthropic.AsyncAnthropic, blocking: anthropic.Anthropic
) -> None:
    """Read by mypy alone."""
    asking: list[anthropic.types.MessageParam] = []
    helper = guard(waiting.messages.stream(model="m", max_tokens=9, messages=asking))
    assert_type(helper, AsyncGuard[ParsedMessageStreamEvent[None]])
    raw = guard(waiting.messages.create(model="m", stream=True, max_tokens=9, messages=asking))
    assert_type(raw, AsyncGuard[RawMessageStreamEvent])
    raw_open = await waiting.messages.create(model="m", stream=True, max_tokens=9, messages=asking)
    assert_type(guard(raw_open), AsyncGuard[RawMessageStreamEvent])
    sync_helper = guard(blocking.messages.stream(model="m", max_tokens=9, messages=asking))
    assert_type(sync_helper, Guard[ParsedMessageStreamEvent[None]])
    sync_raw = blocking.messages.create(model="m", stream=True, max_tokens=9, messages=asking)
    assert_type(guard(sync_raw), Guard[RawMessageStreamEvent])
    assert_type(guard([1]), Guard[int])
    async for event in helper:
        assert_type(event, ParsedMessageStreamEvent[None])
    with guard([1]) as numbers:
        for number in numbers:
            assert_type(number, int)
