"""What an object is: a table of shapes, of real objects where a library has them."""

import asyncio
import contextlib
import socket

import anthropic
import httpx2
import pytest

from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.object_kinds import (
    Shape,
    head_of,
    reading_of,
    refuse,
    response_of,
    shape_of,
    socket_of,
)

EVENTS = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}


def answer(_request=None):
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=EVENTS)


def blocking():
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http)


def waiting():
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return anthropic.AsyncAnthropic(api_key="k", base_url="http://x", http_client=http)


async def events():
    yield {"type": "ping"}


@contextlib.asynccontextmanager
async def opening():
    yield events()


@contextlib.contextmanager
def opening_blocking():
    yield [{"type": "ping"}]


class Body:
    """A response as aiohttp's are."""

    status = 200

    def __init__(self):
        self.content = self
        self.headers = {"Content-Type": "text/event-stream"}

    def iter_any(self):
        return events()


class Named:
    """A response that streams in the loop under the name of one that does not."""

    status_code = 200
    headers = httpx2.Headers()

    async def iter_bytes(self):
        yield EVENTS


def stream():
    return blocking().messages.create(stream=True, **ASK)


def raw_manager():
    return blocking().messages.with_streaming_response.create(stream=True, **ASK)


def exhausted():
    items = (it for it in [b""])
    assert list(items) == [b""]
    return items


