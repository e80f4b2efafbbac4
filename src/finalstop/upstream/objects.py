"""Objects as an upstream: whatever stream somebody has in their hands, pushed into a sink.

A call is one task; for an object that blocks it is also one thread, which hands every piece to the
loop. As in calls.py, it does not know when a stream is over: its sink says so, with `release` or
`cancel`. No SDK and no HTTP library is imported.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Protocol, assert_never

from finalstop.core.endings import EndReason
from finalstop.upstream.contract import ResponseHead, Sink
from finalstop.upstream.object_events import Piece, piece_of
from finalstop.upstream.object_failures import (
    Failed,
    Refused,
    Said,
    TimedOut,
    Verdict,
    verdict_on,
)
from finalstop.upstream.object_kinds import head_of, refuse, response_of, shape_of
from finalstop.upstream.object_wells import CLOSE_S, AsyncWell, SyncWell

# After the last byte that matters, and of a refusal: the same bounds as for our own client.
DRAIN_S: Final = 1.0
DRAIN_BYTES: Final = 64 * 1024
REFUSAL_S: Final = 2.0
REFUSAL_BYTES: Final = 64 * 1024

# Pieces that a thread may be ahead of the loop: enough never to wait on a loop that keeps up, few
# enough that a flood stays in the kernel's buffers.
AHEAD_MAX: Final = 16

_log: Final = logging.getLogger("finalstop")


class ObjectSink(Sink, Protocol):
    """A sink that also takes what has no bytes.

    The order of calls, for one object; there is no `responded` where an iterator has no response
    behind it:

        connected? written? ( responded? (data | events)* (eof | failed | timed_out) | refused )
    """

    def events(self, events: Sequence[bytes]) -> None:
        """Whole events as JSON, from a source that has no bytes."""

    def timed_out(self, detail: str) -> None:
        """The client's own timeout ran out: a first-content or an idle timeout."""


def check(thing: object) -> None:
    """Refuse what is no stream, as far as that can be told without awaiting or entering it.

    Raises:
        TypeError: it names what was given and what is accepted.
    """
    if shape_of(thing) is None:
        raise refuse(thing)


def discard(thing: object) -> None:
    """Close the coroutine that `thing` is or holds: nobody is going to await it.

    Python would complain of that later. One that was begun is somebody else's, and is left alone.
    """
    for it in (thing, *getattr(thing, "__dict__", {}).values()):
        if inspect.iscoroutine(it) and inspect.getcoroutinestate(it) == inspect.CORO_CREATED:
            it.close()


def pump(thing: object, sink: ObjectSink) -> ObjectCall:
    """Start to read `thing`; what comes of it is pushed into `sink`. Returns at once.

    Call it inside a running loop. Nothing is pushed before it has returned. The object is used up:
    it is closed at the end, also one that was opened by somebody else.
    """
    return ObjectCall(thing, sink)


