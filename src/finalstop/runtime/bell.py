"""Something that rings, and those who wait for it: an `asyncio.Event` that costs little unheard.

Every open stream has several of them, and most are never waited for.
"""

from __future__ import annotations

import asyncio
import math


class Bell:
    """Rings until it is silenced. Belongs to one event loop."""

    __slots__ = ("_waiting", "rings")

    def __init__(self) -> None:
        self.rings = False
        # A tuple, replaced and never changed: that of a bell that nobody waits for takes no memory.
        self._waiting: tuple[asyncio.Future[bool], ...] = ()

    def ring(self) -> None:
        """Wake all who wait, and let nobody wait until `silence`. Idempotent."""
        self.rings = True
        waiting, self._waiting = self._waiting, ()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(True)

    def silence(self) -> None:
        """From now on who waits has to wait for the next ring."""
        self.rings = False

    async def heard(self, within_s: float = math.inf) -> bool:
        """Wait until it rings, at most `within_s` seconds; whether it did. Safe to cancel."""
        if self.rings or within_s <= 0:
            return self.rings
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting = (*self._waiting, waiter)
        timer = loop.call_later(within_s, _give_up, waiter) if within_s < math.inf else None
        try:
            return await waiter
        finally:
            if timer is not None:
                timer.cancel()
            self._waiting = tuple(other for other in self._waiting if other is not waiter)


def _give_up(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
