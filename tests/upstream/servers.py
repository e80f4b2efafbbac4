"""Raw servers for tests of the upstream: exact bytes out, and a record of what the client did.

A server plays one list of moves per request: bytes are written, a float is a pause in seconds, and
the two `Move`s close or reset. It is the other side of the socket and imports nothing of ours.
"""

import asyncio
import contextlib
import socket
import struct
import time
from enum import Enum, auto


class Move(Enum):
    FIN = auto()
    RST = auto()


EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = EVENT_STREAM + b"transfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSE = EVENT_STREAM + b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def whole(data, *, status="200 OK", headers=b""):
    length = f"content-length: {len(data)}\r\n\r\n".encode()
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + headers + length + data


class Connection(asyncio.Protocol):
    """One accepted connection: collects requests, plays moves, notes when the peer left."""

    def __init__(self, server):
        self.server = server
        self.number = 0
        self.received = b""
        self.left_at = None
        self.gone = asyncio.Event()
        self.task = None

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.append(self)
        self.number = len(self.server.connections)
        if self.server.greeting:
            transport.write(self.server.greeting)

    def data_received(self, data):
        if self.server.deaf:
            return
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank or len(body) < length_of(head):
            return
        self.received = b""
        moves = self.server.answer(head, body, self.number)
        self.task = asyncio.get_running_loop().create_task(self.play(moves))

    def eof_received(self):
        self.note_left()

    def connection_lost(self, exc):
        self.note_left()
        if self.task is not None:
            self.task.cancel()

    def note_left(self):
        if self.left_at is None:
            self.left_at = time.monotonic()
            self.gone.set()
            self.server.left.set()

    async def play(self, moves):
        for move in moves:
            match move:
                case bytes():
                    self.transport.write(move)
                case Move.FIN:
                    self.transport.close()
                case Move.RST:
                    sock = self.transport.get_extra_info("socket")
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.transport.abort()
                case _:
                    await asyncio.sleep(move)


def length_of(head):
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class RawServer:
    """`async with RawServer([moves of request 1], [of request 2], ...)`; the last list repeats."""

    def __init__(self, *scripts, ssl=None, greeting=b"", deaf=False):
        self.scripts = scripts
        self.ssl = ssl
        self.greeting = greeting
        self.deaf = deaf
        self.connections = []
        self.requests = []
        self.bodies = []
        self.on_connection = []
        self.left = asyncio.Event()

    def answer(self, head, body, number):
        at = min(len(self.requests), len(self.scripts) - 1)
        self.requests.append(head)
        self.bodies.append(body)
        self.on_connection.append(number)
        return self.scripts[at]

    @property
    def port(self):
        return self.server.sockets[0].getsockname()[1]

    @property
    def where(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.where}"

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        make = loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, ssl=self.ssl, backlog=500
        )
        self.server = await make
        return self

    async def __aexit__(self, *exc):
        self.server.close()
        tasks = {it.task for it in self.connections if it.task is not None}
        for connection in self.connections:
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.server.wait_closed()


class Tunnel(asyncio.Protocol):
    """A proxy that answers CONNECT and then carries bytes both ways."""

    def __init__(self, log, status=b"200 OK"):
        self.log = log
        self.status = status
        self.far = None
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.far is not None:
            self.far.write(data)
            return
        self.received += data
        if b"\r\n\r\n" in self.received:
            self.log.append(self.received)
            host, _, port = self.received.split(b" ")[1].rpartition(b":")
            self.task = asyncio.get_running_loop().create_task(self.dial(host.decode(), int(port)))

    async def dial(self, host, port):
        if self.status == b"200 OK":
            loop = asyncio.get_running_loop()
            self.far, _ = await loop.create_connection(lambda: Back(self.transport), host, port)
        self.transport.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")

    def connection_lost(self, exc):
        if self.far is not None:
            self.far.close()


class Back(asyncio.Protocol):
    def __init__(self, near):
        self.near = near

    def data_received(self, data):
        self.near.write(data)

    def connection_lost(self, exc):
        self.near.close()
