"""A log that answers later, as a store does: it keeps the contract and nothing more than that.

What is appended is accepted, or refused, in a later turn of the loop; a `read` looks at one moment
and answers at another. Whoever relies on the memory log's promptness meets his bug here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.log.contract import Follower, OnRefused
from finalstop.log.memory import MemoryLog


class LaterLog:
    """Keeps `contract.Log`: a memory log behind a queue.

    `turns` says how late each answer is, in turns of the loop; the last number stays.
    """

    def __init__(self, limits: Limits, turns: Sequence[int] = (1,)) -> None:
        self._store = MemoryLog(limits)
        self._turns = deque(turns)
        self._waiting: deque[tuple[str, Sequence[Event | Deltas | Ended]]] = deque()
        self._sealed: dict[str, bool] = {}

    @property
    def crowded(self) -> bool:
        return self._store.crowded

    def open(self, stream: str, on_refused: OnRefused) -> None:
        self._store.open(stream, on_refused)
        self._sealed[stream] = False

    def append(self, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
        assert not self._sealed[stream]
        self._sealed[stream] = isinstance(batch[-1], Ended)
        self._waiting.append((stream, batch))
        self._after(self._turn(), self._accept)

    def follow(self, stream: str, follower: Follower) -> Callable[[], None]:
        return self._store.follow(stream, follower)

    async def read(self, stream: str, after: int, *, bytes_max: int) -> Sequence[Entry]:
        for _ in range(self._turn()):
            await asyncio.sleep(0)
        seen = await self._store.read(stream, after, bytes_max=bytes_max)
        for _ in range(self._turn()):
            await asyncio.sleep(0)
        return seen

    def drop(self, stream: str) -> None:
        self._sealed.pop(stream, None)
        self._store.drop(stream)

    def _turn(self) -> int:
        turn = self._turns[0]
        if len(self._turns) > 1:
            self._turns.popleft()
        return turn

    def _after(self, turns: int, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(act if turns <= 1 else lambda: self._after(turns - 1, act))

    def _accept(self) -> None:
        stream, batch = self._waiting.popleft()
        if stream in self._sealed:
            self._store.append(stream, batch)
