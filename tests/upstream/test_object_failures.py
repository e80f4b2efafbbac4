"""What an object raised, as an ending: every row against the real exception of the real library.

The exceptions are raised by the SDK, httpx2, aiohttp and Python itself, over real sockets wherever
a socket can bring them about; the simulator commits the faults.
"""

import asyncio
import http.client
import json
import socket
from contextlib import asynccontextmanager

import aiohttp
import anthropic
import httpx2
import pytest

from finalstop.core.endings import EndReason as R
from finalstop.simulator import SimulatorThread
from finalstop.simulator.connect import connect_timeout, refused, unresolvable
from finalstop.upstream.object_failures import (
    NAMES,
    WRAPPERS,
    Failed,
    Refused,
    Said,
    TimedOut,
    verdict_on,
)
from finalstop.upstream.object_kinds import refuse
from tests.upstream.servers import Move, RawServer

SECRET = "a prompt that nobody else may read"
ASK = {"max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": SECRET}]}
KEY = {"x-api-key": "k"}


@pytest.fixture(scope="module")
def simulator():
    with SimulatorThread() as running:
        yield running


@asynccontextmanager
async def sdk(url, **options):
    plain_http = options.pop("http_client", None) or anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=url, max_retries=0, http_client=plain_http, **options
    ) as client:
        yield client


async def by_sdk(url, script, **options):
    async with sdk(url, **options) as client:
        async for _ in await client.messages.create(model=f"sim:{script}", **ASK):
            pass


async def by_httpx(url, script="text", *, ask=None, **options):
    async with httpx2.AsyncClient(verify=False, **options) as client:
        sent = client.stream("POST", f"{url}/v1/messages", json=ask or request(script), headers=KEY)
        async with sent as response:
            response.raise_for_status()
            async for _ in response.aiter_bytes():
                pass


async def by_aiohttp(url, script="text", **options):
    async with (
        aiohttp.ClientSession(**options) as client,
        client.post(f"{url}/v1/messages", json=request(script), headers=KEY) as response,
    ):
        async for _ in response.content.iter_any():
            pass


def request(script):
    return {"model": f"sim:{script}", **ASK}


# -- how each row comes about ---------------------------------------------------------------------


async def pool_timeout(url):
    limits = httpx2.Limits(max_connections=1)
    async with httpx2.AsyncClient(verify=False, limits=limits, timeout=0.1) as client:
        one = client.build_request("POST", f"{url}/v1/messages", json=request("stall"), headers=KEY)
        held = await client.send(one, stream=True)
        try:
            await client.send(one, stream=True)
        finally:
            await held.aclose()


async def connects_too_slowly(url):
    with connect_timeout() as full:
        await by_httpx(full, timeout=httpx2.Timeout(5, connect=0.2))


async def aiohttp_connects_too_slowly(url):
    with connect_timeout() as full:
        await by_aiohttp(full, timeout=aiohttp.ClientTimeout(sock_connect=0.2))


async def nobody_listens(url, by=by_httpx):
    with refused() as dead:
        await by(dead)


async def sdk_to_nobody(url):
    with refused() as dead:
        await by_sdk(dead, "text")


async def no_such_name(url):
    with unresolvable() as nowhere:
        await asyncio.to_thread(socket.getaddrinfo, nowhere.partition("//")[2], 80)


async def python_connects_to_nobody(url):
    with refused() as dead:
        host, port = dead.partition("//")[2].split(":")
        await asyncio.open_connection(host, int(port))


async def proxy_refuses(url):
    await by_httpx("https://upstream.invalid", proxy=url)


async def broken_gzip(url):
    body = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\njunk"
    async with RawServer([body]) as server:
        await by_httpx(server.url)


async def error_event_without_json(url):
    body = b"event: error\ndata: no JSON\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    async with RawServer([head % len(body) + body]) as server:
        await by_sdk(server.url, "text")


async def short_body(url):
    def read():
        connection = http.client.HTTPConnection(url.partition("//")[2], timeout=5)
        try:
            body = json.dumps(request("content-length-short@mid-text"))
            connection.request("POST", "/v1/messages", body, KEY)
            connection.getresponse().read()
        finally:
            connection.close()

    await asyncio.to_thread(read)


