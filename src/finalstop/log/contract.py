"""What every log promises. One contract test suite runs over all of them.

A log accepts batches of events from one producer per stream, numbers them densely from 1, and
tells its followers. Invariant I3, no viewer is sent what the log has not accepted, holds by
construction: a follower only ever sees an `Entry`, and only a log makes those.

Everything on the way of an event is synchronous and pushed. The memory log tells its followers
before `append` returns; a log that answers later tells them when its store has accepted. Reading
back, which only a viewer that fell behind or came late does, may wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.receipt import Ended

# Told once, with the last sequence number that was accepted and why the next was not.
OnRefused = Callable[[int, str], None]


class UnknownStreamError(LookupError):
    """The log holds no such stream: never opened here, or dropped after its retention."""


class LogFullError(RuntimeError):
    """The log cannot take another stream now."""


class Follower(Protocol):
    """Told of what a log accepts. Both methods are synchronous."""

    def entries(self, batch: Sequence[Entry]) -> None:
        """The log has accepted `batch`. Must not append: what it wants it posts to the inbox."""

    def broken(self, error: Exception) -> None:
        """`entries` raised `error`; this follower, and it alone, is told nothing more.

        Must not raise.
        """


class Log(Protocol):
    """A log of streams. One producer appends to a stream; any number of viewers follow it."""

    @property
    def crowded(self) -> bool:
        """Whether it nears its bound: time to `drop` what has ended, the oldest first."""

    def open(self, stream: str, on_refused: OnRefused) -> None:
        """Begin the log of `stream`. Next: `append`.

        Raises:
            LogFullError: the log is at its bound; open no stream.
        """

    def append(self, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
        """Accept `batch` in order and tell the followers. Never waits, never raises for a bound.

        A batch whose last event is `Ended` seals the stream and is always accepted: the last
        word must fit. A batch over a bound is refused whole, through `on_refused`.
        Appending to a sealed stream is a bug of ours and asserts.
        """

    def follow(self, stream: str, follower: Follower) -> Callable[[], None]:
        """Tell `follower` of every batch accepted from now on; return the way to stop that.

        What was accepted before is not told: `read` it. The returned function is idempotent; a
        follower that goes in the middle of a dispatch may still be told of that batch.

        Raises:
            UnknownStreamError: no such stream.
        """

    async def read(self, stream: str, after: int, *, bytes_max: int) -> Sequence[Entry]:
        """The entries with `seq > after`, oldest first: one if there is any, up to `bytes_max`.

        Each event stands alone, also one that was appended among `Deltas`. Safe to cancel.

        Raises:
            UnknownStreamError: no such stream.
        """

    def drop(self, stream: str) -> None:
        """Forget the stream and its entries. Idempotent."""
