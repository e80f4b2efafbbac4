"""Connections: refused, unresolved, untrusted, through one proxy or two."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import asynccontextmanager

import pytest
import trustme

from finalstop.doctor import connection
from finalstop.doctor.announce import DoctorError
from finalstop.doctor.connection import NoConnectionError, Way, connect, is_absolute
from finalstop.doctor.http import make_question
from finalstop.doctor.observations import Ending
from finalstop.doctor.probe import Watch, ask
from finalstop.simulator.connect import CONNECT_FAULTS
from tests.upstream.servers import RawServer, Tunnel, whole

pytestmark = pytest.mark.slow

HI = [whole(b"hi")]
WATCH = Watch(5.0, 10.0)


@pytest.fixture(scope="module")
def certificate():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@asynccontextmanager
async def tunnel(log, status=b"200 OK"):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Tunnel(log, status), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


# connect fault, what is said
FAILED = [
    ("refused", "Connection refused"),
    ("unresolvable", "not known"),
    ("tls-garbage", "TLS: "),
]


@pytest.mark.parametrize(("name", "says"), FAILED)
async def test_no_connection_says_why(name, says):
    with CONNECT_FAULTS[name]() as url, pytest.raises(NoConnectionError) as failed:
        await connect(url)
    assert says in str(failed.value)


async def test_a_port_that_takes_no_tls_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(connection, "TLS_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(NoConnectionError) as failed:
            await connect(f"https://127.0.0.1:{mute.getsockname()[1]}/x")
    assert time.monotonic() - began < 3.0
    assert str(failed.value) == "TLS: no answer to the handshake within 0.3 s"


async def test_a_port_that_closes_on_tls_is_told_from_one_that_refuses():
    async def close(_, writer):
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        with pytest.raises(NoConnectionError) as failed:
            await connect(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x")
    assert str(failed.value) == "TLS: the connection was closed within the handshake"


async def test_a_name_with_two_addresses_is_refused_in_one_word(monkeypatch):
    both = "Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed"

    async def refuse(*args):
        raise OSError(both)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
    with pytest.raises(NoConnectionError, match=r"^Connection refused$"):
        await connect("http://localhost:1")


async def test_a_connection_that_does_not_come_is_given_up():
    with CONNECT_FAULTS["connect-timeout"]() as url, pytest.raises(NoConnectionError) as failed:
        await connect(url, within_s=0.3)
    assert str(failed.value) == "no connection within 0.3 s"


async def test_a_bad_certificate_is_an_observation_and_can_be_accepted(certificate):
    async with RawServer(HI, ssl=certificate) as server:
        question = make_question(f"https://{server.where}/x")
        refused = await ask(question, WATCH)
        assert refused.ending is Ending.NO_CONNECTION
        assert refused.failure.startswith("TLS certificate: ")
        accepted = await ask(question, WATCH, way=Way(verify=False))
        assert (accepted.ending, accepted.body) == (Ending.WHOLE, b"hi")


async def test_an_http_proxy_is_given_the_whole_url_and_its_credentials():
    async with RawServer(HI) as proxy:
        way = Way((proxy.url.replace("//", "//me:s%40lt@"),))
        question = make_question("http://endpoint.invalid/x")
        exchange = await ask(question, WATCH, way=way)
    assert exchange.body == b"hi"
    assert exchange.question == question
    assert proxy.requests[0].startswith(b"GET http://endpoint.invalid/x HTTP/1.1\r\n")
    assert b"Basic bWU6c0BsdA==" in proxy.requests[0]


async def test_https_goes_through_every_proxy_of_the_chain(certificate):
    log: list[bytes] = []
    async with (
        RawServer(HI, ssl=certificate) as server,
        tunnel(log) as near,
        tunnel(log) as far,
    ):
        way = Way((near, far), verify=False)
        exchange = await ask(make_question(f"https://{server.where}/x"), WATCH, way=way)
        assert exchange.body == b"hi"
        asked = [connect.split(b" ")[1].decode() for connect in log]
        assert asked == [far.removeprefix("http://"), server.where]


async def test_a_chain_ends_in_an_http_proxy_for_an_http_url():
    log: list[bytes] = []
    async with RawServer(HI) as last, tunnel(log) as near:
        way = Way((near, last.url))
        exchange = await ask(make_question("http://endpoint.invalid/x"), WATCH, way=way)
    assert exchange.body == b"hi"
    assert len(log) == 1
    assert last.requests[0].startswith(b"GET http://endpoint.invalid/x ")


async def test_a_proxy_that_refuses_is_named():
    async with tunnel([], b"407 Who") as proxy:
        with pytest.raises(NoConnectionError) as refused:
            await connect("https://endpoint.invalid", Way((proxy,)))
    assert "127.0.0.1 answered CONNECT with 'HTTP/1.1 407 Who'" in str(refused.value)


@pytest.mark.parametrize("proxy", ["socks5://host:1", "localhost:8080", "https://host", "http://"])
def test_a_proxy_that_cannot_be_used_is_refused(proxy):
    with pytest.raises(DoctorError, match="must be a URL like"):
        Way((proxy,))


def test_only_an_http_proxy_of_an_http_url_gets_the_whole_url():
    proxied = Way(("http://proxy:1",))
    assert is_absolute("http://host", proxied)
    assert not is_absolute("https://host", proxied)
    assert not is_absolute("http://host", Way())
