"""A whole gateway on a real port, over a simulator or any other upstream, in the test's own loop.

It is the gateway of `gateway.serve`, without signals and without log lines: what ended is kept in
`ended`, in order. `served.py` is its counterpart for tests of manners, `process.py` the real thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.gateway.config import Settings
from finalstop.gateway.serve import open_gateway
from finalstop.runtime.relay import Relay
from finalstop.simulator import Simulator
from tests.faults.client import eventually

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

# Short enough for a test, long enough that a busy machine does not look like a silent upstream.
SHORT: dict[str, Any] = {
    "commit_s": 2.0,
    "first_content_s": 0.7,
    "idle_s": 0.5,
    "connect_s": 1.9,
    "deadline_s": 20.0,
    "write_s": 2.0,
    "drain_s": 2.0,
}


@dataclass
class Running:
    """A gateway that runs. `simulator` is None where the upstream is somebody else."""

    url: str
    settings: Settings
    relay: Relay
    simulator: Any = None
    ended: list[Ended] = field(default_factory=list)

    @property
    def calls(self):
        return self.simulator.calls

    def call_of(self, name):
        """The last call the simulator saw for the request that carried this name."""
        return next(call for call in reversed(self.calls) if name_of(call) == name)

    async def all_ended(self, count, within_s=5.0):
        """Wait until so many streams have ended."""
        await eventually(lambda: len(self.ended) >= count, within_s)
        return self.ended


def name_of(call):
    """What `tests.faults.client.fields` put into the request's metadata."""
    body = call.body if isinstance(call.body, dict) else {}
    return body.get("metadata", {}).get("user_id")


@asynccontextmanager
async def running(*, upstream: Any = None, **limits: Any) -> AsyncIterator[Running]:
    """A gateway with `SHORT` limits, changed by `limits`, in front of a simulator or `upstream`."""
    if upstream is not None:
        async with _gateway(upstream, limits) as gateway:
            yield gateway
        return
    async with Simulator() as simulator, _gateway(simulator.url, limits) as gateway:
        gateway.simulator = simulator
        yield gateway


@asynccontextmanager
async def _gateway(upstream_url: str, limits: dict[str, Any]) -> AsyncIterator[Running]:
    settings = Settings(limits=Limits(**{**SHORT, **limits}), port=0, upstream=upstream_url)
    ended: list[Ended] = []
    async with open_gateway(settings) as gateway:
        # In place of the log line.
        gateway.relay._on_ended = lambda _stream, how: ended.append(how)
        yield Running(gateway.url, settings, gateway.relay, ended=ended)
