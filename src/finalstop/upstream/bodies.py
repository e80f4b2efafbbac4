"""Bodies on their way: a request's in slices, a response's with its connection watched.

It repairs what aiohttp's reader does not tell, and gathers what a refusal says. It may not know of
attempts, sinks or streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.inflate import InflateError, inflater_for

# One write of the request body: small enough that a slow upstream holds little of it in buffers.
WRITE_BYTES: Final = 64 * 1024
# Of a refusal, as much as a person or a program can use, and no waiting for the rest.
REFUSAL_BYTES: Final = 64 * 1024
REFUSAL_S: Final = 2.0


class Slices:
    """A request body, slice by slice, that says when the last one has been written.

    aiohttp warns when it is given more than 1 MiB at once, and its own signals come before the
    write. An iterator and no generator: an unfinished generator leaves a task behind to close it.
    """

    def __init__(self, body: bytes, written: Callable[[], None]) -> None:
        self._body: Final = memoryview(body)
        self._written: Final = written
        self._at = 0

    def __aiter__(self) -> AsyncIterator[memoryview]:
        return self

    async def __anext__(self) -> memoryview:
        if self._at >= len(self._body):
            self._written()
            raise StopAsyncIteration
        piece = self._body[self._at : self._at + WRITE_BYTES]
        self._at += WRITE_BYTES
        return piece


@contextmanager
def watched(content: aiohttp.StreamReader, protocol: ResponseHandler) -> Iterator[None]:
    """Read `content` inside: a reader hears of it when the connection goes, whatever the cause.

    aiohttp 3.14 forgets to: after a malformed chunk it closes the connection and leaves the
    reader of the body waiting for ever.
    """
    closed = protocol.closed

    def tell(_: asyncio.Future[None]) -> None:
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection is gone"))

    if closed is not None:
        closed.add_done_callback(tell)
    try:
        yield
    finally:
        if closed is not None:
            closed.remove_done_callback(tell)


async def next_chunk(content: aiohttp.StreamReader) -> bytes:
    """The next bytes of a body, b"" at its end.

    aiohttp 3.14 has a word of its own for a reader that comes to a connection which is closed
    already, as it is after a malformed chunk: a `RuntimeError`, like a bug of the caller's.

    Raises:
        aiohttp.ClientError: the body broke off.
    """
    try:
        return await content.readany()
    except RuntimeError as error:
        raise aiohttp.ClientPayloadError("the connection is gone") from error


async def true_cause(
    error: aiohttp.ClientError, protocol: ResponseHandler
) -> aiohttp.ClientError | HttpProcessingError:
    """The parser's complaint, where there was one; else `error`. For a dead connection only."""
    if not protocol.is_eof():
        return error
    try:
        await protocol.read()
    except HttpProcessingError as complaint:
        return complaint
    except Exception:  # noqa: BLE001, S110 # whatever else it was, `error` says it better
        pass
    return error


def was_reset(head: ResponseHead, protocol: ResponseHandler) -> bool:
    """Whether a body that has ended was in truth cut by a reset.

    Only where the end of the connection is the end of the body (RFC 9112 section 6.3): aiohttp
    takes a reset for that, too.
    """
    if "content-length" in head.headers or "transfer-encoding" in head.headers:
        return False
    closed = protocol.closed
    return closed is not None and closed.done() and closed.exception() is not None


async def read_refusal(head: ResponseHead, content: aiohttp.StreamReader) -> bytes:
    """The body of a refusal, or as much of it as comes in time and fits; it never fails."""
    body = bytearray()
    # The status is the news; a broken or endless page beneath it is not.
    with suppress(TimeoutError, aiohttp.ClientError, InflateError):
        inflater = inflater_for(head, bytes_max=REFUSAL_BYTES)
        async with asyncio.timeout(REFUSAL_S):
            while len(body) < REFUSAL_BYTES and (chunk := await next_chunk(content)):
                for piece in [chunk] if inflater is None else inflater.feed(chunk):
                    body += piece
    return bytes(body[:REFUSAL_BYTES])


def head_of(response: aiohttp.ClientResponse) -> ResponseHead:
    """The head in our shape; a header that came more than once is joined with commas."""
    names = {name.lower() for name in response.headers}
    headers = {name: ", ".join(response.headers.getall(name)) for name in names}
    return ResponseHead(response.status, headers)


def unpacked(head: ResponseHead, raw: bytes) -> bytes:
    """The body of a refusal from the bytes that came, as much of it as can be read."""
    body = bytearray()
    with suppress(InflateError):
        inflater = inflater_for(head, bytes_max=REFUSAL_BYTES)
        for piece in [raw] if inflater is None else inflater.feed(raw):
            body += piece
    return bytes(body[:REFUSAL_BYTES])


class RefusalBody:
    """What a refusal says, or as much of it as comes in time and fits; it never fails."""

    def __init__(self, head: ResponseHead, whole: asyncio.Future[None]) -> None:
        self._head: Final = head
        self._whole: Final = whole
        self._raw = bytearray()

    def take(self, chunk: bytes) -> None:
        """The next bytes, as they came."""
        if len(self._raw) < REFUSAL_BYTES:
            self._raw += chunk
        if len(self._raw) >= REFUSAL_BYTES:
            self.over()

    def over(self) -> None:
        """There will be no more."""
        if not self._whole.done():
            self._whole.set_result(None)

    async def read(self) -> bytes:
        """Wait for it, at most `REFUSAL_S`; the body, decompressed."""
        await asyncio.wait({self._whole}, timeout=REFUSAL_S)
        return unpacked(self._head, bytes(self._raw))
