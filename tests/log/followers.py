"""Followers by name, and the events that the logs' tests append. They know no concrete log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from finalstop.core.endings import EndReason
from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS
from finalstop.core.receipt import Ended
from finalstop.log.contract import Log
from tests import builders as b

# A wait for a log that answers later. The memory log never waits at all.
ANSWER_S_MAX = 5.0


def one_by_one(batch: Sequence[Entry]) -> Iterator[Entry]:
    """The entries of a batch, deltas apart."""
    for entry in batch:
        for seq, single in enumerate(b.apart([entry.event]), entry.seq):
            yield Entry(entry.epoch, seq, single)


class Listener:
    """Writes down what it is told; `on_entries`, if any, is called with each batch."""

    def __init__(self, on_entries: Callable[[Sequence[Entry]], None] | None = None) -> None:
        self.batches: list[list[Entry]] = []
        self.errors: list[Exception] = []
        self._on_entries = on_entries

    @property
    def seqs(self) -> list[int]:
        return [entry.seq for batch in self.batches for entry in batch]

    def entries(self, batch: Sequence[Entry]) -> None:
        self.batches.append(list(batch))
        if self._on_entries is not None:
            self._on_entries(batch)

    def broken(self, error: Exception) -> None:
        self.errors.append(error)


class Refusals:
    """Writes down what was refused. It is the `on_refused` of a stream."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def __call__(self, accepted: int, why: str) -> None:
        self.seen.append((accepted, why))


def raising(error: Exception) -> Callable[[Sequence[Entry]], None]:
    def entries(batch: Sequence[Entry]) -> None:
        raise error

    return entries


def ended(reason: EndReason = EndReason.STOPPED) -> Ended:
    """A terminal event, from the only place that makes one."""
    [terminal] = Lifecycle("s1", DEFAULTS, now=0.0).end(reason, now=1.0)
    return terminal


def deltas(count: int, text: str = "word ") -> list[Event]:
    return [b.text_delta(f"{text}{n}") for n in range(count)]


async def until(happened: Callable[[], bool]) -> None:
    """Let the loop turn until `happened`; a log that never answers fails the test."""
    async with asyncio.timeout(ANSWER_S_MAX):
        while not happened():  # noqa: ASYNC110 - any log; the contract has no event to wait for
            await asyncio.sleep(0)


async def told(log: Log, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
    """Append `batch` and wait until the log has told its followers of all before, and of it."""
    witness = Listener()
    leave: Callable[[], None] = log.follow(stream, witness)
    last = batch[-1]
    log.append(stream, batch)
    await until(lambda: any(entry.event is last for got in witness.batches for entry in got))
    leave()


async def everything(log: Log, stream: str, *, bytes_max: int = 1 << 40) -> list[Entry]:
    """The whole stream, read slice by slice."""
    entries: list[Entry] = []
    while batch := await log.read(stream, len(entries), bytes_max=bytes_max):
        entries.extend(batch)
    return entries
