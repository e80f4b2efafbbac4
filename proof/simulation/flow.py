"""One direction of a connection in memory, and the manners of what lies between its two ends.

A flow holds at most a window of bytes, cuts and joins them, delays them, and delivers them in
order; a FIN or a reset is the last thing in it. It may not know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from proof.simulation.loop import SimLoop
    from proof.simulation.transport import Side

READ_BYTES: Final = 256 * 1024  # what one read takes at most

# Writes below this size are delivered together also where writes are not: byte by byte, with a
# delay for each, would take for ever.
APART_BYTES: Final = 32


class Manners(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """How a connection behaves. The default is the loopback of an idle machine.

    Args:
        window_bytes: what one direction holds before its sender has to keep the rest.
        cuts: the chance that what is delivered is cut somewhere.
        joins: whether writes that wait are delivered as one read.
        delays: ticks of delay, one drawn for each delivery.
        loses: whether a reset overtakes some of what is on its way.
        stalls_at_s: the instant from which nothing is delivered...
        stalls_s: ...for so long.
    """

    window_bytes: int = 1 << 20
    cuts: float = 0.0
    joins: bool = True
    delays: tuple[int, ...] = ()
    loses: bool = False
    stalls_at_s: float = 0.0
    stalls_s: float = 0.0


class End(Struct, frozen=True):
    """The last thing in a flow: a FIN, or a reset."""

    reset: bool


class Flow:
    """One direction of a connection."""

    def __init__(self, loop: SimLoop, manners: Manners, dice: Random, name: str) -> None:
        self.sender: Side
        self.receiver: Side
        self.name: Final = name
        self.held_bytes = 0
        self.dead = False
        self.items: Final[deque[bytes | End]] = deque()
        self._loop: Final = loop
        self._manners = manners
        self._dice: Final = dice
        self._coming: asyncio.Handle | None = None
        # What comes while nobody reads is there together, and uncut, when somebody does.
        self._is_piled = False

    @property
    def room(self) -> int:
        """Bytes that the sender may still put in."""
        return self._manners.window_bytes - self.held_bytes

    @property
    def was_reset(self) -> bool:
        """Whether a reset is on its way to the receiver."""
        last = self.items[-1] if self.items else None
        return isinstance(last, End) and last.reset

    @property
    def _fails(self) -> bool:
        """Whether the receiver meets a reset although it does not read: it still has to write."""
        return self.was_reset and self.receiver.get_write_buffer_size() > 0

    def heal(self) -> None:
        """From now on it behaves as the loopback of an idle machine; what is late comes now."""
        self._manners = Manners()
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None
            self.arm()

    def put(self, data: bytes) -> None:
        """Send bytes; there is room."""
        self.held_bytes += len(data)
        self.items.append(data)
        self.arm()

    def end(self, *, reset: bool) -> None:
        """Send the end."""
        if reset and self._manners.loses:
            kept = self._dice.randrange(len(self.items) + 1)
            while len(self.items) > kept:
                lost = self.items.pop()
                self.held_bytes -= len(lost) if isinstance(lost, bytes) else 0
        self.items.append(End(reset))
        self.arm()

    def clear(self) -> bool:
        """The receiver is gone: throw away what it has not read; whether there was anything."""
        unread = any(isinstance(item, bytes) for item in self.items)
        self.items.clear()
        self.held_bytes = 0
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None
        return unread

    def arm(self) -> None:
        """See to it that the next item is delivered, if the receiver reads."""
        if self._coming is not None or not self.items or self.dead:
            return
        if not (self.receiver.reads or self.receiver.gone or self._fails):
            self._is_piled = True
            return
        delay_s = self._delay_s()
        if delay_s:
            self._coming = self._loop.call_later(delay_s, self._deliver)
        else:
            self._coming = self._loop.call_soon(self._deliver)

    def _delay_s(self) -> float:
        manners = self._manners
        delay_s = 0.0
        if delays := manners.delays:
            delay_s = delays[int(self._dice.random() * len(delays))] / 16
        if manners.stalls_s:
            into_s = self._loop.time() - manners.stalls_at_s
            if 0 <= into_s < manners.stalls_s:
                return manners.stalls_s - into_s
        return delay_s

    def _deliver(self) -> None:
        self._coming = None
        if self.dead:
            return
        receiver = self.receiver
        if receiver.gone:
            if self.clear():
                self.sender.rejected()
            return
        if not receiver.reads:
            if self._fails:
                receiver.rejected()
            return
        if not self.items:
            return  # read past the transport
        item = self.items[0]
        if isinstance(item, End):
            self.items.popleft()
            self._loop.network.note("reset" if item.reset else "fin", self.name)
            receiver.ended(reset=item.reset)
            return
        data = self._read()
        self.held_bytes -= len(data)
        self._loop.network.note("read", self.name, len(data))
        receiver.received(data)
        self.sender.room_came()
        self.arm()

    def read(self, bytes_max: int) -> bytes:
        """All that is there; b"" at the end. What is late, or stands still, is not there yet.

        Raises:
            BlockingIOError: nothing.
            ConnectionResetError: the flow ended so.
        """
        if not self.items or self.dead or self._delay_s():
            self._loop.network.note("look", self.name, "nothing")
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        item = self.items[0]
        if isinstance(item, End):
            # It stays: it is there for the transport, too.
            self._loop.network.note("look", self.name, "reset" if item.reset else "fin")
            if item.reset:
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            return b""
        data = self._taken(bytes_max)
        if len(data) > bytes_max:
            self.items.appendleft(data[bytes_max:])
            data = data[:bytes_max]
        self.held_bytes -= len(data)
        self._loop.network.note("look", self.name, len(data))
        self._loop.call_soon(self.sender.room_came)
        return data

    def _taken(self, bytes_max: int) -> bytes:
        """What comes next: so much at least, if it is there, as the last item is taken whole."""
        data = b""
        while self.items and len(data) < bytes_max:
            following = self.items[0]
            if isinstance(following, End):
                break
            data += following
            self.items.popleft()
        return data

    def _read(self) -> bytes:
        manners, is_piled = self._manners, self._is_piled
        self._is_piled = False
        data = self._taken(READ_BYTES if manners.joins or is_piled else APART_BYTES)
        if manners.cuts and not is_piled and len(data) > 1 and self._dice.random() < manners.cuts:
            at = self._dice.randrange(1, len(data))
            self.items.appendleft(data[at:])
            data = data[:at]
        return data
