"""One call, straight on its socket: its attempts, its body, its end.

What a read holds reaches the sink inside that read: no task wakes for it. The call's task is there
for what happens once and must be waited for: a connection, the request's way out, the head, the
page beneath a refusal. Once the response streams it ends, and the reads do the rest: an open stream
costs no task. A call knows HTTP and nothing of what the bytes mean, nor when a stream is over: its
sink says so, with `release` or `cancel`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from finalstop.core.endings import EndReason
from finalstop.upstream import bodies, calls
from finalstop.upstream.connections import Connection, Kept
from finalstop.upstream.contract import ResponseHead, Sink
from finalstop.upstream.failures import (
    Failure,
    closed_before_head,
    cut_in_body,
    malformed,
    reset_at_the_end,
    unconnected,
)
from finalstop.upstream.gate import Gate
from finalstop.upstream.inflate import InflateError, Inflater, inflater_for
from finalstop.upstream.reader import Reader
from finalstop.upstream.retry import decide


class DirectAsk(Struct, frozen=True):
    """A request as it goes out: head, blank line included, and body; `at_once`: never gated."""

    head: bytes
    body: bytes
    at_once: bool


class DirectWell(Struct, frozen=True):
    """What all calls of one upstream share.

    Args:
        kept: the connections.
        where: host:port, for messages.
        connect_s: the bound on connecting, for messages; `kept` keeps it.
        inflated_bytes: the most a compressed body may decompress to.
        gate: what has streams that flow read once per tick, and the loop rest.
        open_gate: the one for streams that are read at once: it never closes.
        jitter: chance from [0, 1), for the backoff.
        under_way: the calls that are not over; each enters itself, and takes itself out.
    """

    kept: Kept
    where: str
    connect_s: float
    inflated_bytes: int
    gate: Gate
    open_gate: Gate
    jitter: Callable[[], float]
    under_way: set[DirectCall]


# What an attempt comes to: a failure, the head of a refusal, or None: it streams, and the reads
# tell the rest.
Answer = Failure | ResponseHead | None


class DirectCall:
    """One request under way; a `contract.Call`, and the holder of its connection.

    It is in `well.under_way` until it is over: nothing waits, and no connection is held. `task` is
    to be waited for after `cancel`; it is None once there is nothing to wait for but reads.
    """

    __slots__ = (
        "_answer", "_connection", "_drain_timer", "_drained_bytes", "_gate", "_inflater",
        "_is_reused", "_is_sent", "_loop", "_reader", "_refusal", "_sink", "_streaming", "_well",
        "task",
    )  # fmt: skip

    def __init__(
        self, well: DirectWell, ask: DirectAsk, sink: Sink, *, attempts: int, retry_until: float
    ) -> None:
        self._well: Final = well
        self._sink: Sink | None = sink
        self._loop: Final = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._reader: Reader | None = None
        self._inflater: Inflater | None = None
        self._gate: Final = well.open_gate if ask.at_once else well.gate
        self._is_reused = False
        self._is_sent = False
        self._streaming = False
        self._drained_bytes: int | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._refusal: bodies.RefusalBody | None = None
        # The task's alone, so that they go with it: what was asked may be large.
        run = self._run(ask, attempts=attempts, retry_until=retry_until)
        # Not loop.create_task: an eager task factory would push into the sink before `call`
        # has returned.
        self.task: asyncio.Task[None] | None
        self.task = asyncio.Task(run, loop=self._loop, name="upstream-call")
        self.task.add_done_callback(self._ran)
        well.under_way.add(self)

    def release(self) -> None:
        """Let the sink go and the connection live, if its body ends within the drain's bounds."""
        if self._sink is None:
            return
        if not self._streaming:
            self.cancel()
            return
        self._sink = None
        self._drained_bytes = 0
        self._drain_timer = self._loop.call_later(calls.DRAIN_S, self.cancel)

    def cancel(self) -> None:
        """Let the sink go and close the socket now, whatever was under way on it."""
        self._sink = None
        self._leave()
        if self.task is not None:
            self.task.cancel()

    # --- what the connection tells ---

    def received(self, data: bytes) -> None:
        """A read: what of it is the body goes to the sink, here and now."""
        reader = self._reader
        assert reader is not None
        try:
            complaint = reader.feed(data)
            if reader.head is not None:
                head, reader.head = reader.head, None
                self._begin(head)
            pieces = reader.pieces
            if pieces:
                chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                self._take(chunk)
            if self._reader is not reader:
                return  # the sink has heard enough
            if complaint is not None:
                self._broke(malformed(complaint, self._well.where))
            elif reader.is_whole:
                self._body_over()
            elif self._streaming and self._connection is not None:
                self._gate.after_read(self._connection)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends one call, not the process
            self._crashed(error)

    def lost(self, error: Exception | None) -> None:
        """The connection is gone. Where nothing else frames a body, that is its end."""
        reader = self._reader
        assert reader is not None
        self._well.kept.lost()
        self._connection = None
        where = self._well.where
        try:
            if not reader.has_head:
                self._broke(closed_before_head(where, unread=reader.is_unread))
            elif not reader.until_close:
                self._broke(cut_in_body(where))
            elif error is not None:
                self._broke(reset_at_the_end(where))
            else:
                self._body_over()
        except Exception as bug:  # noqa: BLE001 - as above
            self._crashed(bug)

    # --- the response ---

    def _begin(self, head: ResponseHead) -> None:
        if not 200 <= head.status < 300:
            self._refusal = bodies.RefusalBody(head, self._loop.create_future())
            self._settle(head)
            return
        self._streaming = True
        self._settle(None)
        self._gate.hurry()
        try:
            self._inflater = inflater_for(head, bytes_max=self._well.inflated_bytes)
        except InflateError as error:
            self._broke(Failure(EndReason.UPSTREAM_INVALID, str(error)))
            return
        if self._sink is not None:
            self._sink.responded(head)

    def _take(self, chunk: bytes) -> None:
        sink = self._sink
        if self._refusal is not None:
            self._refusal.take(chunk)
        elif sink is None:
            self._drain(chunk)
        elif self._inflater is None:
            sink.data(chunk)
        else:
            self._inflate(chunk, self._inflater)

    def _drain(self, chunk: bytes) -> None:
        """A released body: read on, up to its bound. A cancelled one is read no more."""
        if self._drained_bytes is None:
            return
        self._drained_bytes += len(chunk)
        if self._drained_bytes > calls.DRAIN_BYTES:
            self.cancel()

    def _inflate(self, chunk: bytes, inflater: Inflater) -> None:
        try:
            for piece in inflater.feed(chunk):
                if self._sink is None:
                    return
                self._sink.data(piece)
        except InflateError as error:
            self._broke(Failure(EndReason.UPSTREAM_INVALID, str(error)))

    def _body_over(self) -> None:
        """The body has ended as its framing says it should."""
        self._leave(is_over=True)
        if self._refusal is not None:
            self._refusal.over()
            return
        if self._inflater is not None and not self._inflater.finished:
            self._fail(EndReason.TRUNCATED, "the compressed body ended before its own end")
        elif self._sink is not None:
            sink, self._sink = self._sink, None
            sink.eof()

    def _broke(self, failure: Failure) -> None:
        """The response will not come, or not to its end."""
        self._leave()
        if self._refusal is not None:
            self._refusal.over()  # the status is the news; a broken page beneath it is not
        elif self._streaming:
            self._fail(failure.reason, failure.detail)
        else:
            self._settle(failure)

    def _crashed(self, error: BaseException) -> None:
        """A bug of ours: it is reported, and ends its call, also where no task carries it."""
        context = {"message": "an upstream call broke", "exception": error}
        self._loop.call_exception_handler(context)
        sink = self._sink
        self.cancel()
        if sink is not None:
            detail = f"the upstream call broke: {type(error).__name__}"
            sink.failed(EndReason.INTERNAL_ERROR, detail)

    def _settle(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    # --- the attempts ---

    async def _run(self, ask: DirectAsk, *, attempts: int, retry_until: float) -> None:
        """All that must be waited for. Next: `_ran`, whatever becomes of it."""
        answer = await self._answered(ask, attempts=attempts, retry_until=retry_until)
        if isinstance(answer, Failure):
            self._fail(answer.reason, answer.detail)
        elif answer is not None:
            await self._refuse(answer)

    def _ran(self, task: asyncio.Task[None]) -> None:
        """The task is over, and so is the call, unless its response streams."""
        self.task = self._answer = None
        if task.cancelled():
            self._leave()
            # Only `cancel` empties the sink first. Else it is somebody else's doing, a loop that
            # shuts down for one: the stream must not wait for its deadline.
            self._fail(EndReason.INTERNAL_ERROR, "the upstream call was cancelled from outside")
        elif (error := task.exception()) is not None:
            self._crashed(error)
        elif not self._streaming or self._connection is None:
            self._leave()

    async def _answered(self, ask: DirectAsk, *, attempts: int, retry_until: float) -> Answer:
        """What is to be told, after the allowed attempts.

        That a kept connection was already dead does not count as one.
        """
        attempt = 1
        while True:
            answer = await self._request(ask, fresh=False)
            if isinstance(answer, Failure) and answer.unread and self._is_reused:
                answer = await self._request(ask, fresh=True)
            if answer is None:
                return None
            delay_s = decide(
                attempt=attempt,
                attempts=attempts,
                outcome=answer.reason if isinstance(answer, Failure) else answer,
                now=self._loop.time(),
                retry_until=retry_until,
                jitter=self._well.jitter(),
            )
            if delay_s is None:
                return answer
            self._leave()
            await asyncio.sleep(delay_s)
            attempt += 1

    async def _request(self, ask: DirectAsk, *, fresh: bool) -> Answer:
        self._refusal = None
        self._is_sent = self._is_reused = False
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        self._reader = Reader()
        try:
            connection = await self._well.kept.take(fresh=fresh)
        except OSError as error:
            return unconnected(error, where=self._well.where, connect_s=self._well.connect_s)
        self._connection = connection
        connection.hold(self)
        self._is_reused = connection.kept_at is not None
        self._gate.hurry()
        if self._sink is not None:
            self._sink.connected()
        connection.listen()
        await self._send(ask, connection, answer)
        return await answer

    async def _send(
        self, ask: DirectAsk, connection: Connection, answer: asyncio.Future[Answer]
    ) -> None:
        """Write the request, as fast as the upstream takes it; stop where it refuses before.

        One that streams before it has read the whole request may still be waiting for the rest.
        """
        if answer.done() or self._connection is None:
            return  # the answer came with the connection
        body = memoryview(ask.body)
        connection.transport.write(ask.head + body[: bodies.WRITE_BYTES])
        at = bodies.WRITE_BYTES
        while (room := connection.room()) is not None or at < len(body):
            if room is None:
                connection.transport.write(body[at : at + bodies.WRITE_BYTES])
                at += bodies.WRITE_BYTES
                continue
            news: set[asyncio.Future[Any]] = {room} if self._streaming else {room, answer}
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
            if (answer.done() and not self._streaming) or self._connection is None:
                return
            if connection.is_closed:
                return  # it will be told as lost
        self._is_sent = True
        # An early answer may have come while the request was still being written.
        if self._sink is not None and not self._streaming:
            self._sink.written()

    async def _refuse(self, head: ResponseHead) -> None:
        refusal = self._refusal
        assert refusal is not None
        body = await refusal.read()
        self._leave()
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.refused(head, body)

    def _fail(self, reason: EndReason, detail: str) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.failed(reason, detail)

    # --- letting go ---

    def _leave(self, *, is_over: bool = False) -> None:
        """Let go of this attempt's connection: kept if all is said on it, else closed now."""
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        reader, connection = self._reader, self._connection
        self._reader = self._connection = None
        if self.task is None:
            self._well.under_way.discard(self)
        if reader is not None:
            reader.close()
        if connection is None:
            return
        if is_over and self._is_sent and reader is not None and reader.is_reusable:
            self._well.kept.keep(connection, self)
        else:
            self._well.kept.abort(connection, self)
