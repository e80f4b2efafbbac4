"""The longest silence that survives the way between the upstream and us, found by halving.

A silence that is cut tells the limit at once: it was cut when it had lasted that long. The next one
is a little shorter, to see that it survives.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from finalstop.doctor.announce import Announce, Notice
from finalstop.doctor.observations import Ending, Exchange
from finalstop.doctor.probe import Watch, ask
from finalstop.doctor.trials import Ward

ROUNDS_MAX: Final = 6
# The limit is known well enough when the two bounds are so near: a share, and at least seconds.
NEAR_SHARE: Final = 0.1
NEAR_S: Final = 0.5
# What comes before and after the silence, and slack.
AROUND_S: Final = 5.0
# All that comes before the silence comes within this; so no shorter silence can be tried.
LEAD_S: Final = 0.8
LEAST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Idle:
    """What was found: `survived_s` and `cut_s` (infinite: nothing was cut), and the telling one."""

    survived_s: float
    cut_s: float
    exchange: Exchange


async def find_idle_limit(ward: Ward, *, most_s: float, announce: Announce) -> Idle:
    """Try silences up to `most_s`, the longest first."""
    survived_s, cut_s = 0.0, math.inf
    telling: Exchange | None = None
    pause_s = most_s
    for _ in range(ROUNDS_MAX):
        announce(Notice(f"idle: a silence of {pause_s:g} s", pause_s + AROUND_S))
        exchange = await _try_pause(ward, pause_s)
        lasted_s = _cut_after_s(exchange, pause_s)
        if lasted_s is None:
            survived_s = max(survived_s, pause_s)
            telling = telling or exchange
        else:
            cut_s, telling = min(cut_s, lasted_s), exchange
        near_s = max(NEAR_S, NEAR_SHARE * cut_s)
        if math.isinf(cut_s) or cut_s - survived_s <= near_s * 1.5:
            break
        pause_s = round(max(cut_s - near_s, (survived_s + cut_s) / 2), 2)
    assert telling is not None
    return Idle(survived_s, cut_s, telling)


async def _try_pause(ward: Ward, pause_s: float) -> Exchange:
    ward.simulator.play(f"pause@mid-text,hold_s={pause_s:g},words=20,pace_ms=10")
    whole_s = pause_s + AROUND_S
    return await ask(ward.question, Watch(whole_s, whole_s), way=ward.way, began=time.monotonic())


def _cut_after_s(exchange: Exchange, pause_s: float) -> float | None:
    """How long the silence had lasted when it was cut; None when it was not."""
    times = [arrival.at_s for arrival in exchange.arrivals]
    began_s = max((at for at in times if at <= times[0] + LEAD_S), default=exchange.head_s or 0.0)
    went_on = any(at >= began_s + pause_s - LEAD_S for at in times)
    if exchange.ending is Ending.STILL_OPEN:
        # A hop that drops a connection and tells nobody: all one can say is that it was cut.
        return None if went_on else pause_s
    silent_s = exchange.ended_s - began_s
    return None if went_on or silent_s >= pause_s - LEAD_S else silent_s
