"""A client that trusts nobody: a bare protocol that writes down bytes, instants and the end.

It reads HTTP and SSE with the plainest parsers there can be, and imports nothing of ours, so that
a mistake in our codec cannot agree with itself. Every request asks for `connection: close`: what
follows a body on the wire is then seen, too.
"""

import asyncio
import json
import socket
import struct
import time
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

MESSAGES, PLAIN = "/v1/messages", "/stream-claude"
ROUTES = (MESSAGES, PLAIN)
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Wire(asyncio.Protocol):
    """One connection. `over` is set when it is gone; `left` then says how: eof or reset."""

    def __init__(self):
        self.data = bytearray()
        self.reads = []  # (instant, bytes so far)
        self.left = "open"
        self.left_at = None
        self.over = asyncio.Event()
        self._waiters = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        self.reads.append((time.monotonic(), len(self.data)))
        for waiter in self._waiters:
            waiter.set()

    def eof_received(self):
        self.left = "eof"

    def connection_lost(self, exc):
        if exc is not None:
            self.left = "reset"
        self.left_at = time.monotonic()
        self.over.set()
        for waiter in self._waiters:
            waiter.set()

    # -- what this client does --

    def leave(self, how):
        """Go away: "fin" closes properly, "rst" resets, "half" only stops sending."""
        if self.over.is_set():
            return self.left_at
        if how == "half":
            self.transport.write_eof()
        elif how == "rst":
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()
        return time.monotonic()

    async def until(self, token, within_s=5.0, after=0):
        """Wait until the token has been received; False where the connection ended first."""
        arrived = asyncio.Event()
        self._waiters.append(arrived)
        try:
            async with asyncio.timeout(within_s):
                while self.data.find(token, after) < 0 and not self.over.is_set():
                    arrived.clear()
                    await arrived.wait()
        finally:
            self._waiters.remove(arrived)
        return self.data.find(token, after) >= 0

    async def answer(self, within_s=10.0):
        """Wait for the end of the connection; a hang is an answer, too."""
        try:
            async with asyncio.timeout(within_s):
                await self.over.wait()
        except TimeoutError:
            self.transport.abort()
            return read_answer(bytes(self.data), "hang")
        answer = read_answer(bytes(self.data), self.left)
        answer.reads = self.reads
        answer.left_at = self.left_at
        return answer

    @property
    def longest_gap_s(self):
        instants = [at for at, _ in self.reads]
        return max((b - a for a, b in pairwise(instants)), default=0.0)


@dataclass
class Answer:
    """What came back. `ended` is whole, or what was wrong with the end of the body."""

    wire: bytes
    ended: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reads: list[tuple[float, int]] = field(default_factory=list)
    left_at: float | None = None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def is_stream(self):
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def frames(self):
        """The SSE frames with data, as (id, event, data); keep-alives have no id."""
        *blocks, tail = self.body.decode().split("\n\n")
        assert not tail, f"the body ends inside a frame: {tail[:80]!r}"
        return [frame for block in blocks if (frame := _frame(block)) is not None]

    @property
    def stream_id(self):
        return self.headers.get("finalstop-stream-id")


def _frame(block):
    fields = [line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":")]
    if not fields:
        return None
    found = dict(fields)
    assert len(found) == len(fields), f"a field came twice: {block[:80]!r}"
    return found.get("id"), found.get("event"), found["data"]


def read_answer(wire, left):
    """Read a response off all the bytes of a connection, and how the connection was left."""
    head, blank, rest = wire.partition(b"\r\n\r\n")
    if not blank:
        return Answer(wire, f"no head, {left}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    answer = Answer(wire, "", int(first.split(" ")[1]), headers)
    if headers.get("transfer-encoding") == "chunked":
        answer.body, answer.ended = _unchunked(rest, left)
    elif "content-length" in headers:
        answer.body, size = rest, int(headers["content-length"])
        answer.ended = "whole" if len(rest) == size else f"{len(rest)} of {size} bytes, {left}"
    else:
        answer.body, answer.ended = rest, "whole" if left == "eof" else left
    return answer


def _unchunked(rest, left):
    body, at = bytearray(), 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        size = int(rest[at:end], 16)
        piece = rest[end + 2 : end + 2 + size]
        body += piece
        at = end + 2 + size
        if rest[at : at + 2] != b"\r\n":
            break
        at += 2
        if size == 0:
            return bytes(body), "whole" if at == len(rest) else "bytes after the last chunk"
    return bytes(body), f"cut, {left}"


async def eventually(condition, within_s=5.0):
    """Wait for what has no event of its own."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 # see the docstring
            await asyncio.sleep(0.002)


# -- asking ---------------------------------------------------------------------------------------


def fields(name, *, stream=True, **more):
    """A request body that both routes take; `name` tells the simulator's record whose it was."""
    message = {"role": "user", "content": "Why is the ocean salty?"}
    return {
        "model": "m",
        "max_tokens": 64,
        "stream": stream,
        "messages": [message],
        "metadata": {"user_id": name},
        **more,
    }


def request_bytes(method, path, host, *, headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close", *headers]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def dial(url, *, receive_bytes=None):
    """Connect; `receive_bytes` makes the kernel's own buffer small."""
    parts = urlsplit(url)
    sock = socket.socket()
    sock.setblocking(False)
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (parts.hostname, parts.port))
    _, wire = await loop.create_connection(Wire, sock=sock)
    return wire


async def begin(url, spec, *, path=MESSAGES, name="", headers=(), receive_bytes=None, **more):
    """Ask for `spec` and return the wire without waiting for an answer."""
    wire = await dial(url, receive_bytes=receive_bytes)
    body = json.dumps(fields(name, **more)).encode()
    own = ("x-api-key: key", f"x-simulator: {spec}", *headers)
    wire.transport.write(request_bytes("POST", path, urlsplit(url).netloc, headers=own, body=body))
    return wire


async def ask(url, spec, *, within_s=10.0, **options):
    """Ask for `spec` and wait for all of the answer."""
    return await (await begin(url, spec, **options)).answer(within_s)


async def get(url, path, *, method="GET", within_s=10.0):
    """Another request of the same principal."""
    wire = await dial(url)
    headers = ("x-api-key: key",)
    wire.transport.write(request_bytes(method, path, urlsplit(url).netloc, headers=headers))
    return await wire.answer(within_s)


async def receipt_of(url, stream_id):
    """The receipt as the gateway keeps it, of a stream that has ended."""
    answer = await get(url, f"/streams/{stream_id}/receipt")
    assert answer.status == 200, answer.body
    return answer.json
