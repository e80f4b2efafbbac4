"""The clocks of a stream: pure functions of `now`.

Picture a person listening on the telephone for an answer. A voice that says nothing new but "hm"
now and then has not hung up, and has not answered either. Pings are the "hm": they show that the
line is open. So the two timers that matter, first content and idle, run on content; bytes and
pings feed only `heard_at`, which is told to people and ends nothing.

Rejected: a timer handle per event. Moving one costs more than relaying the event does. A stream
remembers when it last saw content, and one sweeper per process asks `due` ten times a second.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.core.receipt import Timings

# How often the sweeper asks. Every bound is therefore kept to within this much.
SWEEP_S: Final = 0.1


class Clocks(Struct, gc=False):
    """The instants of one stream, in seconds of the relay's own monotonic clock."""

    opened_at: float
    connected_at: float | None = None
    written_at: float | None = None
    heard_at: float | None = None
    first_content_at: float | None = None
    content_at: float | None = None
    longest_gap_s: float = 0.0

    def content(self, now: float) -> None:
        """Note content at `now`. Instants must not go backwards."""
        if self.content_at is None:
            self.first_content_at = now
        elif now - self.content_at > self.longest_gap_s:
            self.longest_gap_s = now - self.content_at
        self.content_at = now

    def timings(self, now: float) -> Timings:
        """What the receipt of a stream that ends at `now` says of its time."""
        last_gap_s = 0.0 if self.content_at is None else now - self.content_at
        return Timings(
            connect_s=_since(self.opened_at, self.connected_at),
            first_content_s=_since(self.opened_at, self.first_content_at),
            total_s=round(now - self.opened_at, 6),
            longest_gap_s=round(max(self.longest_gap_s, last_gap_s), 6),
        )


def due(clocks: Clocks, limits: Limits, now: float) -> EndReason | None:
    """The limit that has run out by `now`, if any. The deadline wins over a timeout."""
    if now >= clocks.opened_at + limits.deadline_s:
        return EndReason.DEADLINE
    if now < _content_due_at(clocks, limits):
        return None
    waiting = clocks.content_at is None
    return EndReason.FIRST_CONTENT_TIMEOUT if waiting else EndReason.IDLE_TIMEOUT


def next_wakeup(clocks: Clocks, limits: Limits) -> float:
    """The instant at which `due` first answers something, if nothing else happens."""
    return min(clocks.opened_at + limits.deadline_s, _content_due_at(clocks, limits))


def _content_due_at(clocks: Clocks, limits: Limits) -> float:
    if clocks.content_at is not None:
        return clocks.content_at + limits.idle_s
    # A request that is never written must end as well: then the clock runs from the opening.
    since = clocks.opened_at if clocks.written_at is None else clocks.written_at
    return since + limits.first_content_s


def keep_alive_due(written_at: float, limits: Limits, now: float) -> bool:
    """Whether a viewer that last got bytes at `written_at` needs a keep-alive at this sweep.

    One sweep early rather than one late: a viewer gets bytes *at least* every `keep_alive_s`.
    """
    return now - written_at >= limits.keep_alive_s - SWEEP_S


def _since(start: float, instant: float | None) -> float | None:
    return None if instant is None else round(instant - start, 6)
