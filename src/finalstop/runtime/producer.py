"""The producer: what feeds one stream's lifecycle, and the only hand that appends to its log.

Everything here is one synchronous call chain. A source calls `receive` with a batch; the lifecycle
judges it; the log accepts it and tells the viewers, who write; and only then, back here, does
anything that a viewer asked for in the meantime happen. That is what the inbox is for: a viewer
told of an event may find that it was the last one watching, and must not end the stream in the
middle of the dispatch.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.events import Deltas, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.log.contract import Log

Clock = Callable[[], float]


class Watcher(Protocol):
    """Who needs to know, once each, that the stream has begun and has ended."""

    def on_begun(self) -> None:
        """The log holds its first entry."""

    def on_ended(self, ended: Ended) -> None:
        """The log holds its last entry, and every viewer has been told."""


class Nobody:
    """Watches what has ended: who watched it before holds the producer, and must be let go."""

    def on_begun(self) -> None:
        """It has begun long ago."""

    def on_ended(self, ended: Ended) -> None:
        """It is told of once."""


NOBODY: Final = Nobody()


class Producer:
    """One stream's way into the log.

    Args:
        stream: the stream id.
        log: where the entries go; `open` has not been called for this stream yet.
        limits: the bounds to keep.
        clock: monotonic seconds.
        watcher: told of the beginning and of the end.

    Raises:
        LogFullError: the log takes no new stream; nothing was begun.
    """

    __slots__ = (
        "__weakref__",
        "_appending", "_begun", "_inbox", "_log", "_stream", "_watcher", "clock", "life",
        "upstream_headers",
    )  # fmt: skip

    def __init__(
        self, stream: str, *, log: Log, limits: Limits, clock: Clock, watcher: Watcher
    ) -> None:
        self.life = Lifecycle(stream, limits, now=clock())
        self.clock = clock
        self.upstream_headers: Mapping[str, str] = {}
        self._stream = stream
        self._log = log
        self._watcher = watcher
        self._begun = False
        self._appending = False
        self._inbox: list[Callable[[], None]] = []
        log.open(stream, self._on_log_refused)

    @property
    def ended(self) -> Ended | None:
        """The terminal event, once there is one."""
        return self.life.ended

    # -- what a source says -----------------------------------------------------------------------

    def receive(self, events: Sequence[Event | Deltas]) -> None:
        """Take a batch of events from the upstream."""
        self._append(self.life.receive(events, now=self.clock()))

    def eof(self, detail: str = "") -> None:
        """There will be no more; before `message_stop` that is a truncation."""
        self._append(self.life.eof(now=self.clock(), detail=detail))

    def refused(self, refusal: Refusal) -> None:
        """The upstream answered with an error instead of a stream."""
        self._append(self.life.refused(refusal, now=self.clock()))

    def crashed(self, error: Exception) -> None:
        """Our own code failed. Its message may hold a prompt: its type and its place are told."""
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "the relay"
        self.end(EndReason.INTERNAL_ERROR, f"{type(error).__name__} at {where}.")

    # -- what anybody says ------------------------------------------------------------------------

    def end(self, reason: EndReason, detail: str = "") -> None:
        """End the stream. The first reason wins."""
        self._append(self.life.end(reason, detail, now=self.clock()))

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._append(self.life.tick(now=now))

    def post(self, act: Callable[[], None]) -> None:
        """Run `act` now, or, from inside a dispatch, right after it."""
        if self._appending:
            self._inbox.append(act)
        else:
            act()

    # -- the way into the log ---------------------------------------------------------------------

    def _append(self, batch: Sequence[Event | Deltas | Ended]) -> None:
        assert not self._appending, "a follower must post, not append"
        if not batch:
            return
        self._appending = True
        try:
            self._log.append(self._stream, batch)
        finally:
            self._appending = False
            # Also when the log breaks, which is a bug: nobody may wait for this end for ever.
            if type(batch[-1]) is Ended:
                self._tell_ended(batch[-1])
        if not self._begun:
            self._tell_begun()
        inbox = self._inbox
        while inbox:
            inbox.pop(0)()

    def _tell_begun(self) -> None:
        if not self._begun:
            self._begun = True
            self._watcher.on_begun()

    def _tell_ended(self, ended: Ended) -> None:
        self._tell_begun()
        watcher, self._watcher = self._watcher, NOBODY
        watcher.on_ended(ended)

    def _on_log_refused(self, accepted: int, why: str) -> None:
        self.post(
            lambda: self._append(self.life.log_refused(accepted, why, now=self.clock())),
        )
