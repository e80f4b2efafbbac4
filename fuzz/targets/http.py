"""The bytes of a response through both HTTP clients of the upstream, on a network in memory.

The clients are whole and real; the loop and its sockets are the proof's (proof/simulation).
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch  # noqa: TID251 - aiohttp's clock, put back after use

from finalstop.core.limits import Limits
from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.direct import DirectUpstream
from finalstop.upstream.http import AiohttpUpstream
from fuzz.target import Target, want
from proof.simulation.loop import SimLoop, run
from tests.upstream.servers import CHUNKED, EVENT_STREAM, LAST_CHUNK, UNTIL_CLOSE, chunk, whole
from tests.upstream.sinks import RecordingSink

UPSTREAMS: Final[Mapping[str, Any]] = {"direct": DirectUpstream, "aiohttp": AiohttpUpstream}
LIMITS: Final = Limits(stream_bytes=64 * 1024, event_bytes=64 * 1024)
ROOMY: Final = Limits()
REQUEST: Final = UpstreamRequest("POST", "/v1/messages", {}, b"{}")
# A response that the client waits for, and for what comes after its end.
WITHIN_S: Final = 60.0

# What a client may tell of bytes and their end. `internal_error` is not among them.
ENDS: Final = {"eof", "truncated", "upstream_invalid", "unreachable"}


class Peer(asyncio.Protocol):
    """Answers the request with the input, in one write or byte by byte, and ends the connection."""

    def __init__(self, data: bytes, *, by_bytes: bool) -> None:
        self._rest: Iterator[bytes] = iter(
            [data[at : at + 1] for at in range(len(data))] if by_bytes else [data]
        )
        self._asked = bytearray()
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Begin once the request is whole."""
        self._asked += data
        if not self._began and self._asked.endswith(b"\r\n\r\n{}"):
            self._began = True
            self._write()

    def _write(self) -> None:
        piece = next(self._rest, None)
        if piece is None:
            self._transport.close()
            return
        self._transport.write(piece)
        asyncio.get_running_loop().call_soon(self._write)


class Deaf(RecordingSink):
    """Hears only the end: what the other one writes down takes longer the more there is of it."""

    def note(self, letter: str, *_what: object) -> None:
        """Pass it over."""

    def data(self, chunk: bytes) -> None:
        """Pass it over."""


async def _in_loop(
    name: str, data: bytes, sink: RecordingSink, *, by_bytes: bool, limits: Limits
) -> None:
    loop: Any = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Peer(data, by_bytes=by_bytes), "127.0.0.1", 0)
    port = listener.getsockname()[1]
    upstream = UPSTREAMS[name](f"http://127.0.0.1:{port}", credentials={}, limits=limits)
    try:
        sink.call = upstream.call(REQUEST, sink, attempts=1, retry_until=0.0)
        await sink.ended(WITHIN_S)  # type: ignore[no-untyped-call]
    finally:
        await upstream.close()
        listener.close()
    await asyncio.sleep(1)  # whoever is left says so in this time


def read(name: str, data: bytes, *, by_bytes: bool) -> RecordingSink:
    """What one client tells of these bytes, in virtual time."""
    sink = RecordingSink()  # type: ignore[no-untyped-call]
    return _read(name, data, sink, by_bytes=by_bytes, limits=LIMITS)


def _read(
    name: str, data: bytes, sink: RecordingSink, *, by_bytes: bool, limits: Limits
) -> RecordingSink:
    loop = SimLoop(1, shuffles=False)
    with _clock_of(loop):
        run(loop, _in_loop(name, data, sink, by_bytes=by_bytes, limits=limits))
    want(not loop.reported, f"{name}: {loop.reported}")
    want(not loop.network.open, f"{name}: left open: {list(loop.network.open)}")
    return sink


@contextmanager
def _clock_of(loop: SimLoop) -> Iterator[None]:
    with patch("aiohttp.connector.monotonic", loop.time):
        yield


