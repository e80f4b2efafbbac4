"""The library's surface in the simulated world: `Relay.open` and `Stream.attach`, without a server.

What the gateway does in a handler is done here in a task, over the same relay: the source asks the
same upstream, and the view is pulled by `async for`.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any, Final

from finalstop.gateway.compose import open_upstream
from finalstop.gateway.config import Settings
from finalstop.runtime.intake import UpstreamSource
from finalstop.upstream.contract import UpstreamRequest
from proof.simulation.client import fields_of
from proof.simulation.joined import Joined
from proof.simulation.plan import Asking
from proof.simulation.world import World

# In place of a route, for what is asked without one.
LIBRARY: Final = "library"


def ask_library(world: World) -> None:
    """Have what the plan asks of the library asked, beside the gateway's clients."""
    for number, asking in enumerate(world.plan.askings):
        if asking.path == LIBRARY:
            world.begin_task(_read(world, asking, f"client {number}"), LIBRARY)


async def _read(world: World, asking: Asking, name: str) -> None:
    body = json.dumps(fields_of(asking, name)).encode()
    headers = {"content-type": "application/json", "x-simulator": asking.spec}
    request = UpstreamRequest("POST", "/v1/messages", headers, body)
    async with AsyncExitStack() as stack:
        settings = Settings(limits=world.limits, upstream=world.upstream_url, rest_s=0)
        upstream: Any = await stack.enter_async_context(open_upstream(settings))
        source = UpstreamSource(upstream, request, attempts=1, limits=world.limits)
        stream = world.relay.open(source)
        joined = Joined(stream.id, 0, bytearray())
        world.joined.append(joined)
        await joined.pull(stream, world.loop.time)
        await stream.receipt()
