"""Pumping an object: in order, never before `pump` returns, and nothing left at its end."""

import asyncio
import contextlib
import gc
import re
import threading
import time

import pytest

from finalstop.core.endings import EndReason as R
from finalstop.upstream import objects
from finalstop.upstream.objects import AHEAD_MAX, ObjectCall, check, discard, pump
from tests.faults.belongings import belongings, leaks

# objects.py: the order of calls on an ObjectSink, one letter each; a beginning of it is in order.
ORDER = re.compile(r"c?w?(?:R?[de]*[ft.]?|r)?")
SECRET = "a prompt that nobody else may read"


class Sink:
    """Writes down what it hears, refuses to hear it in the wrong order, and may act on it."""

    def __init__(self, on_data=lambda _call: None):
        self.said, self.letters = [], ""
        self.call: ObjectCall | None = None
        self.over = asyncio.Event()
        self.on_data = on_data

    def note(self, letter, *what):
        assert self.call is not None, "pushed before pump() returned"
        self.letters += letter
        assert ORDER.fullmatch(self.letters), f"out of order: {self.letters}"
        self.said.append(what)

    def connected(self):
        self.note("c", "connected")

    def written(self):
        self.note("w", "written")

    def responded(self, head):
        self.note("R", "responded", head.status)

    def data(self, chunk):
        self.note("d", chunk)
        self.on_data(self.call)

    def events(self, events):
        self.note("e", *events)
        self.on_data(self.call)

    def eof(self):
        self.note(".", "eof")
        self.over.set()

    def refused(self, head, body):
        self.note("r", "refused", head.status, body)
        self.over.set()

    def failed(self, reason, detail):
        self.note("f", reason, detail)
        self.over.set()

    def timed_out(self, detail):
        self.note("t", "timed out", detail)
        self.over.set()

    async def ended(self):
        async with asyncio.timeout(5):
            await self.over.wait()
            assert self.call is not None
            await asyncio.wait([self.call.task])
        return self.said


def pumping(thing, on_data=lambda _call: None):
    sink = Sink(on_data)
    sink.call = pump(thing, sink)
    return sink


class Pieces:
    """An object of either kind that gives what it is told to, and then fails, ends, or blocks."""

    def __init__(self, *items, error=None, blocks=False):
        self.items, self.error, self.blocks = items, error, blocks
        self.given = 0
        self.closed = False
        self.unblocked = threading.Event()

    def close(self):
        self.closed = True


class InThread(Pieces):
    def __iter__(self):
        for item in self.items:
            self.given += 1
            yield item
        if self.error is not None:
            raise self.error
        if self.blocks:
            assert self.unblocked.wait(5)


class InLoop(Pieces):
    async def __aiter__(self):
        for item in self.items:
            self.given += 1
            yield item
            await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.blocks:
            await asyncio.sleep(60)


class Answered(InLoop):
    """The same with a response before it."""

    def __init__(self, status, *items, **how):
        super().__init__(*items, **how)
        self.status = status
        self.headers = {"content-type": "text/event-stream"}


BOTH = pytest.mark.parametrize("kind", [InLoop, InThread])


# -- what is told ---------------------------------------------------------------------------------


@BOTH
async def test_pieces_are_pushed_in_order_and_then_the_end(kind):
    thing = kind(b"one", {"type": "a"}, {"type": "text"}, b"", b"two")
    said = await pumping(thing).ended()
    assert said == [(b"one",), (b'{"type":"a"}',), (b"two",), ("eof",)]
    assert thing.closed


@BOTH
async def test_nothing_is_pushed_before_pump_has_returned(kind):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
    sink = pumping(kind(b"one"))
    loop.set_task_factory(None)
    assert await sink.ended() == [(b"one",), ("eof",)]


async def test_an_object_that_is_open_has_a_connection_from_the_start():
    assert await pumping(Answered(200, b"one")).ended() == [
        ("connected",), ("written",), ("responded", 200), (b"one",), ("eof",),
    ]  # fmt: skip


async def test_an_object_still_to_be_opened_has_a_connection_with_its_head():
    async def opening():
        return Answered(200, b"one")

    said = await pumping(opening()).ended()
    assert said[:2] == [("connected",), ("responded", 200)]


@pytest.mark.parametrize("status", [307, 404, 529])
async def test_another_status_is_a_refusal_with_its_body(status):
    said = await pumping(Answered(status, b"one", b"two")).ended()
    assert said[2:] == [("refused", status, b"onetwo")]


async def test_a_refusal_is_cut_at_its_bound(monkeypatch):
    monkeypatch.setattr(objects, "REFUSAL_BYTES", 5)
    assert (await pumping(Answered(500, b"one", b"two", b"three")).ended())[-1] == (
        "refused", 500, b"onetw",
    )  # fmt: skip


async def test_a_refusal_that_breaks_off_or_never_ends_is_told_all_the_same(monkeypatch):
    broken = Answered(500, b"one", error=OSError())
    assert (await pumping(broken).ended())[-1] == ("refused", 500, b"one")
    monkeypatch.setattr(objects, "REFUSAL_S", 0.01)
    endless = Answered(500, b"one", blocks=True)
    assert (await pumping(endless).ended())[-1] == ("refused", 500, b"one")
    assert endless.closed


