"""The memory log: events in a list, followers told before `append` returns.

An event's place is its sequence number. Of a delta, which nearly every event is, only the JSON is
kept: its view is three times as large, and a reader that comes late can have it again. The list is
cut into pages; one that holds nothing but short deltas is their JSON as one text of so many lines.

What it loses: everything, when the process dies; its viewers' connections are cut with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from finalstop.core.events import BlockDelta, Deltas, Entry, Event, Payload, delta_of
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.log.contract import Follower, LogFullError, OnRefused, UnknownStreamError

# An event as it is kept: a lean one as its JSON, which is one line.
Kept = Event | Ended | bytes
# So many events in a row: as they are kept, or as lines.
Page = Sequence[Kept] | bytes
PAGE_EVENTS: Final = 16
# A larger page is not made lines of: a reader that takes one of them would have to cut them all.
PAGE_BYTES_MAX: Final = 16 * 1024

# An epoch tells two histories of one stream apart. A memory log has only ever one.
EPOCH: Final = 1

# What an event costs beside its JSON: the Event, its view and their strings. Measured with
# tracemalloc over decoded events of a word: 300 to 390, rounded up.
EVENT_OVERHEAD_BYTES: Final = 512

# What a lean event costs beside its JSON until it is a line of its page: the head of the bytes,
# their padding, a place in a list.
LEAN_OVERHEAD_BYTES: Final = 64

# JSON up to this long has a view that fits the overhead above. Beyond it the view's own strings
# are counted: they repeat the JSON, and one emoji makes each of their characters four bytes.
SMALL_JSON_BYTES: Final = 160

# What a stream costs before its first entry, here and in the runtime, which keeps it as long as the
# log does. Measured: 4.9 KB. Without it, streams that fail at once would fill the memory uncounted.
STREAM_OVERHEAD_BYTES: Final = 6 * 1024


class MemoryLog:
    """A log in this process's memory. Keeps `contract.Log`."""

    def __init__(self, limits: Limits) -> None:
        self._bytes_max = limits.log_bytes_total
        self._bytes = 0
        self._records: dict[str, _Record] = {}

    @property
    def size_bytes(self) -> int:
        """What all streams and their entries take, by our own count."""
        return self._bytes

    @property
    def crowded(self) -> bool:
        """Whether nine tenths of `log_bytes_total` are taken."""
        return self._bytes >= 0.9 * self._bytes_max

    def open(self, stream: str, on_refused: OnRefused) -> None:
        """Begin the log of `stream`."""
        assert stream not in self._records
        if self._bytes >= self._bytes_max:
            msg = f"the logs hold {self._bytes} bytes; log_bytes_total={self._bytes_max}"
            raise LogFullError(msg)
        record = self._records[stream] = _Record(on_refused)
        self._bytes += record.size_bytes

    def append(self, stream: str, batch: Sequence[Event | Deltas | Ended]) -> None:
        """Accept `batch` and tell the followers, before returning."""
        record = self._records[stream]
        assert not record.sealed
        seq = record.last + 1
        size = 0
        kept: list[Kept] = []
        accepted: list[Entry] = []
        for event in batch:
            accepted.append(Entry(EPOCH, seq, event))
            if type(event) is Deltas:
                size += event.size_bytes + LEAN_OVERHEAD_BYTES * len(event.jsons)
                kept += event.jsons
                seq += len(event.jsons)
                continue
            seq += 1
            if event.lean:
                size += len(event.json) + LEAN_OVERHEAD_BYTES
                kept.append(event.json)
            else:
                size += _size_of(event)
                kept.append(event)
        ends = type(event) is Ended
        if self._bytes + size > self._bytes_max and not ends:
            record.on_refused(record.last, f"log_bytes_total={self._bytes_max} is reached")
            return
        self._bytes += size
        record.size_bytes += size
        record.sealed = ends
        record.keep(kept)
        record.tell(accepted)

    def follow(self, stream: str, follower: Follower) -> Callable[[], None]:
        """Tell `follower` of every batch accepted from now on."""
        record = self._record(stream)
        record.followers = (*record.followers, follower)
        return lambda: record.forget(follower)

    async def read(self, stream: str, after: int, *, bytes_max: int) -> Sequence[Entry]:
        """The entries with `seq > after`, oldest first. Answers at once."""
        entries: list[Entry] = []
        seq, size = after, 0
        for kept in self._record(stream).since(after):
            event = delta_of(kept) if isinstance(kept, bytes) else kept
            seq += 1
            size += _size_of(event)
            entries.append(Entry(EPOCH, seq, event))
            if size >= bytes_max:
                break
        return entries

    def drop(self, stream: str) -> None:
        """Forget the stream and its entries."""
        record = self._records.pop(stream, None)
        if record is not None:
            self._bytes -= record.size_bytes
            record.followers = ()

    def _record(self, stream: str) -> _Record:
        try:
            return self._records[stream]
        except KeyError:
            raise UnknownStreamError(stream) from None


class _Record:
    """One stream's entries and followers."""

    __slots__ = ("followers", "last", "newest", "on_refused", "pages", "sealed", "size_bytes")

    def __init__(self, on_refused: OnRefused) -> None:
        # The sequence number of the newest event.
        self.last = 0
        self.pages: list[Page] = []
        # What is not a whole page yet.
        self.newest: list[Kept] = []
        # A tuple, replaced and never changed: a follower may leave while others are being told.
        self.followers: tuple[Follower, ...] = ()
        self.on_refused = on_refused
        self.sealed = False
        self.size_bytes = STREAM_OVERHEAD_BYTES

    def keep(self, kept: Sequence[Kept]) -> None:
        self.last += len(kept)
        newest = self.newest
        newest += kept
        while len(newest) >= PAGE_EVENTS:
            self.pages.append(_page_of(newest[:PAGE_EVENTS]))
            del newest[:PAGE_EVENTS]

    def since(self, after: int) -> Iterator[Kept]:
        """What follows `after`, oldest first."""
        if after >= self.last:  # also a number so large that nothing counts to it
            return
        number, place = divmod(after, PAGE_EVENTS)
        for page in islice(self.pages, number, None):
            yield from islice(page.split(b"\n") if isinstance(page, bytes) else page, place, None)
            place = 0
        yield from islice(self.newest, place, None)

    def tell(self, accepted: Sequence[Entry]) -> None:
        for follower in self.followers:
            try:
                follower.entries(accepted)
            except Exception as error:  # noqa: BLE001 - one broken follower must cost no other
                self.forget(follower)
                with suppress(Exception):
                    follower.broken(error)

    def forget(self, follower: Follower) -> None:
        self.followers = tuple(other for other in self.followers if other is not follower)


def _page_of(events: list[Kept]) -> Page:
    lines = [it for it in events if isinstance(it, bytes)]
    is_lines = len(lines) == len(events) and sum(map(len, lines)) <= PAGE_BYTES_MAX
    return b"\n".join(lines) if is_lines else tuple(events)


def _size_of(event: Event | Ended) -> int:
    size = len(event.json)
    if size > SMALL_JSON_BYTES and isinstance(event, Event):
        size += _view_bytes(event.payload)
    return size + EVENT_OVERHEAD_BYTES


def _view_bytes(payload: Payload) -> int:
    if isinstance(payload, BlockDelta):
        delta = payload.delta
        strings = (delta.text, delta.thinking, delta.partial_json)
        return sum(sys.getsizeof(string) for string in strings if string is not None)
    return 0
