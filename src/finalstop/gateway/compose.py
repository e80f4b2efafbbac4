"""The composition root: the concrete upstream and the concrete log, chosen by the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from finalstop.core.receipt import Ended
from finalstop.gateway.config import Settings
from finalstop.log.memory import MemoryLog
from finalstop.runtime.relay import Relay
from finalstop.runtime.stream import Stream
from finalstop.telemetry.logline import ends
from finalstop.upstream.contract import Upstream
from finalstop.upstream.direct import DirectUpstream
from finalstop.upstream.http import AiohttpUpstream


@asynccontextmanager
async def open_upstream(settings: Settings) -> AsyncIterator[Upstream]:
    """The upstream of the settings; the embedded simulator is started for it if it is that."""
    if not settings.is_simulated:
        async with _client(settings, settings.upstream) as upstream:
            yield upstream
        return
    # A gateway that asks the API does not load the simulator: it starts sooner.
    from finalstop.simulator import Simulator  # noqa: PLC0415

    simulator = Simulator(
        default=settings.simulator_spec, pace_ms=settings.simulator_pace_ms, require_key=False
    )
    async with simulator, _client(settings, simulator.url) as upstream:
        yield upstream


@asynccontextmanager
async def _client(settings: Settings, url: str) -> AsyncIterator[Upstream]:
    # No credentials here: the gatekeeper decides for each request what to present.
    upstream: Upstream
    if settings.proxy is None:
        upstream = DirectUpstream(
            url, credentials={}, limits=settings.limits, rest_s=settings.rest_s
        )
    else:
        proxy = settings.proxy.reveal()
        upstream = AiohttpUpstream(url, credentials={}, limits=settings.limits, proxy=proxy)
    try:
        yield upstream
    finally:
        await upstream.close()


@asynccontextmanager
async def open_relay(settings: Settings, *, log_lines: bool) -> AsyncIterator[Relay]:
    """A relay over a memory log; with `log_lines`, every end is one line in the log."""
    write = ends()

    def ended(_stream: Stream, ended: Ended) -> None:
        write(ended)

    on_ended = ended if log_lines else None
    relay = Relay(MemoryLog(settings.limits), settings.limits, on_ended=on_ended)
    try:
        yield relay
    finally:
        relay.close()
