"""The witness: stands between the relay and its log, and writes down what the log accepted.

It follows every stream before anybody else can, so that what it heard of is what was accepted. It
checks at once what must hold at every step (I1, I4); the rest is for `laws`, in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.receipt import Ended
from finalstop.log.contract import Follower, Log, OnRefused
from tests.log.followers import one_by_one

if TYPE_CHECKING:
    from proof.simulation.loop import SimLoop


class Story:
    """One stream, as the log has it. Keeps `log.contract.Follower`.

    Attributes:
        opened_at: the instant of its opening.
        entries: (turn of the loop, instant, entry), in order.
        ended: the terminal, once there is one.
        ended_at: its instant.
    """

    def __init__(self, stream: str, loop: SimLoop, wrong: list[str]) -> None:
        self.stream: Final = stream
        self.opened_at: Final = loop.time()
        self.entries: Final[list[tuple[int, float, Entry]]] = []
        self.ended: Ended | None = None
        self.ended_at: float | None = None
        self._loop: Final = loop
        self._wrong: Final = wrong

    def entries_told(self, batch: Sequence[Entry]) -> None:
        """Write down a batch; complain of what I1 or I4 forbids."""
        loop = self._loop
        for entry in one_by_one(batch):
            if self.ended is not None:
                self._wrong.append(f"I1 {self.stream}: an entry after the terminal")
            if entry.seq != len(self.entries) + 1:
                self._wrong.append(f"I4 {self.stream}: entry {entry.seq} after {len(self.entries)}")
            self.entries.append((loop.turns, loop.time(), entry))
            if isinstance(entry.event, Ended):
                self.ended, self.ended_at = entry.event, loop.time()
        last = batch[-1]
        what = last.event.receipt.reason.value if isinstance(last.event, Ended) else "events"
        loop.network.note("log", self.stream, last.last, what)


class Told:
    """The follower that a log knows of. Keeps `log.contract.Follower`."""

    def __init__(self, story: Story) -> None:
        self._story: Final = story

    def entries(self, batch: Sequence[Entry]) -> None:
        """Pass it on."""
        self._story.entries_told(batch)

    def broken(self, error: Exception) -> None:
        """A bug of the witness."""
        raise error


class Witness:
    """A `log.contract.Log` that keeps the stories of all streams.

    Attributes:
        stories: by stream id, in order of opening.
        wrong: what was seen and must not be.
        refuses_at: the number of the append that is refused, for the sweep of failures.
        before_call: called with the name of each operation; may raise.
    """

    def __init__(self, log: Log, loop: SimLoop) -> None:
        self.stories: Final[dict[str, Story]] = {}
        self.wrong: Final[list[str]] = []
        self.before_call: Callable[[str], None] = lambda _name: None
        self._log: Final = log
        self._loop: Final = loop
        self._on_refused: Final[dict[str, OnRefused]] = {}

    @property
    def crowded(self) -> bool:
        """As the log says."""
        return self._log.crowded

    def open(self, stream: str, on_refused: OnRefused) -> None:
        """Open, and be the first to follow."""
        self._log.open(stream, on_refused)
        self._on_refused[stream] = on_refused
        story = self.stories[stream] = Story(stream, self._loop, self.wrong)
        self._log.follow(stream, Told(story))
        self._loop.network.note("open", stream)

    def append(self, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
        """Append; complain of what follows an end, or of an end that something follows."""
        story = self.stories[stream]
        if story.ended is not None:
            self.wrong.append(f"I1 {stream}: append after the terminal")
        if any(isinstance(event, Ended) for event in batch[:-1]):
            self.wrong.append(f"I1 {stream}: a terminal inside a batch")
        if not isinstance(batch[-1], Ended) and self._refuses():
            self._on_refused[stream](len(story.entries), "the proof says so")
            return
        self._log.append(stream, batch)

    def follow(self, stream: str, follower: Follower) -> Callable[[], None]:
        """As the log does."""
        return self._log.follow(stream, follower)

    async def read(self, stream: str, after: int, *, bytes_max: int) -> Sequence[Entry]:
        """As the log does."""
        self.before_call("read")
        return await self._log.read(stream, after, bytes_max=bytes_max)

    def drop(self, stream: str) -> None:
        """As the log does."""
        self._log.drop(stream)

    def _refuses(self) -> bool:
        try:
            self.before_call("append")
        except OSError:
            return True
        return False

    def heard(self) -> list[tuple[Any, ...]]:
        """How every stream ended, for the hash of the trace."""
        return [
            (name, len(story.entries), story.ended and story.ended.receipt.to_json())
            for name, story in self.stories.items()
        ]
