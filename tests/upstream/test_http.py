"""The upstream as it is configured: where a request goes, what it carries, what is left behind."""

import asyncio
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.simulator import connect
from finalstop.upstream.contract import UpstreamFailedError, UpstreamRequest
from tests.upstream.kinds import (  # noqa: F401
    each_kind,
    new_upstream,
    over,
    transport_of,
    upstream_at,
)
from tests.upstream.servers import CHUNKED, LAST_CHUNK, Move, RawServer, Tunnel, chunk, whole
from tests.upstream.sinks import RecordingSink
from tests.upstream.test_calls import AT_ONCE_S, GET, HEALTHY, POST, SILENCE, ask, told

QUICK = Limits(connect_s=0.1)
UNREACHABLE = EndReason.UNREACHABLE


# --- what goes out ---------------------------------------------------------------------------


def lines_of(head):
    first, *rest = head.decode("latin-1").split("\r\n")
    return first, {name.lower(): value for name, _, value in (it.partition(": ") for it in rest)}


async def sent(upstream, server, headers, body=b"{}", method="POST", path="/v1/messages"):
    await told(upstream, UpstreamRequest(method, path, headers, body))
    return lines_of(server.requests[-1])


async def test_the_request_line_is_the_prefix_and_the_path_byte_for_byte():
    path = "/v1/models?limit=2&after_id=a%20b&x=%E2%82%ac"
    async with RawServer(HEALTHY) as server, upstream_at(server.url + "/pre/fix/") as upstream:
        first, headers = await sent(upstream, server, {}, b"", "GET", path)
        assert first == f"GET /pre/fix{path} HTTP/1.1"
        assert headers["host"] == server.where


async def test_nothing_is_added_that_nobody_asked_for():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        _, headers = await sent(upstream, server, {})
        agent = headers.pop("user-agent")
        assert agent.startswith("finalstop/")
        assert headers == {
            "host": server.where, "accept-encoding": "identity", "content-length": "2",
        }  # fmt: skip


async def test_end_to_end_headers_pass_and_hop_by_hop_ones_do_not():
    given = {
        "anthropic-version": "2026-10-21", "anthropic-beta": "a,b", "user-agent": "theirs/1",
        "content-type": "application/json", "x-api-key": "client", "Connection": "x-hop, close",
        "x-hop": "1", "keep-alive": "1", "te": "trailers", "transfer-encoding": "chunked",
        "content-length": "999", "host": "evil", "expect": "100-continue", "upgrade": "h2c",
        "proxy-authorization": "x", "accept-encoding": "gzip, br",
    }  # fmt: skip
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        _, headers = await sent(upstream, server, given)
        assert headers == {
            "anthropic-version": "2026-10-21", "anthropic-beta": "a,b", "user-agent": "theirs/1",
            "content-type": "application/json", "x-api-key": "client", "host": server.where,
            "accept-encoding": "identity", "content-length": "2",
        }  # fmt: skip


async def test_our_credentials_replace_a_clients():
    async with (
        RawServer(HEALTHY) as server,
        upstream_at(server.url, credentials={"X-Api-Key": "ours"}) as upstream,
    ):
        given = {"Authorization": "Bearer theirs", "x-API-key": "theirs"}
        _, headers = await sent(upstream, server, given)
        assert headers["x-api-key"] == "ours"
        assert "authorization" not in headers


