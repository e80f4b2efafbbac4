"""What the proof reaches into, of the product and below it: all of it is said here, or in `World`.

A world may not be touched by real time, by real chance or by the addresses of objects.
"""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache, partial
from importlib.metadata import version
from ipaddress import ip_address
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch  # noqa: TID251 - names of other modules, put back after use

import structlog
from aiohttp import connector, web_app

from finalstop.gateway import compose
from finalstop.runtime import viewer
from finalstop.simulator import stage
from finalstop.upstream import connections, gate
from finalstop.upstream.http import AiohttpUpstream
from proof.simulation.loop import SimLoop
from proof.simulation.plan import Plan


class Ordered(dict[Any, None]):
    """A set that keeps the order of coming: the order of addresses is another one in each run."""

    def add(self, item: object) -> None:
        """As a set does."""
        self[item] = None

    def discard(self, item: object) -> None:
        """As a set does."""
        self.pop(item, None)


# Reading the system's certificates takes longer than a schedule, and no schedule gets as far as a
# handshake: what is https here does not resolve.
_tls: Final = cache(ssl.create_default_context)

# Looked up in the files of the installation, for each client of an upstream.
_version: Final = cache(version)

# Pure, and half of what an answer of the simulator costs. Few scripts are played in many schedules.
_set_stage: Final = lru_cache(2_000)(stage.set_stage)
_ip_address: Final = cache(ip_address)


@contextmanager
def house() -> Iterator[None]:
    """What every world has in common; around many of them it is put up once.

    - what is looked up or worked out anew by each world, and is always the same, is remembered;
    - log lines are read, not written: `openings` says by whom;
    - `random.random` is the backoff's jitter: every world seeds it.
    """
    if ssl.create_default_context is _tls:
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(patch("ssl.create_default_context", _tls))
        stack.enter_context(patch("finalstop.upstream.http.version", _version))
        stack.enter_context(patch("finalstop.simulator.performance.set_stage", _set_stage))
        stack.enter_context(patch("finalstop.gateway.address.ip_address", _ip_address))
        stack.callback(partial(structlog.configure, **structlog.get_config()))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.callback(random.setstate, random.getstate())
        yield


@contextmanager
def openings(loop: SimLoop, wrong: list[str], plan: Plan) -> Iterator[None]:
    """Everything of the product and below it that the proof reaches into, and why.

    - aiohttp's pool reads `time.monotonic`: it gets the loop's clock;
    - the backoff's jitter is `random.random`: it is seeded;
    - the gateway asks through `DirectUpstream`; a plan may have it ask through aiohttp, as it does
      where there is a proxy;
    - log lines are read, not written: one that tells of a bug is a violation;
    - a gated connection is read past its transport by its descriptor: it reads the network in
      memory; and a plan may have a few reads make a flow, as most answers here are short;
    - for the same reason it may have a viewer fall behind early, and catch up by small slices;
    - what is in `house`.

    Beside these: a relay's log is wrapped by the witness, its stream ids are numbers, and its
    `on_ended` is told of every end (`World._open_up`).
    """

    def read_line(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> Any:
        if line["event"] in {"handler_failed", "request_failed"}:
            wrong.append(f"logged: {dict(line)}")
        raise structlog.DropEvent

    def read_at_rest(number: int, bytes_max: int) -> bytes:
        try:
            return loop.network.read(number, bytes_max)
        except LookupError as error:
            wrong.append(f"I7 {error}")
            raise

    ours: list[tuple[ModuleType, str, object]] = [
        (connector, "monotonic", loop.time),
        (connections, "read_at_rest", read_at_rest),
        (gate, "FAST_READS", plan.fast_reads),
        (viewer, "OUTLET_BYTES_HIGH", plan.outlet_bytes),
        (viewer, "SLICE_BYTES", plan.slice_bytes),
    ]
    if plan.client == "aiohttp":
        ours.append((compose, "DirectUpstream", _through_aiohttp))
    with house():
        theirs = [(module, name, getattr(module, name)) for module, name, _ in ours]
        _put(ours)
        random.seed(plan.seed)
        structlog.configure(processors=[read_line])
        try:
            yield
        finally:
            _put(theirs)
            # aiohttp remembers the last 1,024 applications, and each of them its world.
            web_app._cached_build_middleware.cache_clear()  # noqa: SLF001


def _through_aiohttp(url: str, *, rest_s: float, **arguments: Any) -> AiohttpUpstream:
    del rest_s  # its loop never rests
    return AiohttpUpstream(url, **arguments)


def _put(names: list[tuple[ModuleType, str, object]]) -> None:
    for module, name, value in names:
        setattr(module, name, value)
