"""Wells: opened step by step, closed in reverse, cut from outside."""

import asyncio
import contextlib
import socket
import ssl

import httpx2
import pytest
import trustme

from finalstop.upstream import object_wells
from finalstop.upstream.object_kinds import NotAStreamError
from finalstop.upstream.object_wells import AsyncWell, SyncWell
from tests.upstream.servers import CHUNKED, RawServer, chunk


class Opened:
    """A readable object, sync and async, that writes down what was done to it."""

    def __init__(self, diary):
        self.diary = diary

    def close(self):
        self.diary.append("closed")


class SyncItems(Opened):
    def __iter__(self):
        self.diary.append("read")
        try:
            yield from [1, 2]
        finally:
            self.diary.append("left")


class AsyncItems(Opened):
    async def __aiter__(self):
        self.diary.append("read")
        try:
            yield 1
            yield 2
        finally:
            self.diary.append("left")


class Door:
    """A context manager of either kind, or of both."""

    def __init__(self, diary, inside):
        self.diary, self.inside = diary, inside


class AsyncDoor(Door):
    async def __aenter__(self):
        self.diary.append("entered")
        return self.inside

    async def __aexit__(self, *exc):
        self.diary.append("exited")


class SyncDoor(Door):
    def __enter__(self):
        self.diary.append("entered")
        return self.inside

    def __exit__(self, *exc):
        self.diary.append("exited")


async def soon(thing):
    await asyncio.sleep(0)
    return thing


# -- in the loop ----------------------------------------------------------------------------------


async def test_an_object_is_opened_step_by_step_and_closed_in_reverse():
    diary: list[str] = []
    well = AsyncWell(soon(AsyncDoor(diary, soon(AsyncDoor(diary, AsyncItems(diary))))))
    items = await well.open()
    assert not isinstance(items, SyncWell)
    assert await anext(items) == 1
    await well.close()
    assert diary == ["entered", "entered", "read", "left", "closed", "exited", "exited"]
    await well.close()
    assert len(diary) == 7


async def test_what_blocks_is_handed_on_to_a_thread():
    diary: list[str] = []
    well = AsyncWell(soon(SyncDoor(diary, SyncItems(diary))))
    rest = await well.open()
    assert isinstance(rest, SyncWell)
    assert list(rest.open()) == [1, 2]
    rest.close()
    assert diary == ["entered", "read", "left", "closed", "exited"]


async def test_what_was_given_open_is_closed_also_unread():
    diary: list[str] = []
    await AsyncWell(AsyncItems(diary)).close()
    SyncWell(SyncItems(diary)).close()
    assert diary == ["closed", "closed"]


@pytest.mark.parametrize("inside", [7, "text", None])
async def test_what_turns_out_to_be_no_stream_is_refused(inside):
    diary: list[str] = []
    with pytest.raises(TypeError, match="is not a stream"):
        await AsyncWell(AsyncDoor(diary, inside)).open()
    with pytest.raises(TypeError, match="is not a stream"):
        SyncWell(SyncDoor(diary, inside)).open()


async def test_a_thread_does_not_wait_for_what_only_a_loop_can_open():
    with pytest.raises(TypeError, match="is not a stream"):
        SyncWell(SyncDoor([], AsyncItems([]))).open()


async def test_a_door_that_leads_to_itself_is_given_up():
    inward, blocking = AsyncDoor([], None), SyncDoor([], None)
    inward.inside, blocking.inside = inward, blocking
    well, other = AsyncWell(inward), SyncWell(blocking)
    with pytest.raises(TypeError, match="is not a stream"):
        await well.open()
    with pytest.raises(TypeError, match="is not a stream"):
        other.open()


class Session(AsyncDoor):
    """Something that one works with, and that leaving its context would end."""


class BlockingSession(SyncDoor):
    """Its twin."""