class SaidByTheSDK(Exception):
    def __init__(self):
        super().__init__(SECRET)
        self.status_code, self.headers = 200, {"content-type": "text/event-stream"}
        self.body = {"type": "error", "error": {"type": "overloaded_error"}}


# what is raised, and what the sink hears of it
RAISED = [
    (
        RuntimeError(SECRET),
        (R.INTERNAL_ERROR, "The fault is in the source, which raised RuntimeError."),
    ),
    (TimeoutError(), ("timed out", "The client's own timeout ran out (TimeoutError).")),
    (ConnectionResetError(), (R.TRUNCATED, "The connection broke off (ConnectionResetError).")),
]


@BOTH
@pytest.mark.parametrize(("error", "told"), RAISED, ids=[type(row[0]).__name__ for row in RAISED])
async def test_what_the_object_raises_is_an_ending(kind, error, told):
    thing = kind(b"one", error=error)
    assert await pumping(thing).ended() == [(b"one",), told]
    assert thing.closed


@BOTH
async def test_an_error_event_that_was_raised_is_told_as_an_event(kind):
    said = await pumping(kind(error=SaidByTheSDK())).ended()
    assert said == [(b'{"type":"error","error":{"type":"overloaded_error"}}',), ("eof",)]


@BOTH
async def test_an_item_that_says_nothing_we_know_is_our_callers_mistake(kind):
    [(reason, detail)] = await pumping(kind(SECRET)).ended()
    told = "The source cannot be read: the source gave str; events or bytes are needed."
    assert (reason, detail) == (R.INTERNAL_ERROR, told)


@BOTH
async def test_what_went_wrong_in_a_source_is_logged_with_its_traceback(kind, caplog):
    await pumping(kind(error=KeyError(SECRET))).ended()
    [record] = [it for it in caplog.records if it.name == "finalstop"]
    assert record.levelname == "ERROR"
    assert isinstance(record.exc_info[1], KeyError)
    assert SECRET not in record.getMessage()


@BOTH
async def test_what_a_network_does_is_no_fault_to_be_logged(kind, caplog):
    await pumping(kind(error=ConnectionResetError())).ended()
    assert [it for it in caplog.records if it.name == "finalstop"] == []


async def test_a_thread_that_is_told_to_exit_ends_the_stream_too():
    [(reason, _)] = await pumping(InThread(error=SystemExit())).ended()
    assert reason is R.INTERNAL_ERROR


async def test_a_call_that_is_cancelled_from_outside_ends_its_stream():
    sink = pumping(InLoop(blocks=True))
    await asyncio.sleep(0.01)
    sink.call.task.cancel()
    assert await sink.ended() == [(R.INTERNAL_ERROR, "The source was cancelled from outside.")]


@pytest.mark.parametrize("thing", [7, "text", {"type": "ping"}, None])
def test_what_is_no_stream_is_refused_before_anything_starts(thing):
    with pytest.raises(TypeError, match="is not a stream; accepted are"):
        check(thing)
    check([])


async def test_an_answer_that_was_not_streamed_is_told_what_to_do_instead():
    async def create():
        return 7

    [(reason, detail)] = await pumping(create()).ended()
    assert reason is R.INTERNAL_ERROR
    assert detail.startswith("The source cannot be read: int is not a stream; accepted are ")
    assert "create(stream=True)" in detail


async def test_the_second_who_is_given_the_same_coroutine_is_told_so():
    async def create():
        await asyncio.sleep(0)
        return [b"one"]

    asked = create()
    first, second = pumping(asked), pumping(asked)
    assert await first.ended() == [(b"one",), ("eof",)]
    [(_, detail)] = await second.ended()
    assert "was used already" in detail


@pytest.mark.filterwarnings("error")
async def test_a_discarded_coroutine_does_not_complain_that_nobody_awaited_it():
    class Manager:
        def __init__(self):
            self._request = asyncio.sleep(0)

    things: list[object] = [asyncio.sleep(0), Manager(), 7]
    while things:
        discard(things.pop())
    gc.collect()


async def test_a_coroutine_that_somebody_awaits_is_not_discarded():
    asked = asyncio.sleep(0, "an answer")
    task = asyncio.get_running_loop().create_task(asked)
    await asyncio.sleep(0)
    discard(asked)
    assert await task == "an answer"


# -- letting go -----------------------------------------------------------------------------------


@BOTH
async def test_after_cancel_the_sink_hears_nothing_and_the_object_is_closed(kind):
    before = belongings()
    thing = kind(b"one", b"two", b"three", blocks=True)
    thing.unblocked.set()
    sink = pumping(thing, on_data=lambda call: call.cancel())
    async with asyncio.timeout(2):
        await asyncio.wait([sink.call.task])
    assert sink.said == [(b"one",)]
    assert thing.closed
    sink.call.cancel()
    sink.call.release()
    assert await leaks(before) == []