class ObjectCall:
    """One object being read; a `contract.Call`. `task` is over when the object is closed."""

    def __init__(self, thing: object, sink: ObjectSink) -> None:
        self._sink: ObjectSink | None = sink
        self._loop: Final = asyncio.get_running_loop()
        self._well: Final = AsyncWell(thing)
        # What is open already has a connection and a written request. What is not gets no
        # `written`: its silence counts from the opening of the stream.
        self._given_open: Final = head_of(response_of(thing)) is not None
        self._worker: _Worker | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[ResponseHead, bytearray] | None = None
        self._drain_bytes_left = 0
        self._started = self._reading = self._leaving = self._closing = False
        # Not loop.create_task: an eager task factory would push before `pump` has returned.
        self.task: Final = asyncio.Task(self._run(), loop=self._loop, name="object-call")

    def release(self) -> None:
        """Let the sink go and the connection live, if its body ends within the drain's bounds."""
        if self._sink is None:
            return
        if not self._reading:
            self.cancel()
            return
        self._sink = None
        self._drain_bytes_left = DRAIN_BYTES
        self._arm(DRAIN_S, self.cancel)

    def cancel(self) -> None:
        """Let the sink go and close the object now, whatever was under way on it."""
        self._sink = None
        self._leaving = True
        self._disarm()
        if self._worker is not None:
            self._worker.leave()
        if self._started:
            self._interrupt()
        else:
            # A coroutine that never ran at all would complain when it is thrown away.
            self._loop.call_soon(self._interrupt)

    def _interrupt(self) -> None:
        # From inside the task, or once it closes, there is nothing to interrupt but the closing.
        if not self._closing and asyncio.current_task(self._loop) is not self.task:
            self.task.cancel()

    # --- the reading ---

    async def _run(self) -> None:
        self._started = True
        try:
            await self._read()
        except asyncio.CancelledError:
            # Only `cancel` empties the sink first: then this is somebody else's doing, a loop
            # that shuts down for one, and the stream must not wait for its deadline.
            self._end(Failed(EndReason.INTERNAL_ERROR, "The source was cancelled from outside."))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a source raises is an ending
            self.broke(error)
        finally:
            self._closing = True
            self._disarm()
            await self._close()

    async def _read(self) -> None:
        if self._given_open and self._sink is not None:
            self._sink.connected()
            self._sink.written()
        opened = await self._well.open()
        if isinstance(opened, SyncWell):
            self._worker = _Worker(opened, self, self._loop, leaving=self._leaving)
            await self._worker.over.wait()
        elif not self._leaving:
            self.opened(self._well.response)
            await self._read_in_loop(opened)

    async def _read_in_loop(self, items: AsyncIterator[Any]) -> None:
        async for item in items:
            piece = piece_of(item)
            if piece is not None and not self.take(piece):
                return
        self.finished()

    async def _close(self) -> None:
        if self._worker is not None:
            self._worker.leave()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._worker.over.wait()
        await self._well.close()

    # --- what the reading tells, always in the loop ---

    def opened(self, response: object | None) -> None:
        """It can be read; `response` is what is behind it, if anything is."""
        self._reading = True
        head = head_of(response)
        if head is None or self._sink is None:
            return
        if not self._given_open:
            self._sink.connected()
        if 200 <= head.status < 300:
            self._sink.responded(head)
        else:
            self._refusal = (head, bytearray())
            self._arm(REFUSAL_S, self._refuse)

    def take(self, piece: Piece) -> bool:
        """Take a piece; whether there is to be another."""
        if self._refusal is not None:
            return self._take_of_refusal(piece)
        if self._sink is None:
            self._drain_bytes_left -= len(piece.data)
        elif piece.is_event:
            self._sink.events([piece.data])
        elif piece.data:
            self._sink.data(piece.data)
        return self._sink is not None or (not self._leaving and self._drain_bytes_left > 0)

    def finished(self) -> None:
        """There are no more pieces."""
        if self._refusal is not None:
            self._refuse()
        elif self._sink is not None:
            sink, self._sink = self._sink, None
            sink.eof()

    def broke(self, error: BaseException) -> None:
        """The object raised `error`."""
        if self._refusal is not None:
            self._refuse()
        elif self._sink is not None:
            verdict = verdict_on(error)
            if isinstance(verdict, Failed) and verdict.reason is EndReason.INTERNAL_ERROR:
                # The wire hides what it says; whoever has to mend it finds it here.
                _log.error("A stream ended: %s", verdict.detail, exc_info=error)
            self._end(verdict)

    def _take_of_refusal(self, piece: Piece) -> bool:
        assert self._refusal is not None
        _, body = self._refusal
        body += piece.data
        if len(body) < REFUSAL_BYTES:
            return not self._leaving
        self._refuse()
        return False

    def _refuse(self) -> None:
        assert self._refusal is not None
        head, body = self._refusal
        self._end(Refused(head, bytes(body[:REFUSAL_BYTES])))
        self.cancel()

    def _end(self, verdict: Verdict) -> None:
        if self._sink is None:
            return
        if isinstance(verdict, Said):
            self._sink.events([verdict.event])
            self.finished()
            return
        sink, self._sink = self._sink, None
        match verdict:
            case Failed(reason=reason, detail=detail):
                sink.failed(reason, detail)
            case TimedOut(detail=detail):
                sink.timed_out(detail)
            case Refused(head=head, body=body):
                sink.refused(head, body)
            case _:
                assert_never(verdict)

    # --- time ---

    def _arm(self, delay_s: float, act: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._loop.call_later(delay_s, act)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Worker:
    """The thread that reads an object which blocks, and hands what it reads to the loop."""

    def __init__(
        self,
        well: SyncWell,
        call: ObjectCall,
        loop: asyncio.AbstractEventLoop,
        *,
        leaving: bool,
    ) -> None:
        self.over: Final = asyncio.Event()
        self._well = well
        self._call = call
        self._loop = loop
        self._leaving = leaving
        self._ahead = threading.Semaphore(AHEAD_MAX)
        # A daemon: where it cannot be woken, it must not keep the process from its end. In a copy
        # of the context, because a client's tracing finds its parent there.
        threading.Thread(
            target=copy_context().run, args=(self._run,), name="finalstop-object", daemon=True
        ).start()

    def leave(self) -> None:
        """Wake the thread, wherever it waits, to close the object. May be called twice."""
        self._leaving = True
        self._ahead.release()
        self._well.cut()

    # --- in the thread ---

    def _run(self) -> None:
        try:
            if not self._leaving:
                self._read()
        except BaseException as error:  # noqa: BLE001 - no stream may wait for a dead thread
            self._tell(self._call.broke, error)
        finally:
            self._well.close()
            self._tell(self.over.set)

    def _read(self) -> None:
        items = self._well.open()
        self._tell(self._call.opened, self._well.response)
        for item in () if self._leaving else items:
            piece = piece_of(item)
            if piece is None:
                continue
            self._ahead.acquire()
            if self._leaving:
                return
            self._tell(self._take, piece)
        self._tell(self._call.finished)

    def _tell(self, hear: Callable[..., object], *what: object) -> None:
        # A loop that is closed hears nothing any more: then there is nobody to read for.
        try:
            self._loop.call_soon_threadsafe(hear, *what)
        except RuntimeError:
            self._leaving = True

    # --- in the loop ---

    def _take(self, piece: Piece) -> None:
        self._ahead.release()
        if not self._leaving and not self._call.take(piece):
            self.leave()
