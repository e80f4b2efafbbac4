"""Serving: from settings to a listening socket, and from a signal to an empty house.

On SIGTERM or SIGINT readiness fails and no stream is opened; the live ones may end within
`drain_s`, and what then still runs ends `draining`. A second signal does not wait.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from msgspec import Struct

from finalstop.gateway.app import make_app
from finalstop.gateway.auth import Gatekeeper
from finalstop.gateway.compose import open_relay, open_upstream
from finalstop.gateway.config import Settings
from finalstop.gateway.front import Front
from finalstop.gateway.speaker import speaker_for
from finalstop.runtime.relay import TERMINALS_S, Relay
from finalstop.telemetry.logline import configure

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

# Connections that the kernel holds until they are taken: all clients of a server that has just
# been replaced come back at once, and one turned away waits a second before it tries again.
BACKLOG: Final = 1024

log = structlog.get_logger("finalstop.gateway")


def run(settings: Settings) -> int:
    """Serve until a signal has been honoured; return the exit status. Blocks."""
    configure(json=settings.log_format == "json")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(settings))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's, where there is one."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not installable on Windows

    return uvloop.new_event_loop


async def serve(settings: Settings) -> int:
    """Serve in the running loop; return 0 after a drain, 1 if the address is taken."""
    try:
        async with open_gateway(settings) as gateway:
            _announce(settings, gateway.url)
            await _until_signalled(gateway.relay)
    except CannotListenError as error:
        why = str(error)
        log.error(  # noqa: TRY400 - not a bug: no traceback
            "cannot_listen", host=settings.host, port=settings.port, why=why
        )
        return 1
    log.info("stopped")
    return 0


class CannotListenError(Exception):
    """The address is taken, or not ours; the message is the system's."""


class Gateway(Struct, frozen=True):
    """A gateway that listens: its base URL, and the relay behind it."""

    url: str
    relay: Relay


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A whole gateway, listening while the context is open; leaving ends what still streams.

    Raises:
        CannotListenError: on entering.
    """
    async with open_upstream(settings) as upstream, open_relay(settings, log_lines=True) as relay:
        runner = web.AppRunner(
            make_app(Front(settings, relay, upstream, Gatekeeper(settings))),
            # Off by default, and then a client that leaves before the head goes unseen.
            handler_cancellation=True,
            shutdown_timeout=TERMINALS_S,
        )
        await runner.setup()
        try:
            async with _listening(settings, runner) as url:
                yield Gateway(url, relay)
        finally:
            relay.cut("The gateway is closed.")
            await runner.cleanup()


@asynccontextmanager
async def _listening(settings: Settings, runner: web.AppRunner) -> AsyncIterator[str]:
    server = runner.server
    assert server is not None  # it has been set up
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: speaker_for(server), settings.host, settings.port, backlog=BACKLOG
        )
    except OSError as error:
        raise CannotListenError(str(error)) from error
    try:
        host, port = listener.sockets[0].getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        listener.close()


async def _until_signalled(relay: Relay) -> None:
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()

    def on_signal(name: str) -> None:
        if signalled.is_set():
            relay.cut(f"A second signal ({name}).")
        log.info("signal", signal=name, live_streams=relay.live)
        signalled.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number.name)
    try:
        await signalled.wait()
        await relay.drain()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _announce(settings: Settings, url: str) -> None:
    upstream, key = settings.upstream, "own" if settings.api_key else "the client's"
    if settings.is_simulated:
        upstream, key = "the embedded simulator", "none needed"
    log.info("listening", url=url, upstream=upstream, key=key)