@BOTH
async def test_a_cancel_before_the_first_step_closes_what_was_given(kind):
    thing = kind(b"one")
    sink = pumping(thing)
    sink.call.cancel()
    await asyncio.wait([sink.call.task])
    assert sink.said == []
    assert (thing.closed, thing.given) == (True, 0)


async def test_a_coroutine_that_is_cancelled_at_once_complains_of_nothing():
    async def asking():
        await asyncio.sleep(60)

    sink = pumping(asking())
    sink.call.cancel()
    async with asyncio.timeout(1):
        await asyncio.wait([sink.call.task])
    assert sink.said == []


async def test_a_release_before_there_is_anything_to_drain_is_a_cancel():
    async def asking():
        await asyncio.sleep(60)

    sink = pumping(asking())
    await asyncio.sleep(0)
    sink.call.release()
    async with asyncio.timeout(1):
        await asyncio.wait([sink.call.task])
    assert sink.call.task.cancelled()


@BOTH
async def test_a_released_object_is_read_to_its_end(kind):
    before = belongings()
    thing = kind(b"one", b"two", b"three")
    sink = pumping(thing, on_data=lambda call: call.release())
    await asyncio.wait([sink.call.task])
    assert sink.said == [(b"one",)]
    assert (thing.given, thing.closed) == (3, True)
    assert await leaks(before) == []


@BOTH
async def test_what_is_drained_is_bounded_in_bytes(kind, monkeypatch):
    monkeypatch.setattr(objects, "DRAIN_BYTES", 10)
    thing = kind(b"one", *[b"five5"] * 100)
    sink = pumping(thing, on_data=lambda call: call.release())
    await asyncio.wait([sink.call.task])
    assert thing.given <= 3 + AHEAD_MAX + 1
    assert thing.closed


async def test_what_is_drained_is_bounded_in_time(monkeypatch):
    monkeypatch.setattr(objects, "DRAIN_S", 0.02)
    thing = InLoop(b"one", blocks=True)
    began = time.monotonic()
    sink = pumping(thing, on_data=lambda call: call.release())
    await asyncio.wait([sink.call.task])
    assert thing.closed
    assert time.monotonic() - began < 0.2


async def test_an_error_while_draining_is_nobodys_news():
    sink = pumping(InLoop(b"one", error=OSError()), on_data=lambda call: call.release())
    await asyncio.wait([sink.call.task])
    assert sink.said == [(b"one",)]


async def test_a_cancel_cannot_interrupt_the_closing():
    class Slow(InLoop):
        async def aclose(self):
            await asyncio.sleep(0.05)
            self.closed = True

    thing = Slow(b"one")
    sink = pumping(thing)
    await sink.over.wait()
    await asyncio.sleep(0.01)
    sink.call.cancel()
    await asyncio.wait([sink.call.task])
    assert thing.closed


# -- threads --------------------------------------------------------------------------------------


async def test_a_thread_is_never_far_ahead_of_the_loop():
    thing = InThread(*[b"one"] * 1000)
    sink = pumping(thing)
    await asyncio.sleep(0)  # the thread runs from here on
    thing.unblocked.wait(0.05)  # the loop is busy
    assert thing.given <= len(sink.said) + AHEAD_MAX + 1
    await sink.ended()
    assert len(sink.said) == 1001


async def test_a_thread_that_cannot_be_woken_is_left_and_closes_the_object_when_it_can(monkeypatch):
    monkeypatch.setattr(objects, "CLOSE_S", 0.01)
    thing = InThread(b"one", blocks=True)
    sink = pumping(thing, on_data=lambda call: call.cancel())
    async with asyncio.timeout(1):
        await asyncio.wait([sink.call.task])
    assert not thing.closed
    thing.unblocked.set()
    await until(lambda: thing.closed)


async def test_a_thread_still_opening_when_it_is_cancelled_reads_nothing(monkeypatch):
    monkeypatch.setattr(objects, "CLOSE_S", 0.01)
    thing = InThread(b"one")
    opening, opened = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def door():
        opening.set()
        assert opened.wait(5)
        yield thing

    sink = pumping(door())
    await until(opening.is_set)
    sink.call.cancel()
    await asyncio.wait([sink.call.task])
    opened.set()
    await until(lambda: thing.closed)
    assert (thing.given, sink.said) == (0, [])


def test_a_thread_outlives_a_loop_that_is_closed_only_until_it_notices(monkeypatch):
    monkeypatch.setattr(objects, "CLOSE_S", 0.01)
    thing = InThread(b"one", blocks=True)

    async def begin():
        sink = pumping(thing)
        await until(lambda: sink.said)
        sink.call.task.cancel()
        await asyncio.wait([sink.call.task])

    asyncio.run(begin())
    thing.unblocked.set()
    deadline = time.monotonic() + 5
    while not thing.closed and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: TID251 # there is no loop any more
    assert thing.closed


async def until(true):
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 # what is waited for happens in a thread
            await asyncio.sleep(0.005)