def judge(data: bytes) -> str:
    """Both clients, whole and byte by byte: the same end, the same status, the same body."""
    verdicts = []
    for name in UPSTREAMS:
        sink, cut = (read(name, data, by_bytes=by_bytes) for by_bytes in (False, True))
        for way in (sink, cut):
            want(isinstance(way.end, int) or way.end in ENDS, f"{name}: {way.end} {way.said}")
        want(_agree(name, sink, cut), _difference(name, sink, cut))
        status = sink.head.status if sink.head is not None else 0
        verdicts.append(f"{name} {status} {sink.end} {bool(sink.body)}")
    return " / ".join(verdicts)


def _agree(name: str, sink: RecordingSink, cut: RecordingSink) -> bool:
    # aiohttp judges a read as one: what is malformed in it, even beyond the end of the response,
    # costs all else that came with it (tests/faults/table.py). Both ways end, and say why.
    if name == "aiohttp" and "upstream_invalid" in {sink.end, cut.end}:
        return True
    return _comparable(sink) == _comparable(cut)


def _comparable(sink: RecordingSink) -> tuple[object, ...]:
    return sink.end, sink.head.status if sink.head is not None else None, sink.body


def _difference(name: str, sink: RecordingSink, cut: RecordingSink) -> str:
    return f"{name}: whole {sink.said[-1]} {sink.body!r}; byte by byte {cut.said[-1]} {cut.body!r}"


_PACKED: Final = gzip.compress(b"hello" * 20, mtime=0)
_GZIPPED: Final = EVENT_STREAM + b"content-encoding: gzip\r\n"


def _seeds() -> list[bytes]:
    return [
        CHUNKED + chunk(b"hel") + chunk(b"lo") + LAST_CHUNK,  # type: ignore[no-untyped-call]
        whole(b"hello"),  # type: ignore[no-untyped-call]
        UNTIL_CLOSE + b"hello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + CHUNKED + LAST_CHUNK,
        b"HTTP/1.1 529 Overloaded\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\n\r\n",
        _GZIPPED + b"content-length: %d\r\n\r\n" % len(_PACKED) + _PACKED,
        _GZIPPED + b"\r\n" + _PACKED[:-8],
        CHUNKED + b"5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n",
        b"<html>no http</html>",
    ]


def _feed(data: bytes) -> None:
    sink = Deaf()  # type: ignore[no-untyped-call]
    _read("direct", data, sink, by_bytes=False, limits=ROOMY)


TARGET: Final = Target(
    name="http",
    says="a response's bytes through both clients of the upstream",
    judge=judge,
    seeds=_seeds,
    words=(
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 Switching\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/2 200\r\n", b"HTTP/1.0 ", b"500 ", b"304 ", b"content-length: ", b"5\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n", b"transfer-encoding: chunked\r\n", b"0\r\n",
        b"transfer-encoding: gzip, chunked\r\n", b"connection: close\r\n", b"upgrade: x\r\n",
        b"connection: upgrade\r\n", b"content-encoding: gzip\r\n", b"content-encoding: br\r\n",
        b"content-encoding: deflate\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"0\r\n\r\n", b" ",
        b"ffffffffffffffff\r\n", b"-1\r\n", b"x: \xff\r\n", b"\x00", b"\x1f\x8b\x08", b"\t", b":",
        b"retry-after: -1\r\n", b"trailer: x\r\n", b"A" * 60, b"set-cookie: a=b\r\n", b';x="',
    ),
    worst={
        "tiny chunks": lambda n: CHUNKED + b"1\r\na\r\n" * (n // 6) + LAST_CHUNK,
        "a long chunk extension": lambda n: CHUNKED + b"5;" + b"x" * n + b"\r\nhello\r\n",
        "a long header": lambda n: EVENT_STREAM + b"x: " + b"y" * n + b"\r\n\r\n",
        "headers that repeat": lambda n: EVENT_STREAM + b"x: y\r\n" * (n // 6) + b"\r\n",
        "a body of gzip members": lambda n: _GZIPPED + b"\r\n" + _PACKED * (n // len(_PACKED)),
    },
    feed=_feed,
    worst_size=100_000,
)  # fmt: skip
