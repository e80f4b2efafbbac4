"""Serving: from settings to a listening socket, and from a signal to an empty house.

On SIGTERM or SIGINT readiness fails and no stream is opened; the live ones may end within
`drain_s`, and what then still runs ends `draining`. A second signal does not wait.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import structlog
from aiohttp import web
from msgspec import Struct

from finalstop.gateway.app import make_app
from finalstop.gateway.auth import Gatekeeper
from finalstop.gateway.compose import open_relay, open_upstream
from finalstop.gateway.config import Settings
from finalstop.gateway.front import Front
from finalstop.gateway.speaker import Speakers
from finalstop.runtime.relay import Relay
from finalstop.telemetry.logline import configure

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

# Connections that the kernel holds until they are taken: all clients of a server that has just
# been replaced come back at once, and one turned away waits a second before it tries again.
BACKLOG: Final = 1024

# While draining: how often to look whether the last reader has its last bytes.
LOOK_S: Final = 0.02

# What handlers that are still there after the drain get before they are cancelled.
LEFT_S: Final = 0.1

# When the collector of cycles looks: objects more than at the last look, looks at the youngest for
# one at the middle, and of those for one at all. The last one stops the loop for 60 ms per 1,000
# open streams, and finds next to nothing there, because a stream leaves no cycles (tests/gateway
# holds it to that); Python's own 700, 10, 10 looks so whenever the streams are a quarter more.
# Every second look is one at the middle: of what those see, half has not been seen before, where
# smaller looks at the youngest would have seen nearly all. With 1,000 or 5,000 open streams one at
# the youngest takes 0.6 ms, one at the middle 1.9 ms, 3.4 ms at most; it is 2.5, 3.6 and 4.8 ms
# where 600 short streams come and go in a second.
COLLECT_AFTER: Final = (7_000, 0, 100)

log = structlog.get_logger("finalstop.gateway")


def run(settings: Settings) -> int:
    """Serve until a signal has been honoured; return the exit status. Blocks."""
    configure(json=settings.log_format == "json")
    with _collecting_rarely(), asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(settings))


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    # What is loaded stays: no look needs to see it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's, where there is one."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not installable on Windows

    return uvloop.new_event_loop


async def serve(settings: Settings) -> int:
    """Serve in the running loop; return 0 after a drain, 1 if the address is taken."""
    try:
        with _signals() as signals:
            async with open_gateway(settings) as gateway:
                _announce(settings, gateway.url)
                await _until_signalled(signals, gateway.relay)
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
            # The drain has waited for the handlers; what is left reads nothing any more.
            shutdown_timeout=LEFT_S,
        )
        await runner.setup()
        assert runner.server is not None  # it has been set up
        speakers = Speakers(runner.server, write_s=relay.limits.write_s)
        try:
            async with _listening(settings, speakers) as url:
                yield Gateway(url, relay)
        finally:
            relay.cut("The gateway is closed.")
            speakers.stop()
            await runner.cleanup()
            speakers.close()


@asynccontextmanager
async def _listening(settings: Settings, speakers: Speakers) -> AsyncIterator[str]:
    try:
        listener = await asyncio.get_running_loop().create_server(
            speakers, settings.host, settings.port, backlog=BACKLOG
        )
    except OSError as error:
        raise CannotListenError(str(error)) from error
    try:
        for sock in listener.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        host, port = listener.sockets[0].getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        listener.close()


@contextmanager
def _signals() -> Iterator[asyncio.Queue[str]]:
    """The names of the signals as they come, until the house is empty: none kills the process."""
    loop = asyncio.get_running_loop()
    names: asyncio.Queue[str] = asyncio.Queue()
    for number in SIGNALS:
        loop.add_signal_handler(number, names.put_nowait, number.name)
    try:
        yield names
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def _until_signalled(signals: asyncio.Queue[str], relay: Relay) -> None:
    """Wait for a signal, then drain: all of it, the last bytes included, within `drain_s`."""
    log.info("signal", signal=await signals.get(), live_streams=relay.live)
    with suppress(TimeoutError):
        async with asyncio.timeout(relay.limits.drain_s), asyncio.TaskGroup() as tasks:
            impatience = tasks.create_task(_second_signal(signals, relay))
            await relay.drain()
            while relay.watched:  # noqa: ASYNC110 - a few looks, once in a process's life
                await asyncio.sleep(LOOK_S)
            impatience.cancel()


async def _second_signal(signals: asyncio.Queue[str], relay: Relay) -> None:
    name = await signals.get()
    log.info("signal", signal=name, live_streams=relay.live)
    relay.cut(f"A second signal ({name}).")


def _announce(settings: Settings, url: str) -> None:
    upstream, key = settings.upstream, "own" if settings.api_key else "the client's"
    if settings.is_simulated:
        upstream, key = "the embedded simulator", "none needed"
    log.info("listening", url=url, upstream=upstream, key=key)
