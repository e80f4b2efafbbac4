"""Connections: held by one call at a time, and nobody else's to read, keep or close."""

import asyncio
import contextlib
import os
import socket
import struct
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from finalstop.upstream.connections import FULL_READ_BYTES, LOOK_BYTES, Connection, Kept
from tests.upstream.servers import RawServer


class Holder:
    """Writes down what it hears."""

    def __init__(self):
        self.heard = b""
        self.errors = []
        self.gone = asyncio.Event()

    def received(self, data):
        self.heard += data

    def lost(self, error):
        self.errors.append(error)
        self.gone.set()


@asynccontextmanager
async def kept_to(server, **options):
    defaults = {"tls": None, "connect_s": 1.0, "keepalive_s": 5.0, "connections_max": 0}
    kept = Kept("127.0.0.1", server.port, **defaults | options)
    try:
        yield kept
    finally:
        kept.close()


async def held(kept, holder, *, fresh=False):
    connection = await kept.take(fresh=fresh)
    connection.hold(holder)
    connection.listen()
    return connection


async def until(condition, within_s=1.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a socket has no event for it
            await asyncio.sleep(0.001)


async def test_what_is_kept_serves_the_next_and_says_that_it_was_kept():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        first, second = Holder(), Holder()
        connection = await held(kept, first)
        assert connection.kept_at is None
        kept.keep(connection, first)
        again = await held(kept, second)
        assert again is connection
        assert again.kept_at is not None


async def test_a_late_word_of_who_has_let_go_reaches_nobody():
    async with RawServer(deaf=True, greeting=b"") as server, kept_to(server) as kept:
        first, second = Holder(), Holder()
        connection = await held(kept, first)
        kept.keep(connection, first)
        await held(kept, second)
        kept.abort(connection, first)
        kept.keep(connection, first)
        assert not connection.is_closed
        server.connections[0].transport.write(b"for the second")
        await until(lambda: second.heard)
        assert (first.heard, second.heard) == (b"", b"for the second")
        assert await kept.take(fresh=False) is not connection


async def test_fresh_means_a_new_one():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        holder = Holder()
        connection = await held(kept, holder)
        kept.keep(connection, holder)
        assert await kept.take(fresh=True) is not connection


async def test_bytes_to_a_kept_connection_close_it():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        holder = Holder()
        connection = await held(kept, holder)
        kept.keep(connection, holder)
        server.connections[0].transport.write(b"evil")
        await until(lambda: connection.is_closed)
        assert await held(kept, Holder()) is not connection


async def test_a_kept_connection_that_its_peer_closed_is_not_used():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        holder = Holder()
        connection = await held(kept, holder)
        kept.keep(connection, holder)
        server.connections[0].transport.close()
        await until(lambda: connection.is_closed)
        assert await held(kept, Holder()) is not connection
        assert holder.errors == []


async def test_a_greeting_waits_for_the_first_holder():
    async with RawServer(deaf=True, greeting=b"welcome") as server, kept_to(server) as kept:
        connection = await kept.take(fresh=False)
        await asyncio.sleep(0.02)
        holder = Holder()
        connection.hold(holder)
        assert holder.heard == b""
        connection.listen()
        await until(lambda: holder.heard)
        assert holder.heard == b"welcome"


async def test_a_connection_that_goes_before_it_is_held_tells_its_holder():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        connection = await kept.take(fresh=False)
        await until(lambda: server.connections)
        server.connections[0].transport.abort()
        await until(lambda: connection.is_closed)
        holder = Holder()
        connection.hold(holder)
        connection.listen()
        assert len(holder.errors) == 1


async def test_what_is_kept_too_long_is_closed_without_being_asked_for():
    async with RawServer(deaf=True) as server, kept_to(server, keepalive_s=0.03) as kept:
        holder = Holder()
        kept.keep(await held(kept, holder), holder)
        async with asyncio.timeout(1):
            await server.left.wait()


async def test_beyond_the_limit_one_waits_until_another_is_given_back_or_gone():
    async with (
        RawServer(deaf=True) as server,
        kept_to(server, connections_max=1, connect_s=0.05) as kept,
    ):
        holder = Holder()
        for give_back in (kept.keep, kept.abort):
            connection = await held(kept, holder)
            with pytest.raises(TimeoutError):
                await kept.take(fresh=False)
            give_back(connection, holder)
        await held(kept, holder)
        server.connections[-1].transport.abort()
        await holder.gone.wait()
        kept.lost()
        await held(kept, Holder())


async def test_a_dial_that_is_cancelled_gives_its_turn_back():
    async with RawServer(deaf=True) as server, kept_to(server, connections_max=1) as kept:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(kept.take(fresh=False))
            await asyncio.sleep(0)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await task).transport.abort()
        await held(kept, Holder())


async def test_after_close_nothing_is_kept():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        idle, busy = Holder(), Holder()
        first, second = await held(kept, idle), await held(kept, busy)
        kept.keep(first, idle)
        kept.close()
        assert first.is_closed
        kept.keep(second, busy)
        assert second.is_closed


