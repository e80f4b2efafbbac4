"""One call: its attempts, its body, its end. The only code that waits on an upstream socket.

A call is one task. It knows HTTP and nothing of what the bytes mean, nor when a stream is over:
its sink says so, with `release` or `cancel`. Whoever makes a call owns its task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from msgspec import Struct
from yarl import URL

from finalstop.core.endings import EndReason
from finalstop.upstream.bodies import (
    Slices,
    head_of,
    next_chunk,
    read_refusal,
    true_cause,
    was_reset,
    watched,
)
from finalstop.upstream.contract import ResponseHead, Sink
from finalstop.upstream.failures import (
    Failure,
    failure_before_head,
    failure_in_body,
    reset_at_the_end,
)
from finalstop.upstream.inflate import InflateError, Inflater, inflater_for
from finalstop.upstream.retry import decide
from finalstop.upstream.sockets import ASKER

# After the last byte that matters: longer or more than this and a new connection is cheaper. Under
# the 1 s within which nothing may outlive its stream (I7), with room for a busy loop.
DRAIN_S: Final = 0.75
DRAIN_BYTES: Final = 64 * 1024


class Ask(Struct, frozen=True):
    """A request as it goes out: checked, with credentials and all headers."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes


class Well(Struct, frozen=True):
    """What all calls of one upstream share.

    Args:
        session: the HTTP client, with its pool.
        where: host:port, for messages.
        connect_s: the bound on connecting, for messages; the pool keeps it.
        inflated_bytes: the most a compressed body may decompress to.
        jitter: chance from [0, 1), for the backoff.
    """

    session: aiohttp.ClientSession
    where: str
    connect_s: float
    inflated_bytes: int
    jitter: Callable[[], float]


def report_broken(task: asyncio.Task[None]) -> None:
    """Tell the loop of the bug that ended a call's task, if one did."""
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "an upstream call broke", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)


