"""The gate: a stream that outruns the tick is read once per tick, and so costs less.

On paced streams the kernel is the bill: one event is one read and one write. Reading a moment
later finds several events in one read. The gate closes a connection for reading after a read, and
has it read again `gate_s` later. It knows bytes and not what they mean: a stream is gated once
`FAST_READS` reads in a row each came within a tick of the one before, which the first words of an
answer never are, and runs free again as soon as a tick finds nothing to read.

A tick has `BEATS`: each stream keeps to one of them. Were all read at once, the last would wait for
all the others.

A read after which its stream stays open is told to the loop's rest, if it has one (`rest`): what
is gated has a rhythm already.

A request may want its answer read at once (`contract`): its call is given a gate that never closes
(`Gate.left_open`). So nothing is asked per read, and a kept connection remembers nothing of it.

A pause is ours and not the upstream's silence: it begins with a read and is shorter than any
timer (`direct` sees to that), and the last word of an answer waits for a tick at most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from finalstop.upstream.rest import Rest

# So many quick reads make a flow: the head of an answer, its opening events, its first words.
FAST_READS: Final = 8

# Into so many parts a tick is cut: with thousands of streams a part of them is read in about a
# millisecond, and a beat costs no more than a look at the clock.
BEATS: Final = 8


class Gated(Protocol):
    """What can be closed for reading for a moment."""

    fast_reads: int
    """Reads in a row that each came within a tick of the one before."""
    read_at: float
    """When it last was read from, or looked at by the gate."""
    is_gated: bool
    """Whether it waits for its beat: the gate's own note."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on as ever. Nothing if it is not paused."""

    def look(self) -> None:
        """Read what is there; if nothing is, `resume`."""

    def lose(self, error: Exception) -> None:
        """It cannot be read any more. Must not raise."""


class Gate:
    """One for all connections of an upstream: one timer, and none while nobody waits.

    Args:
        gate_s: the tick, in seconds; 0 gates nobody.
        loop: the loop of the connections.
        rest: the loop's; None where it does not rest.
    """

    def __init__(
        self, gate_s: float, loop: asyncio.AbstractEventLoop, *, rest: Rest | None = None
    ) -> None:
        self._gate_s: Final = gate_s
        self._loop: Final = loop
        self._rest: Final = rest
        # Who waits, by beat; the first is the next.
        self._waiting: Final[deque[list[Gated]]] = deque([] for _ in range(BEATS))
        self._next_beat_at = 0.0
        self._is_beating = False

    def left_open(self) -> Gate:
        """A gate over the same rest that never closes: for streams that are read at once."""
        return Gate(0.0, self._loop, rest=self._rest)

    def after_read(self, connection: Gated) -> None:
        """A read of `connection` has been dealt with: close it until its beat if it flows."""
        if connection.is_gated:
            return
        now = self._loop.time()
        is_fast = now - connection.read_at < self._gate_s
        if is_fast and connection.fast_reads == FAST_READS:
            self._close(connection, now)
        else:
            connection.fast_reads = connection.fast_reads + 1 if is_fast else 0
            if self._rest is not None:
                self._rest.saw_read()
        connection.read_at = now

    def hurry(self) -> None:
        """A call is on its way to its first words: no rest for a few turns."""
        if self._rest is not None:
            self._rest.hurry()

    def _close(self, connection: Gated, now: float) -> None:
        connection.pause()
        connection.is_gated = True
        self._waiting[-1].append(connection)
        if not self._is_beating:
            self._is_beating = True
            self._beat_at(now)

    def _beat_at(self, at: float) -> None:
        self._next_beat_at = at + self._gate_s / BEATS
        self._loop.call_at(self._next_beat_at, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        due = self._waiting.popleft()
        self._waiting.append([])
        for connection in due:
            connection.is_gated = False
            connection.read_at = now
            try:
                connection.look()
            except Exception as error:  # noqa: BLE001 - one connection must not stop the others
                connection.lose(error)
            # Also where a loop that was held up took its own delay for the stream's.
            if not connection.is_gated:
                connection.resume()
        if any(self._waiting):
            # The beats keep their rhythm, but a loop that was held up does not run after them.
            self._beat_at(max(self._next_beat_at, now - self._gate_s / BEATS))
        else:
            self._is_beating = False
