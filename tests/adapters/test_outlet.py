"""The outlet of a response: bytes framed as the head promised, straight to the transport."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import HttpVersion10, HttpVersion11

from finalstop.adapters.outlet import ResponseOutlet


class Transport:
    """A transport that keeps what it is given."""

    def __init__(self):
        self.wire = b""
        self.writes = 0
        self.closing = False
        self.aborted = False
        self.marks = []

    def set_write_buffer_limits(self, high=None):
        self.marks.append(high)

    def write(self, data):
        self.writes += 1
        self.wire += data

    def is_closing(self):
        return self.closing

    def lose(self):
        """As both loops' transports are after `connection_lost`."""
        self.closing = True
        self.wire = b""

    def get_write_buffer_size(self):
        return len(self.wire)

    def abort(self):
        self.aborted = True


class Writer:
    """aiohttp's own writer, as far as an outlet uses it."""

    def __init__(self):
        self.drained = 0
        self.error = None
        self.lost = None

    async def drain(self):
        self.drained += 1
        if self.lost is not None:
            self.lost.lose()
        if self.error is not None:
            raise self.error


def outlet(version=HttpVersion11):
    request: Any = SimpleNamespace(version=version, transport=Transport())
    writer: Any = Writer()
    chunked = version >= HttpVersion11
    return ResponseOutlet(request.transport, writer.drain, chunked=chunked), request, writer


@pytest.mark.parametrize(
    ("data", "wire"), [(b"a", b"1\r\na\r\n"), (b"x" * 26, b"1a\r\n" + b"x" * 26 + b"\r\n")]
)
def test_each_write_is_one_chunk(data, wire):
    it, request, _ = outlet()
    it.write(data)
    assert request.transport.wire == wire


def test_a_client_that_speaks_http_1_0_gets_the_bytes_alone():
    it, request, _ = outlet(HttpVersion10)
    it.write(b"ab")
    it.write(b"c")
    assert request.transport.wire == b"abc"


@pytest.mark.parametrize("gone", ["closing", "lost"])
def test_writing_to_a_client_that_has_gone_raises(gone):
    it, request, _ = outlet()
    if gone == "closing":
        request.transport.closing = True
    else:
        request.transport.lose()
    with pytest.raises(ConnectionResetError, match="the client has gone"):
        it.write(b"a")


def test_the_backlog_is_what_the_transport_holds_and_nothing_once_it_is_gone():
    it, request, _ = outlet()
    assert it.backlog == 0
    it.write(b"a")
    assert it.backlog == 6
    request.transport.lose()
    assert it.backlog == 0


async def test_room_is_waited_for_with_aiohttps_own_writer():
    it, _, writer = outlet()
    await it.drain()
    assert writer.drained == 1


async def test_flushing_waits_for_the_last_byte_and_leaves_the_marks_as_they_were():
    it, request, writer = outlet()
    await it.flush()
    assert request.transport.marks == [0, None]
    assert writer.drained == 1


async def test_a_flush_that_fails_leaves_the_marks_as_they_were():
    it, request, writer = outlet()
    writer.error = ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError):
        await it.flush()
    assert request.transport.marks == [0, None]


async def test_the_marks_of_a_connection_that_is_lost_are_nobodys():
    it, request, writer = outlet()
    writer.lost = request.transport
    writer.error = ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError):
        await it.flush()
    assert request.transport.marks == [0]


async def test_for_a_client_that_has_gone_there_is_nothing_to_flush():
    it, request, writer = outlet()
    request.transport.lose()
    await it.flush()
    await ResponseOutlet(None, writer.drain, chunked=True).flush()
    assert (writer.drained, request.transport.marks) == (0, [])


# chunked, what is written, what is ended with, what is on the wire
ENDS = [
    (True, [b"a"], b"b", b"HEAD1\r\na\r\n1\r\nb\r\nTAIL"),
    (True, [b"a"], b"", b"HEAD1\r\na\r\nTAIL"),
    (True, [], b"", b"HEADTAIL"),
    (False, [b"a"], b"b", b"HEADabTAIL"),
    (False, [], b"b", b"HEADbTAIL"),
]


@pytest.mark.parametrize(("chunked", "writes", "last", "wire"), ENDS)
def test_head_and_tail_go_with_the_first_and_the_last_bytes(chunked, writes, last, wire):
    transport: Any = Transport()
    it = ResponseOutlet(transport, Writer().drain, chunked=chunked, head=b"HEAD", tail=b"TAIL")
    for data in writes:
        it.write(data)
    it.end(last)
    assert transport.wire == wire
    assert transport.writes == len(writes) + 1


def test_a_head_does_not_wait_for_words_and_goes_once():
    transport: Any = Transport()
    it = ResponseOutlet(transport, Writer().drain, chunked=True, head=b"HEAD")
    it.open()
    it.open()
    it.write(b"a")
    assert transport.wire == b"HEAD1\r\na\r\n"


@pytest.mark.parametrize("gone", ["lost", "from the first"])
def test_nothing_is_said_to_a_client_that_has_gone(gone):
    transport: Any = Transport()
    transport.lose()
    known = transport if gone == "lost" else None
    it = ResponseOutlet(known, Writer().drain, chunked=True, head=b"HEAD")
    it.open()
    with pytest.raises(ConnectionResetError):
        it.end(b"")
    assert transport.wire == b""


def test_cutting_resets_the_connection_and_may_come_late():
    it, request, _ = outlet()
    it.abort()
    assert request.transport.aborted
    request.transport.lose()
    it.abort()