class HttpCall:
    """One request under way; a `contract.Call`.

    Start it with `start`, once. `task` is for its owner to hold, and to wait for after `cancel`.
    """

    def __init__(
        self, well: Well, ask: Ask, sink: Sink, *, attempts: int, retry_until: float
    ) -> None:
        self._well: Final = well
        self._ask: Final = ask
        self._sink: Sink | None = sink
        self._attempts: Final = attempts
        self._retry_until: Final = retry_until
        self._loop: Final = asyncio.get_running_loop()
        # Not loop.create_task: an eager task factory would push into the sink before `call`
        # has returned.
        self.task: Final = asyncio.Task(self._run(), loop=self._loop, name="upstream-call")
        self._connection: Connection | None = None
        self._protocol: ResponseHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._response: aiohttp.ClientResponse | None = None
        self._reused = False
        self._streaming = False
        self._drained_bytes: int | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self.wants_fresh = False

    def release(self) -> None:
        """Let the sink go and the connection live, if its body ends within the drain's bounds."""
        if self._sink is None:
            return
        if not self._streaming:
            self.cancel()
            return
        self._sink = None
        self._drained_bytes = 0
        self._drain_timer = self._loop.call_later(DRAIN_S, self.cancel)

    def cancel(self) -> None:
        """Let the sink go and close the socket now, whatever was under way on it."""
        self._sink = None
        self._drained_bytes = None
        self._abort()
        self.task.cancel()

    # --- what the pool and the request tell ---

    def took(self, connection: Connection, *, reused: bool) -> None:
        """A connection is ours, until it goes back to the pool. Part of `sockets.Asker`."""
        self._connection, self._reused = connection, reused
        self._protocol, self._transport = connection.protocol, connection.transport
        if self._sink is not None:
            self._sink.connected()
        if not self._ask.body:
            # aiohttp writes a bare head in this same turn of the loop, and tells nobody.
            self._written()

    def _written(self) -> None:
        # An early answer may come while the request is still being written.
        if self._sink is not None and self._response is None:
            self._sink.written()

    # --- the attempts ---

    async def _run(self) -> None:
        ASKER.set(self)
        try:
            await self._tell(await self._answer())
        except asyncio.CancelledError:
            # Only `cancel` empties the sink first: then this is somebody else's doing, a loop
            # that shuts down for one, and the stream must not wait for its deadline.
            self._fail(EndReason.INTERNAL_ERROR, "the upstream call was cancelled from outside")
            raise
        except Exception as error:
            self._fail(EndReason.INTERNAL_ERROR, f"the upstream call broke: {type(error).__name__}")
            raise
        finally:
            self._sink = None
            self._leave()

    async def _answer(self) -> aiohttp.ClientResponse | Failure:
        """The response or failure to be told, after the allowed attempts."""
        attempt = 1
        while True:
            answer = await self._attempt()
            delay_s = decide(
                attempt=attempt,
                attempts=self._attempts,
                outcome=answer.reason if isinstance(answer, Failure) else head_of(answer),
                now=self._loop.time(),
                retry_until=self._retry_until,
                jitter=self._well.jitter(),
            )
            if delay_s is None:
                return answer
            self._leave()
            await asyncio.sleep(delay_s)
            attempt += 1

    async def _attempt(self) -> aiohttp.ClientResponse | Failure:
        """One attempt, where a kept connection that was already dead does not count as one."""
        self.wants_fresh = False
        answer = await self._request()
        if isinstance(answer, Failure) and answer.unread and self._reused:
            self._leave()
            self.wants_fresh = True
            answer = await self._request()
        return answer

    async def _request(self) -> aiohttp.ClientResponse | Failure:
        ask, well = self._ask, self._well
        try:
            self._response = await well.session.request(
                ask.method,
                ask.url,
                headers=ask.headers,
                data=Slices(ask.body, self._written) if ask.body else None,
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            return failure_before_head(error, where=well.where, connect_s=well.connect_s)
        return self._response

    # --- the answer ---

    async def _tell(self, answer: aiohttp.ClientResponse | Failure) -> None:
        if isinstance(answer, Failure):
            self._fail(answer.reason, answer.detail)
            return
        # A response comes over a connection, and its protocol outlives it.
        assert self._protocol is not None
        head = head_of(answer)
        with watched(answer.content, self._protocol):
            if 200 <= head.status < 300:
                await self._stream(head, answer.content, self._protocol)
            else:
                self._refuse(head, await read_refusal(head, answer.content))

    async def _stream(
        self, head: ResponseHead, content: aiohttp.StreamReader, protocol: ResponseHandler
    ) -> None:
        self._streaming = True
        try:
            inflater = inflater_for(head, bytes_max=self._well.inflated_bytes)
            if self._sink is not None:
                self._sink.responded(head)
            ended = await self._pump(content, inflater)
        except InflateError as error:
            self._fail(EndReason.UPSTREAM_INVALID, str(error))
        except aiohttp.ClientError as error:
            failure = failure_in_body(await true_cause(error, protocol), where=self._well.where)
            self._fail(failure.reason, failure.detail)
        else:
            if ended:
                self._finish(inflater, reset=was_reset(head, protocol))

    async def _pump(self, content: aiohttp.StreamReader, inflater: Inflater | None) -> bool:
        """Every read into the sink; whether the body came to its end."""
        while chunk := await next_chunk(content):
            if self._sink is None:
                if not self._may_drain(chunk):
                    return False
            elif inflater is None:
                self._sink.data(chunk)
            else:
                self._inflate(chunk, inflater)
        return True

    def _inflate(self, chunk: bytes, inflater: Inflater) -> None:
        for piece in inflater.feed(chunk):
            if self._sink is None:
                return
            self._sink.data(piece)

    def _may_drain(self, chunk: bytes) -> bool:
        """Whether a released body may still be read; after `cancel` it may not."""
        if self._drained_bytes is None:
            return False
        self._drained_bytes += len(chunk)
        return self._drained_bytes <= DRAIN_BYTES

    def _finish(self, inflater: Inflater | None, *, reset: bool) -> None:
        if reset:
            failure = reset_at_the_end(self._well.where)
            self._fail(failure.reason, failure.detail)
        elif inflater is not None and not inflater.finished:
            self._fail(EndReason.TRUNCATED, "the compressed body ended before its own end")
        elif self._sink is not None:
            sink, self._sink = self._sink, None
            sink.eof()

    def _refuse(self, head: ResponseHead, body: bytes) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.refused(head, body)

    def _fail(self, reason: EndReason, detail: str) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.failed(reason, detail)

    # --- letting go ---

    def _leave(self) -> None:
        """Let go of this attempt's connection: closed, unless its body has been read to the end.

        At its body's end aiohttp has given it back to the pool, and this finds nothing to close.
        """
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self._abort()
        if self._response is not None:
            self._response.close()
        self._connection = self._protocol = self._transport = self._response = None

    def _abort(self) -> None:
        """Close the socket now: `close` would wait for unsent bytes, and for TLS's goodbye.

        A `Connection` forgets its transport when it goes back to the pool, and what is closing
        is not in the pool: this cannot reach a connection that by now serves another call.
        """
        connection, transport = self._connection, self._transport
        if connection is None or transport is None:
            return
        if connection.transport is transport or transport.is_closing():
            transport.abort()
