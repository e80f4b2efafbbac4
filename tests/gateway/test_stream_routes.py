"""The routes that stream: the list is whole, and those named `at_once_routes` are read at once."""

from itertools import combinations

import pytest

from finalstop.gateway.app import ROUTES
from finalstop.gateway.stream_routes import STREAM_ROUTES
from finalstop.upstream.direct import DirectUpstream
from tests.gateway.served import ASK, request, served

POSTS = [path for method, path, *_ in ROUTES if method == "POST"]
CHOICES = [some for n in range(len(STREAM_ROUTES) + 1) for some in combinations(STREAM_ROUTES, n)]


@pytest.fixture
def asked(monkeypatch):
    """Of each call of an upstream, whether it is to be read at once."""
    found: list[bool] = []
    call = DirectUpstream.call

    def noted(upstream, wanted, sink, **how):
        found.append(wanted.at_once)
        return call(upstream, wanted, sink, **how)

    monkeypatch.setattr(DirectUpstream, "call", noted)
    return found


@pytest.mark.parametrize("named", CHOICES)
async def test_the_routes_that_are_named_are_read_at_once_and_no_others(named, asked):
    async with served(settings={"at_once_routes": named}) as gateway:
        for path in POSTS:
            await gateway.post(path, ASK | {"stream": True})
    assert asked == [path in named for path in POSTS]


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/m%65ssages", "/%761/messages"])
async def test_a_route_is_the_same_however_it_is_spelled(path, asked):
    async with served(settings={"at_once_routes": ("/v1/messages",)}) as gateway:
        assert (await gateway.post(path, ASK | {"stream": True})).status == 200
    assert asked == [True]


async def test_a_whole_message_is_read_as_its_route_is(asked):
    async with served(settings={"at_once_routes": ("/v1/messages",)}) as gateway:
        assert (await gateway.post("/v1/messages", ASK)).status == 200
    assert asked == [True]


async def test_the_routes_that_can_be_named_are_those_that_stream():
    streaming = []
    async with served() as gateway:
        for path in POSTS:
            reply = await gateway.post(path, ASK | {"stream": True})
            if "finalstop-stream-id" in reply.headers:
                streaming.append(path)
    assert streaming == list(STREAM_ROUTES)


async def test_what_is_no_stream_is_not_read_at_once(asked):
    async with served(
        settings={"at_once_routes": STREAM_ROUTES, "nonstream_passthrough": True}
    ) as gateway:
        await gateway.post("/v1/messages", ASK)
        await gateway.say(request("GET", "/v1/models"))
    assert asked == [False, False]
