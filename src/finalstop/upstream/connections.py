"""Connections to one upstream: dialled, held by one call at a time, kept for the next.

A connection has a holder or none. Only its holder's word counts: what somebody says who has let
go of it, however late, reaches nobody. Bytes that come to a kept connection while nobody holds it
were asked for by nobody, and close it; to a new one they wait for its first holder. This module
knows nothing of requests or responses.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Final, Protocol, cast

from aiohappyeyeballs import start_connection
from aiohttp import AddrInfoType

from finalstop.upstream.sockets import open_socket, tune_open

# How long the addresses of a name are believed.
NAMES_S: Final = 10.0
# RFC 8305 section 5: the head start of the first address before the next one is tried as well.
HEAD_START_S: Final = 0.25


# A read as large as this may not be the last: the loop would go on reading this one connection,
# megabytes of it, while all others wait. So it pauses for a turn.
FULL_READ_BYTES: Final = 64 * 1024

# Whether a transport that is paused has no read under way: Windows' has.
IS_READ_AT_REST: Final = sys.platform != "win32"
# Reads a descriptor at rest. The simulation puts its own here: its connections are in memory.
read_at_rest: Callable[[int, int], bytes] = os.read
# No descriptor, where the transport alone may read.
NOT_OURS: Final = -1

# What a look at a paused connection reads at most: far more than a tick's words; if there is more,
# the transport reads on.
LOOK_BYTES: Final = 16 * 1024


class Holder(Protocol):
    """Who has a connection for now. Both methods are synchronous."""

    def received(self, data: bytes) -> None:
        """Take what was read."""

    def lost(self, error: Exception | None) -> None:
        """The connection is gone; `error` where it did not end properly. Told once."""


class Connection(asyncio.Protocol):
    """One connection. `hold` it and `listen` to it; then write to it, and `keep` or `abort` it."""

    __slots__ = (
        "_early", "_error", "_fd", "_holder", "_is_paused", "_room", "fast_reads", "is_gated",
        "kept_at", "read_at", "transport",
    )  # fmt: skip

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.kept_at: float | None = None
        """When it was last kept; None for one that has served nobody yet."""
        self._holder: Holder | None = None
        self._fd = NOT_OURS
        self.fast_reads = 0
        self.read_at = 0.0
        self.is_gated = False
        self._is_paused = False
        self._early = b""
        self._error: Exception | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it can serve nobody any more."""
        return self.transport.is_closing()

    def hold(self, holder: Holder) -> None:
        """Take it: what it says, and what is said to it, is now `holder`'s. Next: `listen`."""
        assert self._holder is None
        self._holder = holder
        self.fast_reads = 0

    def listen(self) -> None:
        """Hear what came, or befell it, before it was held."""
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self.is_closed:
            self._tell_lost(self._error)

    def let_go(self, holder: Holder) -> bool:
        """Stop hearing it; whether it was `holder`'s to let go."""
        if self._holder is not holder:
            return False
        self._holder = None
        self.resume()
        return True

    def room(self) -> asyncio.Future[None] | None:
        """What is done once the transport takes bytes again; None if it takes them now."""
        return self._room

    def pause(self) -> None:
        """Read no more, until `resume`."""
        if not self._is_paused and not self.is_closed:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on. Nothing if it is not paused."""
        if self._is_paused:
            self._is_paused = False
            if not self.is_closed:
                self.transport.resume_reading()

    def look(self) -> None:
        """Read what is there; if nothing is, `resume`. Nothing if it is not paused.

        A paused transport watches nothing, and to have it watch again costs more than to read. So
        its socket is read here; TLS is only its own to read.
        """
        if not self._is_paused or self.is_closed:
            return
        if self._fd == NOT_OURS:
            self.resume()
            return
        try:
            data = read_at_rest(self._fd, LOOK_BYTES)
        except ConnectionError as error:
            self.lose(error)
        except OSError:  # there is nothing, as a rule; whatever else it is, the transport will see
            self.fast_reads = 0
            self.resume()
        else:
            self._looked(data)

    def lose(self, error: Exception) -> None:
        """Close it now, and tell its holder why."""
        self._tell_lost(error)
        self.transport.abort()

    def _looked(self, data: bytes) -> None:
        if not data:
            self.eof_received()
            return
        self.data_received(data)
        if len(data) == LOOK_BYTES:
            self.resume()

    # -- what the transport tells -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        if transport.get_extra_info("sslcontext") is None and IS_READ_AT_REST:
            self._fd = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        """Hand on what was read."""
        holder = self._holder
        if holder is not None:
            holder.received(data)
            if len(data) >= FULL_READ_BYTES and not self._is_paused:
                self.pause()
                asyncio.get_running_loop().call_soon(self.resume)
        elif self.kept_at is None and not self._early:
            self._early = data
        else:
            self.transport.abort()

    def eof_received(self) -> None:
        """The other side sends no more. Not to wait for what it will not read either."""
        self._tell_lost(None)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and its number may soon be another's."""
        self._fd = NOT_OURS
        self._tell_lost(exc)
        self.resume_writing()

    def pause_writing(self) -> None:
        """The transport is full."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The transport has room again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _tell_lost(self, error: Exception | None) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.lost(error)
        elif self._error is None:
            self._error = error


class Kept:
    """The connections to one place: those kept idle, and the way to a new one.

    Args:
        host: a name or an address, without brackets.
        port: the port.
        tls: how to speak TLS; None to speak plainly.
        connect_s: the longest that `take` may take: name, TCP and TLS together.
        keepalive_s: how long a connection is kept idle.
        connections_max: how many may be in use at once; 0 for no limit.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: Callable[[], ssl.SSLContext] | None,
        connect_s: float,
        keepalive_s: float,
        connections_max: int,
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._host: Final = host
        self._port: Final = port
        self._tls: Final = None if tls is None else tls()
        self._tls_name: Final = None if tls is None else host
        self._connect_s: Final = connect_s
        self._keepalive_s: Final = keepalive_s
        self._turns: Final = asyncio.Semaphore(connections_max) if connections_max else None
        self._idle: list[Connection] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._names: list[AddrInfoType] = []
        self._named_at = float("-inf")
        self._closed = False

    async def take(self, *, fresh: bool) -> Connection:
        """A connection: a kept one unless it must be `fresh`. `hold` it before any await.

        What was taken must be given back, with `keep` or `abort`, once.

        Raises:
            OSError: there is none; `TimeoutError` after `connect_s`.
        """
        if self._turns is None:
            kept = None if fresh else self._usable()
            if kept is not None:
                return kept  # nothing to wait for
        async with asyncio.timeout(self._connect_s):
            if self._turns is not None:
                await self._turns.acquire()
            try:
                kept = None if fresh else self._usable()
                return kept or await self._dial()
            except BaseException:
                self._end_turn()
                raise

    def keep(self, connection: Connection, holder: Holder) -> None:
        """Give back a connection on which nothing is under way."""
        if not connection.let_go(holder):
            return
        self._end_turn()
        if self._closed or connection.is_closed:
            connection.transport.abort()
            return
        connection.kept_at = self._loop.time()
        self._idle.append(connection)
        self._arm()

    def abort(self, connection: Connection, holder: Holder) -> None:
        """Close a connection now: `close` would wait for unsent bytes, and for TLS's goodbye."""
        if connection.let_go(holder):
            self._end_turn()
            connection.transport.abort()

    def lost(self) -> None:
        """A held connection has gone by itself; its holder has heard of it."""
        self._end_turn()

    def close(self) -> None:
        """Close what is kept, and keep nothing any more."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.transport.abort()
        self._idle.clear()

    def _end_turn(self) -> None:
        if self._turns is not None:
            self._turns.release()

    def _usable(self) -> Connection | None:
        oldest = self._loop.time() - self._keepalive_s
        while self._idle:
            connection = self._idle.pop()  # the one used last: the others may grow old
            if not connection.is_closed and (connection.kept_at or 0.0) > oldest:
                return connection
            connection.transport.abort()
        return None

    def _arm(self) -> None:
        if self._sweep is None and self._idle:
            self._sweep = self._loop.call_later(self._keepalive_s, self._close_old)

    def _close_old(self) -> None:
        self._sweep = None
        oldest = self._loop.time() - self._keepalive_s
        kept: list[Connection] = []
        for connection in self._idle:
            if connection.is_closed or (connection.kept_at or 0.0) <= oldest:
                connection.transport.abort()
            else:
                kept.append(connection)
        self._idle = kept
        self._arm()

    async def _dial(self) -> Connection:
        addresses = await self._addresses()
        if len(addresses) == 1:
            # Nothing to race: the loop dials by itself, at a third of the cost.
            return await self._dial_one(addresses[0])
        sock = await start_connection(
            addresses,
            happy_eyeballs_delay=HEAD_START_S,
            loop=self._loop,
            socket_factory=open_socket,
        )
        try:
            _, connection = await self._loop.create_connection(
                Connection, sock=sock, ssl=self._tls, server_hostname=self._tls_name
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _dial_one(self, address: AddrInfoType) -> Connection:
        host, port = address[4][:2]
        transport, connection = await self._loop.create_connection(
            Connection, str(host), int(port), ssl=self._tls, server_hostname=self._tls_name
        )
        tune_open(transport, address)
        return connection

    async def _addresses(self) -> list[AddrInfoType]:
        now = self._loop.time()
        if now - self._named_at > NAMES_S:
            found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._names, self._named_at = list(found), now
        return self._names
