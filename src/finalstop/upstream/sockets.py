"""The pool of connections: aiohttp's connector, taught to say which connection a call was given.

aiohttp shows a caller its connection only once a response has begun. A call must be able to tear
its connection down before that, and to know whether it was a kept one, so both are told here, at
the moment the connection is handed out. This module knows nothing of requests or responses.
"""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from ssl import SSLContext
from typing import Final, Protocol
from weakref import WeakSet

from aiohttp import AddrInfoType, ClientRequest, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

# What the official SDKs set: a silent peer that is gone is noticed after 60 + 5 x 60 s, and a NAT
# on the way does not forget a stream that thinks for minutes.
KEEP_ALIVE_IDLE_S: Final = 60
KEEP_ALIVE_INTERVAL_S: Final = 60
KEEP_ALIVE_PROBES: Final = 5


class Asker(Protocol):
    """Who asks the pool for a connection."""

    @property
    def wants_fresh(self) -> bool:
        """Whether a kept connection will not do."""

    def took(self, connection: Connection, *, reused: bool) -> None:
        """Hear which connection it is; called before anything is written to it."""


# The connector is called deep inside aiohttp, in the task of the call: the context is what they
# share.
ASKER: Final[ContextVar[Asker]] = ContextVar("finalstop_upstream_asker")


class Pool(TCPConnector):
    """aiohttp's connector with our bounds.

    Args:
        connect_s: the longest that name, TCP, TLS and proxy may take together.
        keepalive_s: how long a connection is kept idle.
        connections_max: 0 for no limit; beyond it a call waits, at most `connect_s`.
        ssl_context: None for the system's trust store.
    """

    def __init__(
        self,
        *,
        connect_s: float,
        keepalive_s: float,
        connections_max: int,
        ssl_context: SSLContext | None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_s,
            limit=connections_max,
            ssl=True if ssl_context is None else ssl_context,
            socket_factory=open_socket,
        )
        self._connect_s: Final = connect_s
        self._seen: Final[WeakSet[ResponseHandler]] = WeakSet()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 # the signature is aiohttp's
    ) -> Connection:
        """Hand out a connection and tell the asker.

        Raises:
            TimeoutError: there is none after `connect_s`.
        """
        asker = ASKER.get()
        async with asyncio.timeout(self._connect_s):
            connection = await super().connect(req, traces, timeout)
            while self._unfit(connection, asker):
                connection.close()
                connection = await super().connect(req, traces, timeout)
        self._tell(asker, connection)
        return connection

    def _unfit(self, connection: Connection, asker: Asker) -> bool:
        """Kept, and not wanted kept; or it has read bytes that nobody asked for.

        aiohttp looks for the latter when a connection is given back, not when it is taken: bytes
        that came in between would be read as the next call's response.
        """
        protocol = connection.protocol
        assert protocol is not None
        return protocol in self._seen and (asker.wants_fresh or protocol.should_close)

    def _tell(self, asker: Asker, connection: Connection) -> None:
        protocol = connection.protocol
        assert protocol is not None
        reused = protocol in self._seen
        if not reused:
            self._seen.add(protocol)
            if protocol.closed is not None:
                protocol.closed.add_done_callback(_look_at)
        try:
            asker.took(connection, reused=reused)
        except BaseException:
            connection.close()
            raise


def _look_at(closed: asyncio.Future[None]) -> None:
    """A future whose exception nobody has looked at is reported as a bug when it is collected."""
    if not closed.cancelled():
        closed.exception()


def open_socket(address: AddrInfoType) -> socket.socket:
    """A TCP socket for an upstream, not connected: probed when idle, never waiting to send."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    _tune(made)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def tune_open(transport: asyncio.BaseTransport, address: AddrInfoType) -> None:
    """Have a connection probed when idle that the loop has dialled; it never waits to send."""
    family, kind, protocol = address[:3]
    # By its number: uvloop's own stand-in for a socket makes one anew for every option.
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        return  # lost already, as its holder will hear
    borrowed = socket.socket(family, kind, protocol, fileno=number)
    try:
        _tune(borrowed)
    finally:
        borrowed.detach()


def _tune(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_ALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEP_ALIVE_PROBES),
    ):
        # Not every platform lets these be set per socket; its own defaults then stand.
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