async def test_what_went_by_itself_before_it_was_given_back_gives_its_turn_back():
    async with RawServer(deaf=True) as server, kept_to(server, connections_max=1) as kept:
        holder = Holder()
        connection = await held(kept, holder)
        connection.transport.abort()
        kept.keep(connection, holder)
        assert await held(kept, Holder()) is not connection


async def test_one_connection_with_much_to_say_does_not_hold_the_others_up():
    flood = bytes(64 * FULL_READ_BYTES)
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        loud, before = Holder(), []

        class Quiet(Holder):
            def received(self, data):
                super().received(data)
                before.append(len(loud.heard))

        quiet = Quiet()
        await held(kept, loud)
        await held(kept, quiet)
        await until(lambda: len(server.connections) == 2)
        server.connections[0].transport.write(flood)
        await asyncio.sleep(0)
        server.connections[1].transport.write(b"me too")
        await until(lambda: len(loud.heard) == len(flood))
        assert before
        assert before[0] < len(flood)


async def test_a_paused_connection_reads_on_when_it_is_given_back():
    async with RawServer(deaf=True) as server, kept_to(server) as kept:
        holder, second = Holder(), Holder()
        connection = await held(kept, holder)
        connection.pause()
        connection.pause()
        kept.keep(connection, holder)
        await held(kept, second)
        server.connections[0].transport.write(b"hello")
        await until(lambda: second.heard)


# -- reading past a paused transport ----------------------------------------------------------


@asynccontextmanager
async def paused(*, greeting=b""):
    """A connection that is held and paused, its holder, and the other side of it."""
    async with RawServer(deaf=True, greeting=greeting) as server, kept_to(server) as kept:
        holder = Holder()
        connection = await held(kept, holder)
        await until(lambda: holder.heard == greeting)
        connection.pause()
        yield connection, holder, server.connections[0].transport
        kept.abort(connection, holder)


async def test_a_look_reads_what_is_there_and_the_transport_stays_paused():
    async with paused(greeting=b"hello") as (connection, holder, far):
        far.write(b" there")
        await asyncio.sleep(0.02)
        assert holder.heard == b"hello"
        connection.look()
        assert holder.heard == b"hello there"
        far.write(b", you")
        await asyncio.sleep(0.02)
        assert holder.heard == b"hello there"


async def test_a_look_that_finds_nothing_lets_the_transport_read_on():
    async with paused() as (connection, holder, far):
        connection.fast_reads = 8
        connection.look()
        assert connection.fast_reads == 0  # it does not flow any more
        far.write(b"later")
        await until(lambda: holder.heard == b"later")


async def test_a_look_that_finds_much_lets_the_transport_read_the_rest():
    async with paused() as (connection, holder, far):
        much = bytes(4 * LOOK_BYTES)
        far.write(much)
        await asyncio.sleep(0.02)
        connection.look()
        assert 0 < len(holder.heard) <= LOOK_BYTES
        await until(lambda: holder.heard == much)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_look_sees_the_end_and_tells_a_reset_from_it(reset):
    async with paused() as (connection, holder, far):
        if reset:
            far.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        far.close()
        await asyncio.sleep(0.02)
        connection.look()
        [error] = holder.errors
        assert isinstance(error, ConnectionResetError) is reset
        assert connection.is_closed


async def test_a_look_at_what_is_not_paused_or_closed_does_nothing():
    async with paused() as (connection, holder, far):
        connection.resume()
        far.write(b"read by its transport")
        connection.look()
        await until(lambda: holder.heard)
        connection.pause()
        far.write(b"read by nobody")
        await asyncio.sleep(0.02)
        connection.transport.abort()
        connection.look()
        assert holder.heard == b"read by its transport"


class Open:
    """A transport that does not know yet that it is gone."""

    def is_closing(self):
        return False

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def abort(self):
        pass


async def test_a_number_that_has_become_anothers_is_not_read():
    async with paused() as (connection, holder, _):
        number = connection.transport.get_extra_info("socket").fileno()
        connection.transport.abort()
        await until(lambda: holder.errors)
        await asyncio.sleep(0.02)
        reads, writes = os.pipe()
        os.write(writes, b"another's")
        if reads != number:
            os.dup2(reads, number)
            os.close(reads)
        try:
            connection.transport = cast("Any", Open())
            connection.pause()
            connection.look()
            assert os.read(number, 16) == b"another's"
        finally:
            os.close(number)
            os.close(writes)


class Encrypted(Connection):
    """As a transport under TLS is made known."""

    def connection_made(self, transport):
        class Cover:
            def __getattr__(self, name):
                return getattr(transport, name)

            def get_extra_info(self, name):
                return object() if name == "sslcontext" else transport.get_extra_info(name)

        cover: Any = Cover()
        super().connection_made(cover)


async def test_what_is_encrypted_is_only_the_transports_to_read():
    async with RawServer(deaf=True) as server:
        _, connection = await asyncio.get_running_loop().create_connection(
            Encrypted, "127.0.0.1", server.port
        )
        holder = Holder()
        connection.hold(holder)
        await until(lambda: server.connections)
        connection.pause()
        server.connections[0].transport.write(b"secret")
        await asyncio.sleep(0.02)
        connection.look()
        assert holder.heard == b""
        await until(lambda: holder.heard == b"secret")
        connection.transport.abort()
