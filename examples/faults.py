"""What upstreams do wrong, for the demos: a simulator's script, its meaning, what is true then.

Pure. It may not know what is shown of them, or how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Fault:
    """One thing an upstream does: a script of the simulator, what it means, what is true then.

    `reason` is the end reason that is true of it: `complete` if the whole answer arrived,
    `message_stop` included. `before_head`: it strikes while the API can still answer with a
    status. `excerpt`: the row stands in the project's README, too.
    """

    spec: str
    says: str
    reason: str
    before_head: bool = False
    excerpt: bool = False

    @property
    def whole(self) -> bool:
        """Whether saying "end" is right."""
        return self.reason == "complete"


FAULTS: Final = (
    Fault("text", "does everything right", "complete", excerpt=True),
    Fault("never-closed", "leaves the body open after `message_stop`", "complete", excerpt=True),
    Fault("never-closed-pings", "the same, with pings for ever", "complete", excerpt=True),
    Fault("stall@mid-text", "falls silent mid-answer", "idle_timeout", excerpt=True),
    Fault("pings-forever@mid-text", "only pings, from mid-answer on", "idle_timeout", excerpt=True),
    Fault(
        "no-head",
        "takes the request and says nothing",
        "first_content_timeout",
        before_head=True,
        excerpt=True,
    ),
    Fault("fin@mid-text", "ends the body mid-answer, properly", "truncated", excerpt=True),
    Fault("eof@mid-text", "closes the connection mid-answer", "truncated"),
    Fault("rst@mid-text", "resets the connection mid-answer", "truncated"),
    Fault("error-overloaded@mid-text", "sends an `error` event, then ends", "upstream_error"),
    Fault(
        "error-then-open@mid-text",
        "sends an `error` event, leaves the body open",
        "upstream_error",
        excerpt=True,
    ),
    Fault("status-529", "answers 529, at every attempt", "upstream_error", before_head=True),
    Fault("status-429", "answers 429, at every attempt", "upstream_error", before_head=True),
    Fault("bad-json@mid-text", "sends an event with broken JSON", "upstream_invalid"),
)