async def python_is_reset(url):
    async with RawServer([Move.RST]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            await reader.read()
        finally:
            writer.close()


async def python_waits_too_long(url):
    async with asyncio.timeout(0):
        await asyncio.sleep(5)


async def middleware_fails(url):
    def fail(_request):
        raise OSError(SECRET)

    broken = httpx2.AsyncClient(transport=httpx2.MockTransport(fail))
    await by_sdk(url, "text", http_client=broken)


async def sdk_gives_up_without_a_cause(url):
    raise anthropic.APITimeoutError(httpx2.Request("POST", url))


# row,  how it comes about,  what it means
ROWS = [
    ("ConnectTimeout", connects_too_slowly, R.UNREACHABLE),
    ("PoolTimeout", pool_timeout, R.UNREACHABLE),
    ("TimeoutException", lambda url: by_httpx(url, "stall", timeout=0.1), TimedOut),
    ("ConnectError", nobody_listens, R.UNREACHABLE),
    ("ProxyError", proxy_refuses, R.UNREACHABLE),
    ("UnsupportedProtocol", lambda url: by_httpx("ftp://x"), R.UNREACHABLE),
    ("NetworkError", lambda url: by_httpx(url, "rst@mid-text,pace_ms=1,words=40"), R.TRUNCATED),
    ("RemoteProtocolError", lambda url: by_httpx(url, "eof@mid-text"), R.TRUNCATED),
    ("DecodingError", broken_gzip, R.UPSTREAM_INVALID),
    ("ConnectionTimeoutError", aiohttp_connects_too_slowly, R.UNREACHABLE),
    (
        "ServerTimeoutError",
        lambda url: by_aiohttp(url, "stall", timeout=aiohttp.ClientTimeout(sock_read=0.1)),
        TimedOut,
    ),
    ("ClientConnectorError", lambda url: nobody_listens(url, by_aiohttp), R.UNREACHABLE),
    ("ClientConnectionError", lambda url: by_aiohttp(url, "eof@before-head"), R.TRUNCATED),
    ("ClientPayloadError", lambda url: by_aiohttp(url, "eof@mid-text"), R.TRUNCATED),
    ("InvalidURL", lambda url: by_aiohttp("http://"), R.UNREACHABLE),
    (
        "TooManyRedirects",
        lambda url: by_httpx(url, "redirect", follow_redirects=True, max_redirects=0),
        R.UPSTREAM_INVALID,
    ),
    ("gaierror", no_such_name, R.UNREACHABLE),
    ("ConnectionRefusedError", python_connects_to_nobody, R.UNREACHABLE),
    ("TimeoutError", python_waits_too_long, TimedOut),
    ("ConnectionError", python_is_reset, R.TRUNCATED),
    ("IncompleteRead", short_body, R.TRUNCATED),
    ("JSONDecodeError", lambda url: by_sdk(url, "bad-json@mid-text"), R.UPSTREAM_INVALID),
    ("UnicodeDecodeError", lambda url: by_sdk(url, "invalid-utf8@mid-text"), R.UPSTREAM_INVALID),
    (
        "APIResponseValidationError",
        lambda url: by_sdk(url, "wrong-shape@mid-text", _strict_response_validation=True),
        R.UPSTREAM_INVALID,
    ),
    ("APIStatusError", error_event_without_json, R.UPSTREAM_INVALID),
    ("APIConnectionError", middleware_fails, R.UNREACHABLE),
    ("APITimeoutError", sdk_gives_up_without_a_cause, TimedOut),
]


async def raised_by(act, url):
    with pytest.raises(BaseException) as raised:
        await act(url)
    return raised.value


def row_of(error):
    """The name in the table that decided."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    names = [cls.__name__ for it in chain for cls in type(it).__mro__]
    return next((name for table in (NAMES, WRAPPERS) for name in names if name in table), names)


@pytest.mark.slow
@pytest.mark.parametrize(("row", "act", "meaning"), ROWS, ids=[row[0] for row in ROWS])
async def test_every_row_is_what_the_library_really_raises(simulator, row, act, meaning):
    error = await raised_by(act, simulator.url)
    assert row_of(error) == row
    verdict = verdict_on(error)
    assert isinstance(verdict, Failed | TimedOut)
    assert (verdict.reason if isinstance(verdict, Failed) else TimedOut) == meaning
    assert SECRET not in verdict.detail
    assert type(error).__name__ in verdict.detail


def test_every_row_of_the_table_has_its_test():
    assert [row[0] for row in ROWS] == [*NAMES, *sorted(WRAPPERS)]


MALFORMED = {
    "httpx: not HTTP": lambda _: malformed(by_httpx),
    "aiohttp: not HTTP": lambda _: malformed(by_aiohttp),
    "the SDK: not HTTP": lambda _: malformed(lambda url: by_sdk(url, "text")),
    "httpx: a bad chunk": lambda url: by_httpx(url, "bad-chunk-size@mid-text"),
    "httpx: a huge head": lambda url: by_httpx(url, "huge-head,bytes=200000"),
    "aiohttp: a huge head": lambda url: by_aiohttp(url, "huge-head,bytes=200000"),
}
CUT = {
    "httpx: a cut chunk": lambda url: by_httpx(url, "cut-chunk@mid-text"),
    "aiohttp: a cut chunk": lambda url: by_aiohttp(url, "cut-chunk@mid-text"),
    "the SDK: cut before it answered": lambda url: by_sdk(url, "eof@before-head"),
    "the SDK: reset before it answered": lambda url: by_sdk(url, "rst@before-head"),
}


async def malformed(by):
    async with RawServer([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]) as server:
        await by(server.url)


@pytest.mark.slow
@pytest.mark.parametrize("what", [*MALFORMED, *CUT])
async def test_a_malformed_response_is_not_a_cut_one(simulator, what):
    act = MALFORMED.get(what) or CUT[what]
    verdict = verdict_on(await raised_by(act, simulator.url))
    assert isinstance(verdict, Failed)
    assert verdict.reason is (R.UPSTREAM_INVALID if what in MALFORMED else R.TRUNCATED)


@pytest.mark.slow
async def test_whom_the_sdk_cannot_reach_is_unreachable(simulator):
    verdict = verdict_on(await raised_by(sdk_to_nobody, ""))
    assert verdict == Failed(
        R.UNREACHABLE, "The upstream could not be reached (APIConnectionError)."
    )


# -- answers that exceptions carry ----------------------------------------------------------------

REFUSED = [
    ("the SDK", lambda url: by_sdk(url, "status-429"), 429, "rate_limit_error"),
    ("httpx", lambda url: by_httpx(url, "status-429"), 429, None),
    ("aiohttp", lambda url: by_aiohttp(url, "status-429", raise_for_status=True), 429, None),
    ("a page", lambda url: by_sdk(url, "status-502"), 502, None),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "status", "error_type"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_a_status_error_is_the_refusal_it_was_made_from(simulator, act, status, error_type):
    verdict = verdict_on(await raised_by(act, simulator.url))
    assert isinstance(verdict, Refused)
    assert verdict.head.status == status
    if status == 429:
        assert verdict.head.headers["request-id"].startswith("req_")
        assert verdict.head.headers["retry-after"] == "1"
    if error_type is not None:
        assert json.loads(verdict.body)["error"]["type"] == error_type


@pytest.mark.slow
async def test_an_error_event_that_the_sdk_raised_is_that_event_again(simulator):
    error = await raised_by(lambda url: by_sdk(url, "error-overloaded@mid-text"), simulator.url)
    assert error.status_code == 200
    verdict = verdict_on(error)
    assert isinstance(verdict, Said)
    said = json.loads(verdict.event)
    assert (said["type"], said["error"]["type"]) == ("error", "overloaded_error")


class KeptParsed(Exception):
    def __init__(self):
        super().__init__(SECRET)
        self.status_code, self.headers = 400, {"request-id": "r"}
        self.body = {"type": "error"}


def test_a_parsed_body_stands_in_for_bytes_that_were_not_kept():
    verdict = verdict_on(KeptParsed())
    assert isinstance(verdict, Refused)
    assert (verdict.head.status, json.loads(verdict.body)) == (400, {"type": "error"})


# -- what is nobody's known exception -------------------------------------------------------------


async def sdk_loses_its_place(url):
    async with sdk(url) as client:
        ask = {name: value for name, value in ASK.items() if name != "stream"}
        async with client.messages.stream(
            model="sim:delta-unknown-index@mid-text", **ask
        ) as stream:
            async for _ in stream:
                pass


@pytest.mark.slow
async def test_what_the_sdks_reader_stumbles_over_is_the_upstreams_doing(simulator):
    error = await raised_by(sdk_loses_its_place, simulator.url)
    assert type(error) is IndexError
    assert verdict_on(error) == Failed(
        R.UPSTREAM_INVALID, "The client could not read what came (IndexError)."
    )


@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), SystemExit(SECRET)])
def test_anything_else_is_named_by_its_type_and_never_quoted(error):
    detail = f"The fault is in the source, which raised {type(error).__name__}."
    assert verdict_on(error) == Failed(R.INTERNAL_ERROR, detail)


def test_what_we_say_of_an_unfit_source_is_told_as_it_is():
    error = refuse(7)
    assert verdict_on(error) == Failed(R.INTERNAL_ERROR, f"The source cannot be read: {error}.")


async def awaited_twice():
    asked = asyncio.sleep(0)
    await asked
    await asked


async def read_at_once_by_two():
    async def slow():
        await asyncio.sleep(0.01)
        yield 1

    items = slow()

    async def step():
        return await anext(items)

    first = asyncio.get_running_loop().create_task(step())
    await asyncio.sleep(0)
    try:
        await anext(items)
    finally:
        await first


async def read_within_itself():
    def items():
        yield next(itself)

    itself = items()
    next(itself)


async def read_again():
    async def body():
        yield b"one"

    response = httpx2.Response(200, content=body())
    for _ in range(2):
        async for _ in response.aiter_raw():
            pass


async def read_after_closing():
    async def body():
        yield b"one"

    response = httpx2.Response(200, content=body())
    await response.aclose()
    async for _ in response.aiter_raw():
        pass


@pytest.mark.parametrize(
    "use", [awaited_twice, read_at_once_by_two, read_within_itself, read_again, read_after_closing]
)
async def test_what_was_used_already_is_told_as_that(use):
    with pytest.raises((RuntimeError, ValueError)) as raised:
        await use()
    detail = "The source was used or closed already; make one per stream."
    assert verdict_on(raised.value) == Failed(R.INTERNAL_ERROR, detail)


def test_a_circle_of_causes_is_walked_once():
    one, other = RuntimeError("one"), ConnectionResetError("other")
    one.__cause__, other.__cause__ = other, one
    assert verdict_on(one) == Failed(R.TRUNCATED, "The connection broke off (RuntimeError).")
