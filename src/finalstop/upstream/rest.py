"""The rest: under load the loop looks at its sockets in a rhythm, not whenever one has bytes.

A loop with a thousand streams is woken for each event by itself: the process falls asleep and is
woken, the poll tells of one socket, and what the last event had warmed is cold again. So while
reads come thick the loop sleeps after a turn, for about as long as a batch of them takes to come,
and finds that batch at its next look. Each read is still handled, and written, by itself.

It blocks the thread, and with it whatever else the loop has to do: only a program that is nothing
but a relay may turn it on. There is none while reads are few, or while the loop has more to do than
time. What takes several turns would pay for each of them: so whoever is on the way to an answer's
first words says so, with `hurry`, and the next turns are spared.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

# So many reads at a look: the wake-up is shared by enough of them, and they still fit the caches.
BATCH_READS: Final = 32

# Fewer than this within `rest_s`, and waking up once costs less than what a rest costs.
FEW_READS: Final = 20

# How thick reads come is measured over so long: many looks, so that it is no chance.
SPAN_S: Final = 0.05

# What is not worth lying down for: the system itself wakes a sleeper this much late.
LEAST_S: Final = 0.0002

# From one step of a call to the next, or from its head to its first words at the client.
HURRIED_TURNS: Final = 4


class Rest:
    """One for a loop. Tell it of every read.

    Args:
        rest_s: the longest rest, in seconds. One under `LEAST_S` never comes.
        loop: the loop that rests.
        clock: monotonic seconds, finer than a loop's own.
        sleep: blocks for so many seconds.
    """

    __slots__ = (
        "_apart_s", "_call_later", "_clock", "_hurried", "_is_told", "_look_at", "_reads",
        "_rest_s", "_since", "_sleep",
    )  # fmt: skip

    def __init__(
        self,
        rest_s: float,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - to block is what it is for
    ) -> None:
        self._rest_s: Final = rest_s
        # Not soon: asyncio would call before it handles what the poll of that turn has found.
        self._call_later: Final = loop.call_later
        self._clock: Final = clock
        self._sleep: Final = sleep
        self._is_told = False
        self._hurried = 0
        # How thick they come: so many since then.
        self._reads = 0
        self._since = clock()
        # From one look to the next; 0 while there is no rest.
        self._apart_s = 0.0
        self._look_at = 0.0

    def saw_read(self) -> None:
        """Something was read in this turn of the loop."""
        self._reads += 1
        if not self._is_told:
            self._is_told = True
            self._call_later(0.0, self._after_turn)

    def hurry(self) -> None:
        """Something is under way that takes a few turns, and somebody waits for it."""
        self._hurried = HURRIED_TURNS

    def _after_turn(self) -> None:
        self._is_told = False
        now = self._clock()
        if self._hurried:
            self._hurried -= 1
        elif self._apart_s:
            left_s = min(self._look_at - now, self._apart_s)
            if left_s > LEAST_S:
                self._sleep(left_s)
                now = self._clock()
            self._look_at = now + self._apart_s
        if now - self._since >= SPAN_S:
            self._measure(now)

    def _measure(self, now: float) -> None:
        read_s = (now - self._since) / self._reads
        is_thick = read_s * FEW_READS <= self._rest_s
        self._apart_s = min(read_s * BATCH_READS, self._rest_s) if is_thick else 0.0
        self._reads, self._since = 0, now
