"""The sides of a connection in memory: transports with the manners of a selector's.

A side has its own buffer with marks, a reader that can be paused, an end of file that is seen only
by a side that reads, and a reset that a paused side meets when it writes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from proof.simulation.flow import Flow, Manners

if TYPE_CHECKING:
    from proof.simulation.loop import SimLoop

HIGH_BYTES: Final = 64 * 1024

# Downwards from here: the system has none of these, and takes none of them for one of its own.
FIRST_DESCRIPTOR: Final = -2
NO_DESCRIPTOR: Final = -1


class Socket:
    """As much of a socket as protocols look for: a family, and the option that makes a reset.

    Args:
        number: its descriptor, for `Network.read`; -1 for none.
    """

    family: Final = socket.AF_INET

    def __init__(self, number: int) -> None:
        self.lingers = True
        self._number: Final = number

    def fileno(self) -> int:
        """The descriptor."""
        return self._number

    def setsockopt(self, _level: int, option: int, _value: object) -> None:
        """Note SO_LINGER; whoever sets it means to reset."""
        if option == socket.SO_LINGER:
            self.lingers = False


class Side(asyncio.Transport):
    """One side of a connection.

    Attributes:
        reads: whether it takes what comes.
        gone: whether its socket is closed.
        gone_at: the instant of that.
    """

    def __init__(self, loop: SimLoop, out: Flow, inward: Flow, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self.out: Final = out
        self.inward: Final = inward
        self.reads = False
        self.gone = False
        self.gone_at: float | None = None
        self._loop: Final = loop
        self._protocol: asyncio.Protocol | None = None
        self._buffer = bytearray()
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4
        self._waits = False  # the protocol was told to pause
        self._paused = False
        self._closing = False
        self._sent_eof = False
        self._eof_is_out = False
        self._saw_end = False
        self._lost_soon = False
        loop.network.open[self] = None

    def __repr__(self) -> str:
        state = "gone" if self.gone else "closing" if self._closing else "open"
        return f"<side {self.out.name} {state}, {len(self._buffer)} bytes unsent>"

    def start(self, protocol: asyncio.BaseProtocol, waiter: asyncio.Future[None] | None) -> None:
        """Tell `protocol` of its connection in the next turn, and then read."""
        self._protocol = cast("asyncio.Protocol", protocol)
        self._loop.call_soon(self._begin, waiter)

    def _begin(self, waiter: asyncio.Future[None] | None) -> None:
        assert self._protocol is not None
        self._protocol.connection_made(self)
        if not self._closing:
            self.reads = not self._paused
            self.inward.arm()
        if waiter is not None and not waiter.cancelled():
            waiter.set_result(None)

    # -- what comes in ----------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes for the protocol."""
        assert self._protocol is not None
        try:
            self._protocol.data_received(data)
        except Exception as error:  # noqa: BLE001 - as asyncio does: it costs this connection
            self._fatal(error)

    def ended(self, *, reset: bool) -> None:
        """The other side has ended its flow."""
        self._saw_end = True
        if reset:
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
            return
        assert self._protocol is not None
        if self._protocol.eof_received():
            self.reads = False
        else:
            self.close()

    def read(self, bytes_max: int) -> bytes:
        """What a system call finds, past the transport; b"" at the end of the other side's flow.

        Raises:
            BlockingIOError: nothing.
            ConnectionResetError: the other side has reset the connection.
        """
        return self.inward.read(bytes_max)

    def pause_reading(self) -> None:
        """Take nothing until `resume_reading`."""
        self._paused = True
        self.reads = False

    def resume_reading(self) -> None:
        """Take what comes again."""
        if self._paused and not self._closing:
            self._paused = False
            self.reads = not self._saw_end
            self.inward.arm()

    def is_reading(self) -> bool:
        """Whether it does."""
        return self.reads

    # -- what goes out ----------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        """Send, or keep what the flow has no room for."""
        if self._sent_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._closing:
            return
        if self.inward.was_reset:
            # Not read yet, but the kernel knows.
            self._lose(BrokenPipeError(errno.EPIPE, "Broken pipe"))
            return
        self._loop.network.before_write(self)
        if self.is_closing():
            return
        self._loop.network.note("write", self.out.name, len(data))
        if not self._buffer and len(data) <= self.out.room:
            self.out.put(bytes(data))
            return
        self._buffer += data
        self._flush()
        if len(self._buffer) > self._high and not self._waits:
            self._waits = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    def _flush(self) -> None:
        room = self.out.room
        if self._buffer and room > 0:
            piece = bytes(self._buffer[:room])
            del self._buffer[:room]
            self.out.put(piece)

    def room_came(self) -> None:
        """The flow has delivered something."""
        if self.gone:
            return
        self._flush()
        if self._waits and len(self._buffer) <= self._low:
            self._waits = False
            assert self._protocol is not None
            self._protocol.resume_writing()
        if self._buffer:
            return
        if self._closing:
            self._lose(None)
        elif self._sent_eof and not self._eof_is_out:
            self._end_ours()

    def _end_ours(self) -> None:
        self._eof_is_out = True
        self.out.end(reset=False)

    def write_eof(self) -> None:
        """End our flow once all is sent; go on reading."""
        if not self._sent_eof and not self._closing:
            self._sent_eof = True
            if not self._buffer:
                self._end_ours()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that the flow had no room for."""
        return len(self._buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, as asyncio's transports do."""
        if high is None:
            high = HIGH_BYTES if low is None else 4 * low
        self._high, self._low = high, high // 4 if low is None else low
        if len(self._buffer) > self._high and not self._waits:
            self._waits = True
            assert self._protocol is not None
            self._protocol.pause_writing()

    # -- the end ----------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether it is closing, or closed."""
        return self._closing

    def close(self) -> None:
        """Send what is kept, then end."""
        if not self._closing:
            self._closing, self.reads = True, False
            if not self._buffer:
                self._lose(None)

    def abort(self) -> None:
        """End now; what is kept is lost."""
        self._lose(None)

    def rejected(self) -> None:
        """What we sent came to a closed socket, which answers with a reset."""
        self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def vanish(self) -> None:
        """The way between the sides is gone, and nobody is told: nothing arrives any more."""
        self.out.dead = self.inward.dead = True

    def drop(self) -> None:
        """The socket is closed before a protocol was on it."""
        self._hang_up()

    def _fatal(self, error: Exception) -> None:
        context = {"message": "a protocol raised", "exception": error, "transport": self}
        self._loop.call_exception_handler(context)
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._lost_soon or self.gone:
            return
        self._closing, self.reads, self._lost_soon = True, False, True
        self._buffer.clear()
        self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        self._hang_up()
        if self._protocol is not None:
            protocol, self._protocol = self._protocol, None
            protocol.connection_lost(error)

    def _hang_up(self) -> None:
        self.gone, self.gone_at = True, self._loop.time()
        self._closing, self.reads = True, False
        self._loop.network.open.pop(self, None)
        unread = self.inward.clear()
        resets = unread or not self.get_extra_info("socket").lingers
        self._loop.network.note("closed", self.out.name, "reset" if resets else "fin")
        if resets or not self._eof_is_out:
            self.out.end(reset=resets)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is on it."""
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Put another one on it."""
        self._protocol = cast("asyncio.Protocol", protocol)


def pair(
    loop: SimLoop,
    number: int,
    addresses: tuple[tuple[str, int], tuple[str, int]],
    manners: tuple[Manners, Manners],
    dice: Random,
) -> tuple[Side, Side]:
    """A connection: the side of who dialled, and of who listened."""
    near, far = addresses
    there = Flow(loop, manners[0], dice, f"{number}>")
    back = Flow(loop, manners[1], dice, f"{number}<")
    descriptor = FIRST_DESCRIPTOR - number if loop.network.has_descriptors else NO_DESCRIPTOR
    ours = Side(loop, there, back, _extra(descriptor, near, far))
    theirs = Side(loop, back, there, _extra(NO_DESCRIPTOR, far, near))
    there.sender, there.receiver = ours, theirs
    back.sender, back.receiver = theirs, ours
    return ours, theirs


def _extra(number: int, own: tuple[str, int], peer: tuple[str, int]) -> dict[str, Any]:
    return {"socket": Socket(number), "sockname": own, "peername": peer}