# what, how it is made, whether its bytes may be read, its shape
SHAPES = [
    ("the SDK's manager", lambda: blocking().messages.stream(**ASK), True, Shape.SYNC_CONTEXT),
    ("its async one", lambda: waiting().messages.stream(**ASK), True, Shape.ASYNC_CONTEXT),
    ("the SDK's stream", stream, True, Shape.SYNC_READABLE),
    ("the SDK's stream, for its items", stream, False, Shape.SYNC_READABLE),
    ("the SDK's raw response, unopened", raw_manager, True, Shape.SYNC_CONTEXT),
    ("a response like aiohttp's", Body, True, Shape.ASYNC_READABLE),
    ("a response like aiohttp's, for its items", Body, False, None),
    ("a response that hides that it is async", Named, True, Shape.ASYNC_READABLE),
    ("an httpx response in memory", answer, True, Shape.ASYNC_READABLE),
    ("a future", lambda: asyncio.new_event_loop().create_future(), True, Shape.AWAITABLE),
    ("an async generator", events, True, Shape.ASYNC_READABLE),
    ("an async context manager", opening, True, Shape.ASYNC_CONTEXT),
    ("a context manager", opening_blocking, True, Shape.SYNC_CONTEXT),
    ("a list", lambda: [b""], True, Shape.SYNC_READABLE),
    ("a generator", lambda: (it for it in [b""]), True, Shape.SYNC_READABLE),
    ("a Message", anthropic.types.Message.construct, True, None),
    ("a class", lambda: Body, True, None),
    ("text", lambda: "data: {}", True, None),
    ("bytes", lambda: b"data: {}", True, None),
    ("one event", lambda: {"type": "ping"}, True, None),
    ("nothing", lambda: None, True, None),
    ("a function", lambda: print, True, None),
    ("the SDK's client", blocking, True, None),
    ("its async one", waiting, True, None),
    ("an httpx client", httpx2.Client, True, None),
    ("an async httpx client", httpx2.AsyncClient, True, None),
    ("an exhausted generator", exhausted, True, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "raw", "shape"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
)
async def test_a_shape_is_told_by_attributes(make, raw, shape):
    thing = await asyncio.to_thread(
        make
    )  # a sync client may block, and its tracing may not like loops
    assert shape_of(thing, raw=raw) is shape
    if asyncio.isfuture(thing):
        thing.get_loop().close()
    if hasattr(thing, "_AsyncMessageStreamManager__api_request"):
        thing._AsyncMessageStreamManager__api_request.close()


async def test_a_coroutine_is_awaited():
    coroutine = asyncio.sleep(0)
    assert shape_of(coroutine) is Shape.AWAITABLE
    await coroutine


# -- reading --------------------------------------------------------------------------------------


def test_bytes_are_preferred_and_an_iterator_that_was_begun_is_read_on():
    given = stream()
    given.response.is_stream_consumed = given.response.is_closed = False
    del given.response._content
    unread, for_items = reading_of(given), reading_of(given, raw=False)
    given.response.is_stream_consumed = True
    begun = reading_of(given)
    assert unread is not None
    assert for_items is not None
    assert begun is not None
    assert unread.pieces == given.response.iter_bytes
    assert given.response.iter_bytes not in {begun.pieces, for_items.pieces}
    assert begun.response is for_items.response is given.response


def test_a_response_is_found_behind_what_an_sdk_wraps_around_it():
    given = stream()
    with raw_manager() as raw:
        assert response_of(raw) is raw.http_response
    assert response_of(given) is given.response
    response = answer()
    assert response_of(response) is response
    assert response_of([]) is None


def test_what_was_read_already_is_refused_as_that():
    response = answer()
    del response._content
    assert shape_of(response) is None
    assert "has been read or closed already" in str(refuse(response))


async def test_what_was_used_up_is_refused_as_that():
    asked, begun, over = asyncio.sleep(0), events(), events()
    await asked
    await anext(begun)
    assert [it async for it in over] == [{"type": "ping"}]
    for thing in (asked, over, exhausted()):
        assert shape_of(thing) is None
        assert "was used already; make one per stream" in str(refuse(thing))
    assert shape_of(begun) is Shape.ASYNC_READABLE
    await begun.aclose()


def test_a_client_is_refused_as_that():
    assert "AsyncAnthropic is not a stream but a client; accepted" in str(refuse(waiting()))


def test_where_only_events_are_read_no_bytes_are_said_to_be_accepted():
    accepted = str(refuse(7, raw=False))
    assert "int is not a stream; accepted are what client.messages.stream(...)" in accepted
    assert "with_streaming_response" not in accepted
    assert "responses and bytes are for a Relay" in accepted


def test_a_refusal_names_what_was_given_and_what_is_accepted():
    message = str(refuse(7))
    assert message.startswith("int is not a stream; accepted are ")
    for accepted in ("messages.stream(...)", "stream=True", "httpx", "aiohttp", "iterable"):
        assert accepted in message
    assert "tests.upstream.test_object_kinds.Body" in str(refuse(Body())) or "Body" in str(
        refuse(Body())
    )


# -- heads and sockets ----------------------------------------------------------------------------


class Headed:
    status = 200

    def __init__(self, headers):
        self.headers = headers


class Pairs(dict):
    def items(self):
        return [("A", "1"), ("a", "2")]


def test_a_head_has_lower_case_names_and_joins_what_repeats():
    merged = Headed(httpx2.Headers([("A", "1"), ("a", "2"), ("B", "3")]))
    assert head_of(merged) == ResponseHead(200, {"a": "1, 2", "b": "3"})
    assert head_of(Headed(Pairs())) == ResponseHead(200, {"a": "1, 2"})


@pytest.mark.parametrize("thing", [None, [], socket, Pairs()])
def test_what_has_no_status_has_no_head(thing):
    assert head_of(thing) is None


class Extra:
    def __init__(self, sock):
        self.sock = sock

    def get_extra_info(self, name):
        return self.sock if name == "socket" else None


class Using:
    is_closed = False

    def __init__(self, sock, **extensions):
        self.extensions = {"http_version": b"HTTP/1.1", "network_stream": Extra(sock)} | extensions


def test_the_socket_of_a_response_is_found_only_while_it_alone_uses_it():
    with socket.socket() as sock:
        assert socket_of(Using(sock)) is sock
        assert socket_of(Using(sock, http_version=b"HTTP/2")) is None
        assert socket_of(Using(sock, network_stream=None)) is None
        assert socket_of(Using(None)) is None
        read = Using(sock)
        read.is_closed = True
        assert socket_of(read) is None
    assert socket_of(Body()) is None
    assert socket_of(None) is None
    without = Using(None)
    del without.extensions
    assert socket_of(without) is None
