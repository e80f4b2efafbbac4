"""A network in memory: names, listeners, and connections that behave as the seed says.

What a connection is made of is in `transport`; here is who can be reached, how a new connection
will behave (its manners), and a record of everything that went over any of them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import weakref
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from proof.simulation.flow import Manners
from proof.simulation.transport import Side, pair

if TYPE_CHECKING:
    from proof.simulation.loop import SimLoop

Address = tuple[str, int]
Factory = Callable[[], asyncio.BaseProtocol]

FIRST_PORT: Final = 20_000
FIRST_CLIENT_PORT: Final = 50_000

# RFC 2606: a name under it never resolves.
UNRESOLVABLE: Final = ".invalid"


class Policy(Protocol):
    """Decides how new connections behave."""

    def manners(self, to: Address) -> tuple[Manners, Manners]:
        """Those of the next connection to `to`: of the way there, and of the way back."""

    def delay_ticks(self) -> int:
        """How long a name, or a handshake, takes."""


class Fast:
    """A policy for what is not about the network: everything arrives at once and as it was sent."""

    def manners(self, _to: Address) -> tuple[Manners, Manners]:
        """No delay, no cut, a wide window."""
        return Manners(), Manners()

    def delay_ticks(self) -> int:
        """None."""
        return 0


class Ticket(Struct, frozen=True, weakref=True):
    """What connecting a socket has won: our side of a connection whose other side is accepted."""

    side: Side


class Listener:
    """A listening address. Keeps as much of `asyncio.Server` as is asked of one."""

    def __init__(self, network: Network, factory: Factory, address: Address) -> None:
        self.address: Final = address
        self.factory: Final = factory
        self._network = network

    @property
    def sockets(self) -> tuple[Listener]:
        """Ourselves: the one socket there would be."""
        return (self,)

    def getsockname(self) -> Address:
        """The address."""
        return self.address

    def setsockopt(self, _level: int, _option: int, _value: object) -> None:
        """Options are for wires that can be silent."""

    def close(self) -> None:
        """Accept no more. Idempotent."""
        self._network.listeners.pop(self.address, None)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""


class Network:
    """All there is to connect to.

    Args:
        loop: who runs it.
        dice: what chance is drawn from.

    Attributes:
        silent: addresses that neither accept nor refuse, as a full queue does.
        record: everything that happened on any wire, in order: (seconds, what, numbers...).
        open: the sides of connections that are not closed.
        has_descriptors: whether who dials gets a descriptor, and may read past its transport;
            without one it is as under TLS.
        before_connect: called before anybody connects a socket; may raise.
        before_write: called with the side before anything is written to it.
    """

    def __init__(self, loop: SimLoop, dice: Random) -> None:
        self.policy: Policy = Fast()
        self.listeners: Final[dict[Address, Listener]] = {}
        self.silent: Final[set[Address]] = set()
        self.record: Final[list[tuple[object, ...]]] = []
        self.open: Final[dict[Side, None]] = {}
        self.has_descriptors = True
        self.before_connect: Callable[[], None] = lambda: None
        self.before_write: Callable[[Side], None] = lambda _side: None
        self._loop: Final = loop
        self._dice: Final = dice
        self._connections = 0
        self._tickets: Final[dict[int, Ticket]] = {}

    def note(self, what: str, *facts: object) -> None:
        """Write down that something happened."""
        self.record.append((self._loop.time(), what, *facts))

    def heal(self) -> None:
        """Whatever is on its way, on any wire, arrives at once from now on."""
        self.policy = Fast()
        for side in self.open:
            side.out.heal()
            side.inward.heal()

    def delay(self) -> Awaitable[None]:
        """Wait as long as a handshake takes."""
        ticks = self.policy.delay_ticks()
        return asyncio.sleep(ticks / 16)

    def resolve(self, host: str) -> str:
        """The address of a name.

        Raises:
            socket.gaierror: it has none.
        """
        if host.endswith(UNRESOLVABLE):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return "127.0.0.1" if host == "localhost" else host

    def read(self, number: int, bytes_max: int) -> bytes:
        """Read a descriptor past its transport, as `os.read` would.

        Raises:
            BlockingIOError: nothing is there.
            ConnectionResetError: the other side has reset the connection.
            LookupError: nobody has it any more. The system would hand out another's bytes.
        """
        for side in self.open:
            if side.get_extra_info("socket").fileno() == number:
                return side.read(bytes_max)
        raise LookupError(f"descriptor {number} is read, and is nobody's")

    def listen(self, factory: Factory, address: Address) -> Listener:
        """Take an address; port 0 takes a free one."""
        host, port = address
        address = (host, port or FIRST_PORT + len(self.listeners))
        if address in self.listeners:
            raise OSError(errno.EADDRINUSE, "address already in use")
        listener = self.listeners[address] = Listener(self, factory, address)
        return listener

    async def connect(self, sock: socket.socket, to: Address) -> None:
        """Connect as `sock`; `transport_of` then hands out the connection.

        Raises:
            ConnectionRefusedError: nobody listens there.
        """
        self.before_connect()
        if to in self.silent:
            await asyncio.Event().wait()
        await self.delay()
        if to not in self.listeners:
            self.note("refused", to[1])
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        ticket = Ticket(self._connected(to))
        number = sock.fileno()
        self._tickets[number] = ticket
        # A socket that is dropped before it becomes a transport is closed by the kernel.
        weakref.finalize(sock, self._dropped, number, ticket).atexit = False

    def transport_of(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None,
    ) -> Side:
        """The transport of a connected socket, with `protocol` on it."""
        side = self._tickets.pop(sock.fileno()).side
        sock.close()
        side.start(protocol, waiter)
        return side

    def dial(self, to: Address, protocol: asyncio.BaseProtocol) -> Side:
        """Connect at once."""
        if to not in self.listeners:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        side = self._connected(to)
        side.start(protocol, None)
        return side

    def _connected(self, to: Address) -> Side:
        self._connections += 1
        number = self._connections
        near = ("127.0.0.1", FIRST_CLIENT_PORT + number)
        manners = self.policy.manners(to)
        ours, theirs = pair(self._loop, number, (near, to), manners, self._dice)
        self.note("connected", number, to[1])
        theirs.start(self.listeners[to].factory(), None)
        return ours

    def _dropped(self, number: int, ticket: Ticket) -> None:
        if self._tickets.get(number) is ticket:
            del self._tickets[number]
            ticket.side.drop()
