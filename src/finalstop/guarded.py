"""Guard: the SDK's own stream, event by event, with an end that cannot be missed.

    async for event in finalstop.guard(client.messages.stream(...)): ...
    for event in finalstop.guard(client.messages.create(..., stream=True)): ...

It yields what the stream yields, unchanged, and stops right after `message_stop`. Whatever else
happens (silence, an end too early, an error) raises `StreamError`, which says why. The lifecycle
judges, as in a relay; here are only the two ways of waiting for it, one for each kind of stream.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, Final, Generic, Self, TypeVar, assert_never, overload

from finalstop.core.endings import EndReason
from finalstop.core.events import Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS, Limits, limits_of
from finalstop.core.receipt import Ended, Receipt
from finalstop.core.timers import SWEEP_S, due
from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.object_events import piece_of
from finalstop.upstream.object_failures import Failed, Refused, Said, TimedOut, verdict_on
from finalstop.upstream.object_kinds import NotAStreamError, Shape, head_of, refuse, shape_of
from finalstop.upstream.object_wells import CLOSE_S, AsyncWell, SyncWell
from finalstop.wire.anthropic import Malformed, decode_event, decode_refusal, request_id_of
from finalstop.wire.message import MessageAccumulator
from finalstop.wire.sse import Frame

# After `message_stop`, for the body's own end, so that its connection can be used again. A
# healthy one comes with it; the caller waits for nothing longer.
DRAIN_S: Final = 0.1
DRAIN_ITEMS: Final = 64

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class StreamError(Exception):
    """A stream that did not end well; what the client raised, if it did, is its `__cause__`.

    Attributes:
        reason: why it ended.
        receipt: the account of the stream.
        partial: the Message as far as it came; {} before `message_start`.
    """

    def __init__(self, ended: Ended, partial: dict[str, Any]) -> None:
        super().__init__(ended.error["message"])
        self.reason: EndReason = ended.receipt.reason
        self.receipt: Receipt = ended.receipt
        self.partial = partial
        self._ended = ended

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._ended, self.partial)


@overload
def guard(stream: AsyncIterable[T], *, limits: Limits | None = None) -> AsyncGuard[T]: ...
@overload
def guard(
    stream: AbstractAsyncContextManager[AsyncIterable[T], Any] | Awaitable[AsyncIterable[T]],
    *,
    limits: Limits | None = None,
) -> AsyncGuard[T]: ...
@overload
def guard(stream: Iterable[T], *, limits: Limits | None = None) -> Guard[T]: ...
@overload
def guard(
    stream: AbstractContextManager[Iterable[T], Any], *, limits: Limits | None = None
) -> Guard[T]: ...
def guard(stream: object, *, limits: Limits | None = None) -> AsyncGuard[Any] | Guard[Any]:
    """Watch over a stream of events: iterate the result instead of `stream`, once.

    Args:
        stream: what `client.messages.stream(...)` or `client.messages.create(stream=True)` give,
            sync or async, or any iterable of events, or a context manager or an awaitable of one.
            Nothing may have been read from it. It is closed at the end.
        limits: of these, `first_content_s`, `idle_s`, `deadline_s` and `stream_bytes` count here.

    Raises:
        TypeError: it is no stream of events.
    """
    bounds = limits_of(limits, DEFAULTS)
    match shape_of(stream, raw=False):
        case Shape.AWAITABLE | Shape.ASYNC_READABLE | Shape.ASYNC_CONTEXT:
            return AsyncGuard(stream, bounds)
        case Shape.SYNC_READABLE | Shape.SYNC_CONTEXT:
            return Guard(stream, bounds)
        case None:
            raise refuse(stream, raw=False)


class AsyncGuard(Generic[T_co]):
    """A guarded async stream. Made by `guard`; iterate it with `async for`, once.

    Leaving early closes the upstream: at once inside `async with`, else when the loop gets to it.

    Attributes:
        receipt: the account of the stream; None until it has ended.
    """

    def __init__(self, stream: object, limits: Limits) -> None:
        self.receipt: Receipt | None = None
        self._well = AsyncWell(stream, raw=False)
        self._judge = _Judge(limits)

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self._items()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._well.close()

    async def _items(self) -> AsyncIterator[T_co]:
        judge = self._judge
        judge.begin()
        try:
            items = await self._within(self._well.open)
            if isinstance(items, SyncWell):
                items.close()
                raise TypeError("an awaitable of a sync stream: await it, and guard what it gives")
            judge.opened(self._well.response)
            while judge.ended is None:
                item = await self._within(items.__anext__)
                judge.take(item)
                yield item
            await self._drain(items)
        finally:
            self.receipt = judge.receipt
            await self._well.close()

    async def _within(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """What `step` gives, if it gives it in time."""
        judge = self._judge
        scope = asyncio.timeout(judge.patience_s())
        try:
            async with scope:
                return await step()
        except StopAsyncIteration:
            raise judge.eof() from None
        except Exception as error:
            if scope.expired():
                raise judge.late() from None
            raise judge.broke(error) from error

    async def _drain(self, items: AsyncIterator[Any]) -> None:
        # Everything after `message_stop` is discarded, the end of the items and errors included.
        with suppress(Exception):
            async with asyncio.timeout(DRAIN_S):
                for _ in range(DRAIN_ITEMS):
                    await anext(items)


class Guard(Generic[T_co]):
    """A guarded sync stream. Made by `guard`; iterate it with `for`, once.

    The stream is read by a thread of its own, one step per item asked for, so that waiting for it
    can end. Leaving early closes the upstream.

    Attributes:
        receipt: the account of the stream; None until it has ended.
    """

    def __init__(self, stream: object, limits: Limits) -> None:
        self.receipt: Receipt | None = None
        self._well = SyncWell(stream, raw=False)
        self._judge = _Judge(limits)
        self._hand: _Hand | None = None

    def __iter__(self) -> Iterator[T_co]:
        return self._items()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._hand is None:
            self._well.close()
        else:
            self._hand.leave()

    def _items(self) -> Iterator[T_co]:
        judge = self._judge
        judge.begin()
        self._hand = hand = _Hand(self._well)
        try:
            items: Iterator[T_co] = self._within(self._well.open)
            judge.opened(self._well.response)
            while judge.ended is None:
                item = self._within(items.__next__)
                judge.take(item)
                yield item
            self._drain(items)
        finally:
            self.receipt = judge.receipt
            hand.leave()

    def _within(self, step: Callable[[], Any]) -> Any:
        """What `step` gives, if it gives it in time."""
        judge = self._judge
        within_s = judge.patience_s()
        assert self._hand is not None
        try:
            return self._hand.do(step, within_s)
        except StopIteration:
            raise judge.eof() from None
        except _LateError:
            raise judge.late() from None
        except Exception as error:
            raise judge.broke(error) from error

    def _drain(self, items: Iterator[Any]) -> None:
        assert self._hand is not None
        until = time.monotonic() + DRAIN_S
        # Everything after `message_stop` is discarded, the end of the items and errors included.
        with suppress(Exception):
            for _ in range(DRAIN_ITEMS):
                self._hand.do(items.__next__, until - time.monotonic())


class _LateError(Exception):
    """The step is not done; nobody waits for it any more."""


class _Hand:
    """A thread that does one step of a sync stream at a time, for one who may stop waiting."""

    def __init__(self, well: SyncWell) -> None:
        self._well = well
        self._steps: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        # A daemon: where it cannot be woken, it must not keep the process from its end.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="finalstop-guard", daemon=True
        )
        self._thread.start()

    def do(self, step: Callable[[], Any], within_s: float) -> Any:
        """What `step` gives or raises. After a `_LateError` only `leave` may follow."""
        self._steps.put(step)
        try:
            result, error = self._done.get(timeout=max(0.0, within_s))
        except queue.Empty as empty:
            raise _LateError from empty
        if error is not None:
            raise error
        return result

    def leave(self) -> None:
        """Close the stream and end the thread; wakes it where it can. May be called twice."""
        self._steps.put(None)
        self._well.cut()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (step := self._steps.get()) is not None:
            self._done.put(_outcome(step))
        self._well.close()


def _outcome(step: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return step(), None
    except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that asked
        return None, error


class _Judge:
    """The lifecycle of one guarded stream, and the words for its end. It cannot wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._life: Lifecycle | None = None
        self._events: list[Event] = []

    def begin(self) -> None:
        """Start the clocks: once, when the stream is first asked for an item."""
        if self._life is not None:
            raise RuntimeError("this stream was read already; a guard can be iterated once")
        self._life = Lifecycle("guard", self._limits, now=time.monotonic(), resumable=False)

    @property
    def life(self) -> Lifecycle:
        """The lifecycle, once begun."""
        assert self._life is not None
        return self._life

    @property
    def ended(self) -> Ended | None:
        """The terminal event, once there is one."""
        return self.life.ended

    @property
    def receipt(self) -> Receipt | None:
        """The account, once it has ended."""
        return None if self.ended is None else self.ended.receipt

    def opened(self, response: object | None) -> None:
        """Note what the response behind the stream says of itself."""
        head = head_of(response)
        if head is not None:
            self.life.saw_response(request_id_of(head.headers), now=time.monotonic())

    def patience_s(self) -> float:
        """How long to wait for the next item.

        A caller that was slow finds what came meanwhile in the socket's buffer: an item is always
        looked for, whatever the content clocks say.

        Raises:
            StreamError: the deadline is over.
        """
        now = time.monotonic()
        if due(self.life.clocks, self._limits, now) is EndReason.DEADLINE:
            raise self.late()
        return max(self.life.next_wakeup - now, SWEEP_S)

    def take(self, item: object) -> None:
        """Judge an item, before it is handed on.

        Raises:
            StreamError: the stream ends with it, and not well.
            TypeError: it is no event.
        """
        piece = piece_of(item)
        if piece is None:
            return
        if not piece.is_event:
            raise TypeError("the stream gives bytes; guard reads events, and a Relay reads both")
        self._hear(piece.data)
        if self.ended is not None and not self.ended.receipt.complete:
            raise self._error()

    def eof(self) -> StreamError:
        """There are no more items."""
        self.life.eof(now=time.monotonic())
        return self._error()

    def late(self) -> StreamError:
        """The next item did not come in time."""
        self.life.tick(now=max(time.monotonic(), self.life.next_wakeup))
        return self._error()

    def broke(self, error: BaseException) -> StreamError:
        """The stream raised `error`, which is raised again if it says that it is no stream."""
        if isinstance(error, NotAStreamError):
            raise error
        now = time.monotonic()
        verdict = verdict_on(error)
        match verdict:
            case Failed(reason=reason, detail=detail):
                self.life.end(reason, detail, now=now)
            case TimedOut(detail=detail):
                waiting = self.life.clocks.content_at is None
                reason = EndReason.FIRST_CONTENT_TIMEOUT if waiting else EndReason.IDLE_TIMEOUT
                self.life.end(reason, detail, now=now)
            case Refused(head=head, body=body):
                self._refused(head, body, now)
            case Said(event=event):
                self._hear(event)
            case _:
                assert_never(verdict)
        return self._error()

    def _refused(self, head: ResponseHead, body: bytes, now: float) -> None:
        self.life.saw_response(request_id_of(head.headers, body), now=now)
        if not 400 <= head.status < 600:
            detail = f"The upstream answered {head.status}, which is neither a stream nor an error."
            self.life.end(EndReason.UPSTREAM_INVALID, detail, now=now)
            return
        http_now = datetime.now(UTC).timestamp()
        refusal = decode_refusal(head.status, head.headers, body, http_now=http_now)
        self.life.refused(refusal, now=now)

    def _hear(self, json: bytes) -> None:
        now = time.monotonic()
        event = decode_event(Frame("", json, "", malformed=False))
        if isinstance(event, Malformed):
            self.life.end(EndReason.UPSTREAM_INVALID, event.detail, now=now)
            return
        self._events += [it for it in self.life.receive([event], now=now) if isinstance(it, Event)]

    def _error(self) -> StreamError:
        assert self.ended is not None
        message = MessageAccumulator()
        for event in self._events:
            message.add(event)
        return StreamError(self.ended, message.message())
