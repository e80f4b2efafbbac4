"""The gate: a stream that outruns the tick is read once per tick, and so costs less.

On paced streams the kernel is the bill: one event is one read and one write. Reading a moment
later finds several events in one read. The gate closes a connection for reading after a read, and
opens all of them together at the next tick, at most `gate_s` later. It knows bytes and not what
they mean: a stream is gated once `FAST_READS` reads in a row each came within a tick of the one
before, which the first words of an answer never are, and runs free again as soon as a read
comes later than that.

A pause is ours and not the upstream's silence: it begins with a read and is shorter than any
timer (`direct` sees to that), and the last word of an answer waits for a tick at most.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

# So many quick reads make a flow: the head of an answer, its opening events, its first words.
FAST_READS: Final = 8


class Gated(Protocol):
    """What can be closed for reading for a moment."""

    fast_reads: int
    """Reads in a row that each came within a tick of the one before."""
    open_since: float
    """When it last was read from, or opened: the later of the two."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on, unless it has been closed, or opened by somebody else."""


class Gate:
    """One for all connections of an upstream: one timer, and none while nothing is paused.

    Args:
        gate_s: the tick, in seconds.
        loop: the loop of the connections.
    """

    def __init__(self, gate_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._gate_s: Final = gate_s
        self._loop: Final = loop
        self._paused: list[Gated] = []
        self._next_tick_at = 0.0

    def after_read(self, connection: Gated) -> None:
        """A read of `connection` has been dealt with: close it until the tick if it flows."""
        now = self._loop.time()
        if now - connection.open_since >= self._gate_s:
            connection.fast_reads = 0
        elif connection.fast_reads < FAST_READS:
            connection.fast_reads += 1
        else:
            connection.pause()
            self._wait(connection, now)
        connection.open_since = now

    def _wait(self, connection: Gated, now: float) -> None:
        if not self._paused:
            # Ticks keep their rhythm, so that one who comes between two waits less than a tick.
            missed = max(0, int((now - self._next_tick_at) // self._gate_s) + 1)
            self._next_tick_at += missed * self._gate_s
            self._loop.call_at(self._next_tick_at, self._tick)
        self._paused.append(connection)

    def _tick(self) -> None:
        now = self._loop.time()
        paused, self._paused = self._paused, []
        for connection in paused:
            connection.open_since = now
            connection.resume()
