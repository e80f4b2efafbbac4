"""Carries out a performance on one connection, move by move.

It knows no faults and no events, only moves and a `Wire`. All waiting of an answer is here.
"""

import asyncio
import time
from typing import Protocol, assert_never

from finalstop.simulator.calls import Call, CallEnd
from finalstop.simulator.moves import (
    Begin,
    Close,
    Finish,
    Framing,
    Move,
    NextRequest,
    Raw,
    Reset,
    Say,
    Wait,
    chunk,
)
from finalstop.simulator.performance import Performance


class Wire(Protocol):
    """One TCP connection, as the player needs it."""

    async def write(self, data: bytes) -> None:
        """Return once the kernel has taken all of it."""

    async def wait_for_bytes(self) -> None:
        """Return once the peer has sent something more."""

    def close(self) -> None:
        """FIN."""

    def reset(self) -> None:
        """RST."""


class Player:
    """Plays one answer. Make a new one for each call."""

    def __init__(self, wire: Wire, call: Call, *, segment: int | None, bodiless: bool) -> None:
        self._wire = wire
        self._call = call
        self._segment = segment
        # The answer to HEAD has the head of a body and no body.
        self._bodiless = bodiless
        self._framing: Framing | None = None
        self._reusable = True

    async def play(self, performance: Performance) -> bool:
        """Play to the end; True if the connection can take another request."""
        for move in performance.moves:
            if not await self._make(move):
                return False
        return self._reusable

    async def _make(self, move: Move) -> bool:
        """Make one move; False once the connection is gone."""
        match move:
            case Wait(seconds=seconds):
                await asyncio.sleep(seconds)
            case NextRequest():
                await self._wire.wait_for_bytes()
            case Close():
                self._end(CallEnd.CUT)
                self._wire.close()
                return False
            case Reset():
                self._end(CallEnd.CUT)
                self._wire.reset()
                return False
            case Begin() | Say() | Raw() | Finish():
                await self._write(self._bytes_of(move))
                if isinstance(move, Finish):
                    self._end(CallEnd.FINISHED)
            case _:
                assert_never(move)
        return True

    def _bytes_of(self, move: Begin | Say | Raw | Finish) -> bytes:
        match move:
            case Begin(head=head):
                self._framing, self._reusable = head.framing, head.reusable
                return head.encode()
            case Raw(data=data):
                return data
            case Say() | Finish() if self._bodiless:
                return b""
            case Say(data=data):
                return chunk(data) if self._framing is Framing.CHUNKED else data
            case Finish(trailers=trailers):
                return b"0\r\n%s\r\n" % trailers if self._framing is Framing.CHUNKED else b""
            case _:
                assert_never(move)

    async def _write(self, data: bytes) -> None:
        size = self._segment or max(len(data), 1)
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            await self._wire.write(piece)
            self._call.bytes_sent += len(piece)
            if self._segment:
                # Let the reader run in between, so that pieces are not read as one.
                await asyncio.sleep(0)

    def _end(self, how: CallEnd) -> None:
        self._call.end(how, now=time.monotonic())
