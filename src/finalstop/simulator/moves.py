"""What the simulator does to a connection, as data: heads, body bytes, waits and endings.

A performance is a run of moves; `player.py` carries them out, one after the other. Pure: it may
not know about sockets. Runs are lazy, so that an endless one costs no memory.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

# Big bodies are written in pieces of this size.
PIECE_BYTES: Final = 64 * 1024


class Framing(Enum):
    """How a body's end is told."""

    CHUNKED = "chunked"
    LENGTH = "length"
    CONNECTION_END = "connection-end"


@dataclass(frozen=True, slots=True)
class Head:
    """A response head. `length` is what content-length claims, under `Framing.LENGTH` only."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    framing: Framing = Framing.CHUNKED
    length: int = 0
    keep_alive: bool = True
    version: str = "HTTP/1.1"

    @property
    def reusable(self) -> bool:
        """Whether the connection may serve another request after this response."""
        return self.keep_alive and self.framing is not Framing.CONNECTION_END

    def encode(self) -> bytes:
        """The head as it goes onto the wire, its blank line included."""
        lines = [f"{self.version} {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *self._framing_headers())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _framing_headers(self) -> Iterator[tuple[str, str]]:
        if self.framing is Framing.CHUNKED:
            yield "transfer-encoding", "chunked"
        if self.framing is Framing.LENGTH:
            yield "content-length", str(self.length)
        if not self.reusable:
            yield "connection", "close"


@dataclass(frozen=True, slots=True)
class Begin:
    """Send a head; its framing rules until the body's end."""

    head: Head


@dataclass(frozen=True, slots=True)
class Say:
    """Send body bytes, as one chunk where the body is chunked."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Put bytes onto the wire as they are, outside any framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Stay silent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Finish:
    """End the body properly. The call is answered whole; moves after this one are aftermath."""

    trailers: bytes = b""


@dataclass(frozen=True, slots=True)
class NextRequest:
    """Wait until the peer sends something more."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection (FIN)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST)."""


Move = Begin | Say | Raw | Wait | Finish | NextRequest | Close | Reset


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk of the chunked coding; nothing for no bytes, which would end the body."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data) if data else b""


def repeated(data: bytes, *, every_s: float, seconds: float) -> Iterator[Move]:
    """Say the same at a steady pace for so many seconds."""
    for _ in range(int(seconds / every_s)):
        yield Say(data)
        yield Wait(every_s)


def filled(pattern: bytes, total: int) -> Iterator[Say]:
    """Say `pattern` over and over until exactly `total` bytes are said."""
    piece = pattern * (PIECE_BYTES // len(pattern))
    for at in range(0, total, len(piece)):
        yield Say(piece[: total - at])


def compressed(moves: Iterable[Move]) -> Iterator[Move]:
    """The same moves with a gzip body; every Say can be unpacked as soon as it arrives."""
    press = zlib.compressobj(wbits=31)
    begun = False
    for move in moves:
        match move:
            case Begin(head=head):
                begun = True
                coded = (*head.headers, ("content-encoding", "gzip"))
                framing = Framing.CHUNKED if head.framing is Framing.LENGTH else head.framing
                yield Begin(replace(head, headers=coded, framing=framing))
            case Say(data=data):
                yield Say(press.compress(data) + press.flush(zlib.Z_SYNC_FLUSH))
            case Finish() if begun:
                yield Say(press.flush())
                yield move
            case _:
                yield move
