"""What the upstream does in each trial, as a script of the simulator, and what we do meanwhile.

Pure data. Healthy gaps are a sixth of the window: an endpoint may have an idle limit between that
and the window and pass every trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from finalstop.doctor.observations import Case


class Leaving(StrEnum):
    """When we leave a trial."""

    NEVER = "never"
    MID_STREAM = "mid-stream"  # once some of the body has come
    BEFORE_HEAD = "before-head"  # once the endpoint has asked the upstream


@dataclass(frozen=True, slots=True)
class Role:
    """One trial's part: `script` makes the simulator's script from `window_s`.

    `windows` is how many windows may pass without progress: clients that try again wait longer
    and longer in between (the official SDK up to 2 s, the AI SDK 4 s).
    """

    case: Case
    says: str
    script: Callable[[float], str]
    leaving: Leaving = Leaving.NEVER
    windows: float = 1.0


_RETRIED: Final = 2.0
# So many words are about 17 deltas and take half a second: enough to see whether they are held.
_WORDS: Final = "words=40,pace_ms=30"
_SHORT: Final = "words=20,pace_ms=10"
# Pings come at the pace of the words: ten in a second are plenty.
_PINGS: Final = "words=10,pace_ms=100"
# What goes on until we leave: a word group every 100 ms.
ENDLESS: Final = "slow-drip,words=4000,pace_ms=100"


def _always(spec: str) -> Callable[[float], str]:
    return lambda _window_s: spec


def _slow(window_s: float) -> str:
    # Eight deltas: enough to see whether a hop holds them back.
    return f"slow-drip,words=20,pace_ms={int(window_s * 1000 / 6)}"


ROLES: Final = (
    Role(Case.HEALTHY, "does everything right", _always(f"text,{_WORDS}")),
    Role(
        Case.NEVER_CLOSED,
        "sends message_stop and leaves the body open",
        _always(f"never-closed,{_SHORT}"),
    ),
    Role(
        Case.NEVER_CLOSED_PINGS,
        "sends message_stop, then pings for ever",
        _always(f"never-closed-pings,{_PINGS}"),
    ),
    Role(Case.STALL, "falls silent mid-answer", _always(f"stall@mid-text,{_SHORT}")),
    Role(
        Case.PINGS_ONLY,
        "sends only pings, from mid-answer on",
        _always(f"pings-forever@mid-text,{_PINGS}"),
    ),
    Role(Case.NO_HEAD, "takes the request and says nothing", _always("no-head")),
    Role(Case.TRUNCATED, "ends the body mid-answer", _always(f"fin@mid-text,{_SHORT}")),
    Role(
        Case.RESET,
        "resets the connection mid-answer",
        _always(f"rst@mid-text,{_SHORT}"),
        windows=_RETRIED,
    ),
    Role(
        Case.ERROR_FIRST,
        "sends an error as its first event",
        _always("error-first"),
        windows=_RETRIED,
    ),
    Role(
        Case.ERROR_MIDWAY,
        "sends an error event mid-answer",
        _always(f"error-overloaded@mid-text,{_SHORT}"),
        windows=_RETRIED,
    ),
    Role(
        Case.RATE_LIMITED,
        "answers 429 with retry-after, at every attempt",
        _always("status-429,retry_after=1"),
        windows=_RETRIED,
    ),
    Role(
        Case.OVERLOADED,
        "answers 529, at every attempt",
        _always("status-529"),
        windows=_RETRIED,
    ),
    Role(Case.SLOW, "is healthy, with long gaps", _slow),
    Role(
        Case.TOOLS_AND_THINKING,
        "thinks, answers and calls a tool",
        _always("thinking-tools,words=10,pace_ms=5"),
    ),
    Role(
        Case.LEAVE_MID_STREAM,
        "goes on while we leave mid-stream",
        _always(ENDLESS),
        Leaving.MID_STREAM,
    ),
    Role(
        Case.LEAVE_BEFORE_HEAD,
        "is silent while we leave before the head",
        _always("no-head"),
        Leaving.BEFORE_HEAD,
    ),
)
ROLE_OF: Final = {role.case: role for role in ROLES}
