"""Something that rings, and those who wait for it: an `asyncio.Event` that costs little unheard.

Every open stream has several of them, and most are never waited for.
"""

from __future__ import annotations

import asyncio


class Bell:
    """Rings until it is silenced. Belongs to one event loop."""

    __slots__ = ("_waiting", "rings")

    def __init__(self) -> None:
        self.rings = False
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake all who wait, and let nobody wait until `silence`. Idempotent."""
        self.rings = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def silence(self) -> None:
        """From now on who waits has to wait for the next ring."""
        self.rings = False

    async def heard(self) -> None:
        """Wait until it rings; not at all if it does. Safe to cancel."""
        if self.rings:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
