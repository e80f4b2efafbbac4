"""The pool: who asks is told what it got, and gets nothing that another has spoiled."""

import asyncio

import aiohttp
import pytest
from yarl import URL

from finalstop.upstream.sockets import ASKER, Pool
from tests.upstream.servers import RawServer, whole


class Asker:
    def __init__(self, *, wants_fresh=False, raises=None):
        self.wants_fresh = wants_fresh
        self.raises = raises
        self.reused = []
        self.connections = []

    def took(self, connection, *, reused):
        self.connections.append(connection)
        self.reused.append(reused)
        if self.raises is not None:
            raise self.raises


def pool_of(**options):
    defaults = {"connect_s": 1, "keepalive_s": 5, "connections_max": 0, "ssl_context": None}
    return Pool(**defaults | options)


async def get(session, server, asker):
    ASKER.set(asker)
    async with session.get(URL(server.url)) as response:
        return await response.read()


async def test_the_asker_hears_whether_its_connection_was_kept():
    asker = Asker()
    async with RawServer([whole(b"x")]) as server, aiohttp.ClientSession(connector=pool_of()) as it:
        await get(it, server, asker)
        await get(it, server, asker)
        assert asker.reused == [False, True]


async def test_who_wants_a_fresh_connection_gets_one():
    asker = Asker(wants_fresh=True)
    async with RawServer([whole(b"x")]) as server, aiohttp.ClientSession(connector=pool_of()) as it:
        await get(it, server, asker)
        await get(it, server, asker)
        assert asker.reused == [False, False]
        assert len(server.connections) == 2


async def test_a_connection_that_was_given_back_cannot_be_reached_any_more():
    asker = Asker()
    async with RawServer([whole(b"x")]) as server, aiohttp.ClientSession(connector=pool_of()) as it:
        await get(it, server, asker)
        assert asker.connections[0].transport is None


async def test_an_asker_that_raises_leaves_no_connection_behind():
    asker = Asker(raises=LookupError("a bug"))
    async with RawServer([whole(b"x")]) as server, aiohttp.ClientSession(connector=pool_of()) as it:
        with pytest.raises(LookupError):
            await get(it, server, asker)
        async with asyncio.timeout(1):
            await server.left.wait()


async def test_a_server_that_speaks_first_does_not_make_the_pool_go_round():
    asker = Asker()
    async with (
        RawServer([whole(b"x")], greeting=b"hello\r\n") as server,
        aiohttp.ClientSession(connector=pool_of()) as it,
    ):
        with pytest.raises(aiohttp.ClientError):
            await get(it, server, asker)
        assert len(server.connections) == 1
