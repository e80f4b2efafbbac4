"""Request bodies in slices; response bodies whose reader is never forgotten; refusals."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from finalstop.upstream.bodies import (
    REFUSAL_BYTES,
    WRITE_BYTES,
    RefusalBody,
    Slices,
    next_chunk,
    true_cause,
    was_reset,
    watched,
)
from finalstop.upstream.contract import ResponseHead


async def slices_of(body):
    """The slices, and after how many of them `written` was said."""
    given: list[bytes] = []
    said: list[int] = []
    slices = Slices(body, lambda: said.append(len(given)))
    with suppress(StopAsyncIteration):
        while True:
            given.append(bytes(await anext(slices)))
    return given, said


# bytes in the body, bytes in the slices
SIZES = [(1, [1]), (WRITE_BYTES, [WRITE_BYTES]), (WRITE_BYTES + 1, [WRITE_BYTES, 1]),
         (3 * WRITE_BYTES, [WRITE_BYTES] * 3)]  # fmt: skip


@pytest.mark.parametrize(("size", "sizes"), SIZES)
async def test_a_body_goes_out_whole_and_written_is_said_once_after_the_last_slice(size, sizes):
    body = bytes(range(256)) * (size // 256 + 1)
    pieces, said = await slices_of(body[:size])
    assert [len(piece) for piece in pieces] == sizes
    assert b"".join(pieces) == body[:size]
    assert said == [len(sizes)]


def connection():
    """A protocol of aiohttp's with a body under way and no transport."""
    protocol = ResponseHandler(asyncio.get_running_loop())
    return protocol, aiohttp.StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())


class Nothing(asyncio.Transport):
    # No socket to set options on; aiohttp asks for one.
    def get_extra_info(self, name, default=None):
        return default


async def test_a_reader_is_told_when_the_connection_goes_without_a_word():
    protocol, content = connection()
    protocol.connection_made(Nothing())
    with watched(content, protocol):
        asyncio.get_running_loop().call_soon(protocol.connection_lost, None)
        with pytest.raises(aiohttp.ClientPayloadError, match="is gone"):
            await content.readany()


async def test_what_a_reader_has_been_told_already_stands():
    protocol, content = connection()
    protocol.connection_made(Nothing())
    with watched(content, protocol):
        content.set_exception(aiohttp.ClientPayloadError("first"))
        protocol.connection_lost(None)
        await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientPayloadError, match="first"):
            await content.readany()


async def test_a_reader_that_comes_to_a_closed_connection_hears_that_the_body_broke_off():
    """aiohttp calls it a bug of the reader's; found by the simulation, in a malformed chunk."""
    _, content = connection()
    with pytest.raises(RuntimeError):
        await content.readany()
    with pytest.raises(aiohttp.ClientPayloadError, match="is gone"):
        await next_chunk(content)


async def test_a_body_that_is_left_is_not_watched_any_more():
    protocol, content = connection()
    protocol.connection_made(Nothing())
    with watched(content, protocol):
        pass
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    assert content.exception() is None


async def test_a_connection_that_was_gone_before_needs_no_watch():
    protocol, content = connection()
    protocol.connection_lost(None)
    with watched(content, protocol):
        assert protocol.closed is None


async def test_an_error_on_a_living_connection_is_its_own_cause():
    protocol, _ = connection()
    error = aiohttp.ClientPayloadError("cut")
    assert await true_cause(error, protocol) is error


# head, reset
FRAMINGS = [({}, True), ({"content-length": "5"}, False), ({"transfer-encoding": "chunked"}, False)]


@pytest.mark.parametrize(("headers", "reset"), FRAMINGS)
async def test_a_reset_counts_only_where_the_connection_was_the_frame(headers, reset):
    protocol, _ = connection()
    protocol.connection_made(Nothing())
    assert protocol.closed is not None
    assert not was_reset(ResponseHead(200, headers), protocol)
    protocol.connection_lost(ConnectionResetError(104, "reset"))
    assert was_reset(ResponseHead(200, headers), protocol) is reset
    protocol.closed.exception()


# --- what a refusal says ---------------------------------------------------------------------


def refusal():
    head = ResponseHead(500, {})
    return RefusalBody(head, asyncio.get_running_loop().create_future())


# what comes, whether that is its end, how long it waits, what it says
REFUSALS = [
    ([b"no", b"body"], True, 2.0, b"nobody"),
    ([], True, 2.0, b""),
    ([b"half"], False, 0.02, b"half"),
    ([b"x" * REFUSAL_BYTES], False, 2.0, b"x" * REFUSAL_BYTES),
    ([b"x" * REFUSAL_BYTES, b"more"], True, 2.0, b"x" * REFUSAL_BYTES),
]


@pytest.mark.parametrize(("chunks", "is_over", "within_s", "says"), REFUSALS)
async def test_of_a_refusal_is_read_what_comes_in_time_and_fits(
    chunks, is_over, within_s, says, monkeypatch
):
    monkeypatch.setattr("finalstop.upstream.bodies.REFUSAL_S", within_s)
    body = refusal()
    for piece in chunks:
        body.take(piece)
    if is_over:
        body.over()
        body.over()
    async with asyncio.timeout(1):
        assert await body.read() == says
