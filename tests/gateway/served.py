"""The gateway as `serve` runs it, in the test's own loop, with its log kept; and a raw client.

For tests of manners: any setting can be given, and requests are bytes, so that they can be as odd
as a test needs. `running.py` is its counterpart for tests of endings.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from finalstop.core.limits import Limits
from finalstop.gateway.config import Settings
from finalstop.gateway.serve import open_gateway
from finalstop.runtime.relay import Relay
from finalstop.simulator import Simulator
from finalstop.telemetry.logline import configure
from tests.simulator.rawclient import MESSAGE, Reply, connect, read_reply

# Nothing here takes longer unless it hangs.
PATIENCE_S = 10.0

ASK = {"model": "m", "max_tokens": 64, "messages": [MESSAGE]}


@dataclass
class Log:
    """What the gateway has logged."""

    log: io.StringIO

    @property
    def lines(self):
        """The log so far, line by line, as data."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def lines_of(self, event):
        return [line for line in self.lines if line["event"] == event]


@dataclass
class Served(Log):
    """A gateway that listens, the simulator behind it, and what the gateway has logged."""

    url: str
    relay: Relay
    simulator: Simulator

    @property
    def call(self):
        """The only call that the simulator has seen."""
        (call,) = self.simulator.calls
        return call

    async def say(self, *pieces: bytes, gap_s: float | None = None) -> Reply:
        return await say(self.url, *pieces, gap_s=gap_s)

    async def post(self, path: str, fields: object, *headers: str) -> Reply:
        return await self.say(request("POST", path, json.dumps(fields).encode(), *headers))

    async def get(self, path: str, *headers: str) -> Reply:
        return await self.say(request("GET", path, None, *headers))


async def say(url: str, *pieces: bytes, gap_s: float | None = None) -> Reply:
    """Send `pieces` on a new connection, `gap_s` apart, and read the answer to its end."""
    reader, writer = await connect(url)
    try:
        for piece in pieces:
            writer.write(piece)
            if gap_s is not None:
                await asyncio.sleep(gap_s)
        return await whole_reply(reader)
    finally:
        writer.transport.abort()


async def until(holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 # see the docstring
            await asyncio.sleep(0.002)


async def whole_reply(reader: asyncio.StreamReader) -> Reply:
    """One answer, to its end; the connection may stay open for what a client has yet to send."""
    wire = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while piece := await reader.read(1 << 16):
                wire += piece
                reply = read_reply(wire, "open")
                if reply.ended == "whole":
                    return reply
        except ConnectionError:
            return read_reply(wire, "reset")
    return read_reply(wire, "eof")


def request(
    method: str,
    path: str,
    body: bytes | None = None,
    *headers: str,
    content_type: str | None = "application/json",
    version: str = "1.1",
    key: str | None = "sk-test",
) -> bytes:
    """A request after which the server closes the connection; without a body if that is None."""
    lines = [f"{method} {path} HTTP/{version}", "host: 127.0.0.1", "connection: close", *headers]
    if key is not None:
        lines.append(f"x-api-key: {key}")
    if body is not None and content_type is not None:
        lines.append(f"content-type: {content_type}")
    chunked = any(line.lower().startswith("transfer-encoding") for line in headers)
    if body is not None and not chunked:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


@asynccontextmanager
async def served(*, settings: dict[str, Any] | None = None, **limits: Any) -> AsyncIterator[Served]:
    """A gateway in front of a simulator: default limits but for `limits`."""
    with logged() as log:
        async with Simulator() as simulator:
            given = {"upstream": simulator.url, "port": 0, **(settings or {})}
            made = Settings(limits=Limits(**limits), **given)
            async with open_gateway(made) as gateway:
                yield Served(log, gateway.url, gateway.relay, simulator)


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Keep what is logged, as lines of JSON."""
    log = io.StringIO()
    configure(json=True, stream=log)
    try:
        yield log
    finally:
        structlog.reset_defaults()


def error_of(reply: Reply) -> tuple[str, str]:
    """Type and message of an answer that must be an error of the API's shape."""
    assert reply.ended == "whole"
    assert reply.headers["content-type"] == "application/json"
    said = reply.json
    assert said["type"] == "error"
    assert said["error"]["message"]
    return said["error"]["type"], said["error"]["message"]