async def test_what_gives_itself_and_no_stream_is_not_closed():
    diary: list[str] = []
    session, blocking = Session(diary, None), BlockingSession(diary, None)
    session.inside, blocking.inside = session, blocking
    well, other = AsyncWell(session), SyncWell(blocking)
    with pytest.raises(NotAStreamError, match="Session is not a stream"):
        await well.open()
    with pytest.raises(NotAStreamError, match="BlockingSession is not a stream"):
        other.open()
    await well.close()
    other.close()
    assert diary == ["entered", "entered"]


async def test_what_gives_itself_and_is_a_stream_is_read_and_left():
    class Both(AsyncDoor, AsyncItems):
        pass

    diary: list[str] = []
    stream = Both(diary, None)
    stream.inside = stream
    well = AsyncWell(stream)
    items = await well.open()
    assert not isinstance(items, SyncWell)
    assert [it async for it in items] == [1, 2]
    await well.close()
    assert diary == ["read", "left", "closed"]


async def test_a_door_that_was_entered_is_left_when_the_next_will_not_open():
    class Stuck(AsyncDoor):
        async def __aenter__(self):
            raise OSError("stuck")

    diary: list[str] = []
    well = AsyncWell(AsyncDoor(diary, Stuck(diary, None)))
    with pytest.raises(OSError, match="stuck"):
        await well.open()
    await well.close()
    assert diary == ["entered", "exited"]


async def test_closing_is_bounded_and_never_raises(monkeypatch):
    class Stubborn(AsyncItems):
        async def aclose(self):
            self.diary.append("asked")
            await asyncio.sleep(60)

    class Broken(SyncItems):
        def close(self):
            raise OSError("already gone")

    monkeypatch.setattr(object_wells, "CLOSE_S", 0.01)
    diary: list[str] = []
    await AsyncWell(Stubborn(diary)).close()
    SyncWell(Broken(diary)).close()
    assert diary == ["asked"]


async def test_a_list_needs_no_closing():
    well = SyncWell([1])
    assert list(well.open()) == [1]
    well.close()


# -- from outside ---------------------------------------------------------------------------------


class Response:
    """A response over a socket, as httpx has them."""

    status_code = 200
    is_closed = False

    def __init__(self, sock):
        self.sock, self.headers = sock, {}
        self.extensions = {"http_version": b"HTTP/1.1", "network_stream": self}

    def get_extra_info(self, name):
        return self.sock

    def iter_bytes(self):
        while chunk := self.sock.recv(9):
            yield chunk


async def test_cutting_wakes_whoever_is_blocked_in_reading():
    near, far = socket.socketpair()
    with near, far:
        well = SyncWell(Response(near))
        items = well.open()
        async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(asyncio.to_thread(list, items))
            await asyncio.sleep(0.01)
            well.cut()
        assert reading.result() == []
        well.close()


def test_cutting_does_nothing_where_there_is_nothing_to_cut():
    near, far = socket.socketpair()
    far.close()
    well = SyncWell(Response(near))
    well.cut()  # not open yet
    with contextlib.closing(near):
        well.open()
    assert near.fileno() == -1
    well.cut()  # the socket is gone
    SyncWell([1]).cut()
    well.close()


@pytest.mark.slow
async def test_cutting_wakes_a_reader_behind_tls_too():
    ca = trustme.CA()
    near, far = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.configure_trust(near)
    ca.issue_cert("localhost").configure_cert(far)

    def read(port):
        with httpx2.Client(verify=near, timeout=30) as client:
            well = SyncWell(client.stream("GET", f"https://localhost:{port}/"))
            items = well.open()
            assert next(items) == b"one"
            opened.append(well)
            with pytest.raises(httpx2.TransportError):
                next(items)
            well.close()

    opened: list[SyncWell] = []
    async with (
        RawServer([CHUNKED + chunk(b"one"), 30.0], ssl=far) as server,
        asyncio.timeout(5),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(asyncio.to_thread(read, server.port))
        while not opened:  # noqa: ASYNC110 # a thread appends to it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        opened[0].cut()
