"""One connection to an endpoint: by name, through proxies, with TLS; and every byte's arrival time.

It knows sockets and nothing of HTTP but the CONNECT that opens a tunnel. Times are
`time.monotonic` seconds, taken when the bytes were read.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ECONNREFUSED
from typing import Final, cast
from urllib.parse import SplitResult, unquote, urlsplit

from finalstop.doctor.announce import DoctorError
from finalstop.doctor.http import HTTP_11

CONNECT_S: Final = 5.0
# A server that takes TLS answers the hello at once; one that speaks plain HTTP may wait for ever.
TLS_S: Final = 3.0
TUNNEL_REPLY_BYTES_MAX: Final = 16 * 1024
_LINGER_RESET: Final = struct.pack("ii", 1, 0)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NoConnectionError(Exception):
    """There is no connection; the message has the operating system's words."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the endpoint is reached.

    `proxies` are http URLs, the nearest first; the last one is asked as an HTTP proxy is. `verify`
    is whether a certificate must be good. `version` is the HTTP version we speak.

    Raises:
        DoctorError: a proxy is no http URL.
    """

    proxies: tuple[str, ...] = ()
    verify: bool = True
    version: str = HTTP_11

    def __post_init__(self) -> None:
        for proxy in self.proxies:
            if urlsplit(proxy).scheme != "http" or not urlsplit(proxy).hostname:
                raise DoctorError(f"--proxy {proxy}: it must be a URL like http://localhost:8080")


DIRECT: Final = Way()


@dataclass(frozen=True, slots=True)
class Came:
    """Something that came: bytes, or with none the end; `failure` unless the peer closed."""

    at_s: float
    data: bytes = b""
    failure: Exception | None = None


class Line(asyncio.Protocol):
    """One open connection. `take` what has come; `wait` for more; `leave` at last."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._came: list[Came] = []
        self._arrived = asyncio.Event()
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Note the bytes and when they came."""
        self._note(Came(time.monotonic(), data))

    def eof_received(self) -> bool:
        """The peer has ended its side; we end ours."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(exc)

    def send(self, data: bytes) -> None:
        """Send bytes; they are buffered, which is bounded by what a question holds."""
        self._transport.write(data)

    def take(self) -> Iterator[Came]:
        """What has come since, oldest first."""
        came, self._came = self._came, []
        self._arrived.clear()
        yield from came

    async def wait(self, within_s: float) -> None:
        """Until something has come, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._arrived.wait()

    def leave(self, *, reset: bool = False) -> None:
        """Close (FIN), or reset (RST). May be called twice."""
        if reset:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        # `abort` and not `close`: TLS would wait for the peer's goodbye. Without a linger of zero
        # the kernel sends a FIN.
        self._transport.abort()

    async def upgrade(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on."""
        loop = asyncio.get_running_loop()
        made = await loop.start_tls(self._transport, self, context, server_hostname=host)
        assert made is not None
        self._transport = made

    def _note(self, came: Came) -> None:
        self._came.append(came)
        self._arrived.set()

    def _end(self, failure: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._note(Came(time.monotonic(), failure=failure))


async def connect(url: str, way: Way = DIRECT, *, within_s: float = CONNECT_S) -> Line:
    """Open a connection over which the request for `url` can be sent.

    Raises:
        NoConnectionError: name, refusal, TLS, a proxy's refusal, or no answer within `within_s`.
    """
    target = urlsplit(url)
    try:
        async with asyncio.timeout(within_s):
            return await _connected(target, way)
    except TimeoutError:
        raise NoConnectionError(f"no connection within {within_s:.1f} s") from None
    except ssl.SSLCertVerificationError as bad:
        raise NoConnectionError(f"TLS certificate: {bad.verify_message}") from None
    except ssl.SSLError as bad:
        raise NoConnectionError(f"TLS: {bad.reason or bad}") from None
    except OSError as bad:
        raise NoConnectionError(_words_of(bad)) from None


def is_absolute(url: str, way: Way) -> bool:
    """Whether the request line must name the whole URL: an HTTP proxy is asked for an http one."""
    return bool(way.proxies) and urlsplit(url).scheme == "http"


def _words_of(failure: OSError) -> str:
    # asyncio writes words of its own over the system's, and several failures into one.
    if isinstance(failure, ConnectionRefusedError) or f"[Errno {ECONNREFUSED}]" in str(failure):
        return os.strerror(ECONNREFUSED)
    return failure.strerror or str(failure)


async def _connected(target: SplitResult, way: Way) -> Line:
    hops = [urlsplit(proxy) for proxy in way.proxies]
    secure = target.scheme == "https"
    line = await _dialled(hops[0] if hops else target)
    try:
        beyond = [*hops[1:], target] if secure else hops[1:]
        for proxy, onward in zip(hops, beyond, strict=False):
            await _tunnel(line, proxy, onward)
        if secure:
            await _secured(line, str(target.hostname), verify=way.verify)
    except BaseException:
        line.leave()
        raise
    return line


async def _secured(line: Line, host: str, *, verify: bool) -> None:
    try:
        async with asyncio.timeout(TLS_S):
            await line.upgrade(_context(verify=verify), host)
    except TimeoutError:
        raise NoConnectionError(f"TLS: no answer to the handshake within {TLS_S:g} s") from None
    except ConnectionError as bad:
        raise NoConnectionError("TLS: the connection was closed within the handshake") from bad


async def _dialled(address: SplitResult) -> Line:
    loop = asyncio.get_running_loop()
    host, port = address_of(address)
    _, line = await loop.create_connection(Line, host, port)
    return line


async def _tunnel(line: Line, proxy: SplitResult, onward: SplitResult) -> None:
    host, port = address_of(onward)
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = proxy_credentials(proxy)
    extra = f"proxy-authorization: {credentials}\r\n" if credentials else ""
    line.send(f"CONNECT {name} HTTP/1.1\r\nhost: {name}\r\n{extra}\r\n".encode())
    reply = b""
    while b"\r\n\r\n" not in reply and len(reply) < TUNNEL_REPLY_BYTES_MAX:
        await line.wait(CONNECT_S)
        for came in line.take():
            if not came.data:
                raise NoConnectionError(f"the proxy {proxy.hostname} closed the connection")
            reply += came.data
    status = reply.split(b"\r\n")[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        raise NoConnectionError(f"the proxy {proxy.hostname} answered CONNECT with {status!r}")


def address_of(parts: SplitResult) -> tuple[str, int]:
    """Host and port of a URL."""
    return str(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]


def proxy_credentials(proxy: SplitResult) -> str:
    """The proxy-authorization for what the proxy's URL holds before its @; empty for nothing."""
    if proxy.username is None:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
