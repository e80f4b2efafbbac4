"""Clients of the simulated world: readers that write down what came, and when.

They speak to the gateway as strangers do, in bytes, and judge nothing; `laws` does.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any, Final, cast

from proof.simulation.plan import Asking, Leaving
from proof.simulation.transport import Side

if TYPE_CHECKING:
    from proof.simulation.loop import SimLoop

HOST: Final = "127.0.0.1"


class Reader(asyncio.Protocol):
    """One connection of a client.

    Attributes:
        data: all that came.
        reads: (turn of the loop, instant, bytes so far) of each read.
        left: how the connection ended: "open" until then, then "eof", "reset" or "ours".
        over: set at the end.
    """

    def __init__(self, loop: SimLoop) -> None:
        self.data = bytearray()
        self.reads: Final[list[tuple[int, float, int]]] = []
        self.left = "open"
        self.over: Final = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._loop: Final = loop

    @property
    def is_served(self) -> bool:
        """Whether it still has a way to be told anything, and waits for it."""
        side = self.transport
        return not self.over.is_set() and not (isinstance(side, Side) and side.inward.dead)

    @property
    def gone_at(self) -> float | None:
        """The instant at which the gateway closed, or lost, its side of the connection."""
        side = self.transport
        return side.out.receiver.gone_at if isinstance(side, Side) else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Write it down."""
        self.data += data
        self.reads.append((self._loop.turns, self._loop.time(), len(self.data)))

    def eof_received(self) -> bool:
        """The other side is done; so are we."""
        if self.left == "open":
            self.left = "eof"
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        if self.left == "open":
            self.left = "ours" if exc is None else "reset"
        self.over.set()

    def leave(self, how: Leaving) -> None:
        """Go away: close, reset, or only stop sending."""
        if self.over.is_set() or self.transport is None:
            return
        if how == "half":
            self.transport.write_eof()
            return
        self.left = "ours"
        if how == "rst":
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"")
            self.transport.abort()
        else:
            self.transport.close()

    def pause(self) -> None:
        """Stop reading."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self.transport is not None:
            self.transport.resume_reading()


def request_of(asking: Asking, name: str, port: int) -> bytes:
    """The bytes of a client's request."""
    headers = [f"x-simulator: {asking.spec}"]
    if asking.linger_s is not None:
        headers.append(f"finalstop-linger-s: {asking.linger_s:g}")
    body = json.dumps(fields_of(asking, name)).encode()
    return wire_request("POST", asking.path, port, headers, body)


def fields_of(asking: Asking, name: str) -> dict[str, Any]:
    """What is asked; `name` tells the simulator's record whose it was."""
    return {
        "model": "m",
        "max_tokens": 64,
        "stream": asking.stream,
        "messages": [{"role": "user", "content": "Why is the ocean salty?"}],
        "metadata": {"user_id": name},
    }


def wire_request(method: str, path: str, port: int, headers: list[str], body: bytes = b"") -> bytes:
    """The bytes of any request, after which the connection is to be closed."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {HOST}:{port}", "connection: close"]
    lines += ["x-api-key: key", *headers]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