async def test_cookies_are_neither_kept_nor_sent():
    moves = [whole(b"", headers=b"set-cookie: a=b\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        await told(upstream)
        _, headers = await sent(upstream, server, {})
        assert "cookie" not in headers


# request, what the complaint says
REFUSED = [
    (UpstreamRequest("POST", "//evil/x", {}), "path"),
    (UpstreamRequest("POST", "http://evil/", {}), "path"),
    (UpstreamRequest("POST", "/v1/../x", {}), "path"),
    (UpstreamRequest("PUT", "/v1/x", {}), "GET or POST"),
    (UpstreamRequest("POST", "/v1/x", {"a": "b\r\nc: d"}), "control character"),
    (UpstreamRequest("POST", "/v1/x", {"a b": "c"}), "header name"),
    (UpstreamRequest("POST", "/v1/x", {"a\r\nb": "c"}), "header name"),
]


@pytest.mark.parametrize(("request_", "says"), REFUSED)
async def test_a_request_that_is_not_allowed_is_refused_before_anything_is_sent(request_, says):
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        with pytest.raises(ValueError, match=says):
            ask(upstream, RecordingSink(), request_)
        await asyncio.sleep(0.01)
        assert server.connections == []


# options, what the complaint says
BAD_OPTIONS = [
    ({"base_url": "ftp://x"}, "must begin with http"),
    ({"credentials": {"x-api-key": "secret\n"}}, "control character"),
    ({"proxy": "socks5://me:secret@x"}, "proxy must be given"),
    ({"proxy": "http://"}, "proxy must be given"),
]


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS)
def test_a_wrong_option_is_refused_and_no_secret_repeated(options, says):
    given = {"base_url": "http://x", "credentials": {}, "limits": Limits(), **options}
    with pytest.raises(ValueError, match=says) as caught:
        new_upstream(given.pop("base_url"), **given)
    assert "secret" not in str(caught.value)


# --- the way to a connection -----------------------------------------------------------------

# which fault, what the detail says
UNREACHED = [
    (connect.refused, "cannot be connected to"),
    (connect.unresolvable, "does not resolve"),
    (connect.tls_garbage, "TLS handshake failed"),
    (connect.connect_timeout, "no connection within 0.1 s"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "says"), UNREACHED, ids=[row[0].__name__ for row in UNREACHED])
async def test_what_cannot_be_reached_says_which_place_and_why(fault, says):
    with fault() as url:
        limits = Limits() if fault is connect.unresolvable else QUICK
        async with upstream_at(url, limits=limits) as upstream:
            sink = await told(upstream)
            assert sink.end is UNREACHABLE
            assert says in sink.detail
            assert url.partition("//")[2] in sink.detail
            assert sink.letters == "f"


@pytest.mark.slow
async def test_connecting_is_tried_again_within_the_window():
    with connect.refused() as url:
        async with upstream_at(url) as upstream:
            began = time.monotonic()
            sink = await told(upstream, attempts=9, window_s=0.1)
            assert sink.end is UNREACHABLE
            assert time.monotonic() - began < 0.3
            await told(upstream, attempts=2, window_s=0.6)
            assert time.monotonic() - began >= 0.375


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancel_while_connecting_lets_go_of_the_socket(scheme):
    # A port that takes the connection and says nothing: for https the handshake never ends.
    async with RawServer(deaf=True) as server:
        url = f"{scheme}://{server.where}"
        async with upstream_at(url) as upstream:
            sink = RecordingSink()
            call = ask(upstream, sink)
            await asyncio.sleep(0.05)
            began = time.monotonic()
            call.cancel()
            async with asyncio.timeout(1):
                await server.left.wait()
            assert server.connections[0].left_at - began < AT_ONCE_S
            await over(call)
            assert sink.end is None


async def test_a_tls_handshake_that_never_ends_is_unreachable():
    async with (
        RawServer(deaf=True) as server,
        upstream_at(f"https://{server.where}", limits=QUICK) as upstream,
    ):
        sink = await told(upstream)
        assert sink.end is UNREACHABLE


async def test_tcp_keep_alive_is_on():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        seen = []

        def look(sink):
            sock = transport_of(sink.call).get_extra_info("socket")
            seen.append(
                (sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0,
                 sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                 sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                 sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                 sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
            )  # fmt: skip

        await told(upstream, on_data=look)
        assert set(seen) == {(True, 60, 60, 5, True)}


async def test_a_connection_kept_too_long_is_not_used_again():
    async with RawServer(HEALTHY) as server, upstream_at(server.url, keepalive_s=0.02) as upstream:
        await told(upstream)
        await asyncio.sleep(0.05)
        await told(upstream)
        assert server.on_connection == [1, 2]


async def test_with_a_limit_of_connections_a_call_waits_for_one():
    slow = [CHUNKED + chunk(b"a"), 0.03, LAST_CHUNK]
    async with RawServer(slow) as server, upstream_at(server.url, connections_max=1) as upstream:
        first, second = RecordingSink(), RecordingSink()
        ask(upstream, first)
        ask(upstream, second)
        assert (await first.ended(), await second.ended()) == ("eof", "eof")
        assert server.on_connection == [1, 1]


@pytest.mark.slow
async def test_without_a_limit_many_calls_run_at_once():
    slow = [CHUNKED + chunk(b"a"), 0.1, LAST_CHUNK]
    async with RawServer(slow) as server, upstream_at(server.url) as upstream:
        sinks = [RecordingSink() for _ in range(120)]
        for sink in sinks:
            ask(upstream, sink)
        assert {await sink.ended() for sink in sinks} == {"eof"}
        assert len(server.connections) == 120


# --- TLS and proxies -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.mark.slow
async def test_tls_streams_reuses_and_closes_at_once(tls):
    ours, theirs = tls
    async with RawServer(HEALTHY, HEALTHY, [CHUNKED + chunk(b"a"), *SILENCE], ssl=ours) as server:
        url = f"https://{server.where}"
        async with upstream_at(url, ssl_context=theirs) as upstream:
            assert (await told(upstream)).body == b"hello"
            assert (await told(upstream)).body == b"hello"
            assert server.on_connection == [1, 1]
            sink = RecordingSink()
            call = ask(upstream, sink)
            await sink.began.wait()
            began = time.monotonic()
            call.cancel()
            async with asyncio.timeout(1):
                await server.left.wait()
            assert server.connections[0].left_at - began < AT_ONCE_S


async def told_at(url):
    async with upstream_at(url) as upstream:
        return await told(upstream)


@pytest.mark.slow
async def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    ours, _ = tls
    async with RawServer(HEALTHY, ssl=ours) as server:
        sink = await told_at(f"https://{server.where}")
        assert sink.end is UNREACHABLE
        assert "certificate is not accepted" in sink.detail


async def test_a_proxy_is_used_only_when_it_is_given(monkeypatch):
    async with RawServer(HEALTHY) as server, RawServer(HEALTHY) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with upstream_at(server.url) as upstream:
            await told(upstream)
            assert (len(server.requests), len(proxy.requests)) == (1, 0)
        secret = proxy.url.replace("//", "//me:secret@")
        async with upstream_at("http://api.invalid", proxy=secret) as upstream:
            await told(upstream)
            first, headers = lines_of(proxy.requests[0])
            assert first == "POST http://api.invalid/v1/messages HTTP/1.1"
            assert headers["proxy-authorization"].startswith("Basic ")


async def test_a_proxy_that_is_not_there_is_named_without_its_password():
    with connect.refused() as url:
        secret = url.replace("//", "//me:secret@")
        async with upstream_at("http://api.invalid", proxy=secret) as upstream:
            sink = await told(upstream)
            assert sink.end is UNREACHABLE
            assert url.partition("//")[2] in sink.detail
            assert "secret" not in sink.detail


@pytest.mark.slow
async def test_tls_goes_through_a_proxys_tunnel(tls):
    ours, theirs = tls
    asked: list[bytes] = []
    proxy = await asyncio.get_running_loop().create_server(lambda: Tunnel(asked), "127.0.0.1", 0)
    proxy_url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with proxy, RawServer(HEALTHY, ssl=ours) as server:
        url = f"https://{server.where}"
        async with upstream_at(url, ssl_context=theirs, proxy=proxy_url) as upstream:
            assert (await told(upstream)).body == b"hello"
            assert asked[0].startswith(f"CONNECT {server.where} HTTP/1.1\r\n".encode())


async def test_a_proxy_that_refuses_the_tunnel_makes_the_upstream_unreachable():
    loop = asyncio.get_running_loop()
    refusing = await loop.create_server(lambda: Tunnel([], b"407 Who"), "127.0.0.1", 0)
    proxy_url = f"http://127.0.0.1:{refusing.sockets[0].getsockname()[1]}"
    async with refusing, upstream_at("https://api.invalid", proxy=proxy_url) as upstream:
        sink = await told(upstream)
        assert sink.end is UNREACHABLE
        assert "407" in sink.detail


# --- whole responses -------------------------------------------------------------------------


async def test_fetch_returns_the_whole_response_of_any_status():
    answers = [whole(b'{"data":[]}')], [whole(b"no", status="404 Not Found")]
    async with RawServer(*answers) as server, upstream_at(server.url) as upstream:
        first = await upstream.fetch(GET, timeout_s=2)
        assert (first.head.status, first.body) == (200, b'{"data":[]}')
        second = await upstream.fetch(GET, timeout_s=2)
        assert (second.head.status, second.body) == (404, b"no")
        assert server.on_connection == [1, 1]


# moves, end reason, what the detail says
UNFETCHED = [
    (SILENCE, EndReason.DEADLINE, "within 0.05 s"),
    ([CHUNKED + chunk(b"a"), 0.01, Move.FIN], EndReason.TRUNCATED, "inside the response body"),
    ([whole(bytes(3000))], EndReason.UPSTREAM_INVALID, "cap of 2048 bytes"),
    ([b"what?\r\n"], EndReason.UPSTREAM_INVALID, "malformed HTTP"),
]


@pytest.mark.parametrize(("moves", "reason", "says"), UNFETCHED)
async def test_fetch_raises_with_the_reason(moves, reason, says):
    limits = Limits(body_bytes=2048)
    async with RawServer(moves) as server, upstream_at(server.url, limits=limits) as upstream:
        with pytest.raises(UpstreamFailedError, match=says) as caught:
            await upstream.fetch(POST, timeout_s=0.05 if moves is SILENCE else 2)
        assert caught.value.reason is reason


async def test_a_fetch_that_is_cancelled_closes_its_socket():
    async with RawServer(SILENCE) as server, upstream_at(server.url) as upstream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await upstream.fetch(POST, timeout_s=9)
        async with asyncio.timeout(1):
            await server.left.wait()


# --- the end ---------------------------------------------------------------------------------


def sockets_open():
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc to count sockets in")
async def test_close_leaves_no_task_and_no_socket():
    scripts = [HEALTHY, [CHUNKED + chunk(b"a"), *SILENCE], SILENCE,
               [whole(b"", status="529 Over", headers=b"retry-after: 3\r\n")],
               [CHUNKED + chunk(b"last"), *SILENCE]]  # fmt: skip
    async with RawServer(*scripts) as server:
        tasks, sockets = asyncio.all_tasks(), sockets_open()
        upstream = new_upstream(server.url)
        await told(upstream)
        sinks = [RecordingSink() for _ in range(3)]
        for sink in sinks:
            ask(upstream, sink, attempts=3)
            await asyncio.sleep(0.02)
        released = RecordingSink(lambda sink: sink.call.release())
        ask(upstream, released)
        await asyncio.sleep(0.03)
        said = [list(sink.said) for sink in sinks]
        await upstream.close()
        theirs = {it.task for it in server.connections}
        assert asyncio.all_tasks() - tasks - theirs == set()
        async with asyncio.timeout(1):
            for connection in server.connections:
                await connection.gone.wait()
        await asyncio.sleep(0.01)
        assert sockets_open() <= sockets
        assert [sink.said for sink in sinks] == said


async def test_close_twice_is_once_and_a_call_after_it_is_refused():
    upstream = new_upstream("http://127.0.0.1:9")
    await upstream.close()
    await upstream.close()
    with pytest.raises(RuntimeError, match="closed"):
        ask(upstream, RecordingSink())
