"""The upstreams over HTTP: a module that imports `each_kind` runs all of its tests over both."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from finalstop.core.limits import Limits
from finalstop.upstream.direct import DirectUpstream
from finalstop.upstream.direct_calls import DirectCall
from finalstop.upstream.http import AiohttpUpstream

KINDS = {"aiohttp": AiohttpUpstream, "direct": DirectUpstream}
chosen = ["aiohttp"]


@pytest.fixture(params=KINDS, autouse=True)
def each_kind(request):
    """Run the test once per kind of upstream."""
    chosen[0] = request.param
    yield request.param
    chosen[0] = "aiohttp"


def new_upstream(url, **options):
    """An upstream of the kind whose turn it is; through a proxy only one kind can ask."""
    kind = AiohttpUpstream if "proxy" in options else KINDS[chosen[0]]
    return kind(url, **{"credentials": {}, "limits": Limits(), **options})


@asynccontextmanager
async def upstream_at(url, **options):
    async with aclosing(new_upstream(url, **options)) as upstream:
        yield upstream


def direct_to(url, **options):
    """The faster one, whoever's turn it is."""
    return aclosing(DirectUpstream(url, **{"credentials": {}, "limits": Limits(), **options}))


@asynccontextmanager
async def aclosing(upstream):
    """Close it in the end."""
    try:
        yield upstream
    finally:
        await upstream.close()


async def over(call, within_s=2.0):
    """Wait until nothing of a call is left: no task, and no connection that it holds."""
    if not isinstance(call, DirectCall):
        await asyncio.wait({call.task}, timeout=within_s)
        return
    async with asyncio.timeout(within_s):
        while call in call._well.under_way:  # noqa: ASYNC110 - it tells nobody but its upstream
            await asyncio.sleep(0.001)


def transport_of(call):
    """The transport that a call has now."""
    if not isinstance(call, DirectCall):
        return call._transport
    assert call._connection is not None
    return call._connection.transport
