"""What a soak does to a gateway: visits, each drawn from the seed and its own number.

The endings that a visit may have come from the hand-written table of tests/faults. It may not
know how a visit is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Any, Final

from msgspec import Struct

from finalstop.core.endings import EndReason
from finalstop.simulator.catalogue import Kind, names
from tests.faults.client import MESSAGES, ROUTES
from tests.faults.table import BOUNDS, EXPECTED, Cell, spec_of

# Timers far above what a busy machine takes, so that it is never taken for a silent upstream; a
# retention so short that what is kept reaches a steady state within seconds.
LIMITS: Final[dict[str, float | int]] = {
    "commit_s": 2.0,
    "connect_s": 1.9,
    "first_content_s": 6.0,
    "idle_s": 6.0,
    "deadline_s": 40.0,
    "keep_alive_s": 3.0,
    "write_s": 3.0,
    "retention_s": 1.0,
    **BOUNDS,
}


class Act(StrEnum):
    """What a client does beside asking."""

    STAYS = "stays"
    LEAVES_BEFORE_HEAD = "leaves before the head"
    LEAVES_MID_STREAM = "leaves mid-stream"
    STOPS = "stops"
    READS_SLOWLY = "reads slowly"
    READS_NOTHING = "reads nothing"


# How often each is drawn.
ACTS: Final[dict[Act, int]] = {
    Act.STAYS: 10,
    Act.LEAVES_BEFORE_HEAD: 2,
    Act.LEAVES_MID_STREAM: 3,
    Act.STOPS: 2,
    Act.READS_SLOWLY: 2,
    Act.READS_NOTHING: 1,
}
LEAVES: Final = (Act.LEAVES_BEFORE_HEAD, Act.LEAVES_MID_STREAM)
# Enough words that no buffer of a kernel holds them all, and under `stream_bytes`.
LONG: Final = "text,words=2500"
PACED: Final = "text,words=300,pace_ms=10"
COMPLETE: Final = Cell(EndReason.COMPLETE, 200)


class Visit(Struct, frozen=True, kw_only=True):
    """One request and what its client does.

    Args:
        number: its place in the soak; with the seed it says everything else.
        spec: the simulator's script.
        path: the route.
        cell: how the stream ends if the client stays.
        act: what the client does.
        way: how it leaves: "fin" or "rst".
        after_s: how long after its beginning, or after the moment waited for, it acts.
    """

    number: int
    spec: str
    path: str = MESSAGES
    cell: Cell = COMPLETE
    act: Act = Act.STAYS
    way: str = "fin"
    after_s: float = 0.0

    @property
    def name(self) -> str:
        """What the simulator's record knows the request by."""
        return f"visit {self.number}"

    @property
    def reasons(self) -> set[str]:
        """The end reasons that this visit may come to: a race has two rightful winners."""
        reasons = {str(self.cell.reason)}
        if self.act in LEAVES or self.act is Act.READS_NOTHING:
            reasons.add(str(EndReason.ABANDONED))
        if self.act is Act.STOPS:
            reasons.add(str(EndReason.STOPPED))
        return reasons


def visit_of(seed: int, number: int) -> Visit:
    """The visit of this number in the soak of this seed."""
    dice = Random(f"soak {seed} {number}")
    act = dice.choices(list(ACTS), list(ACTS.values()))[0]
    spec, cell = _script(dice, act)
    return Visit(
        number=number,
        spec=spec,
        cell=cell,
        act=act,
        path=dice.choice(ROUTES),
        way=dice.choice(("fin", "rst")),
        after_s=dice.choice((0.0, 0.0, 0.01, 0.05, 0.3)),
    )


def _script(dice: Random, act: Act) -> tuple[str, Cell]:
    match act:
        case Act.READS_SLOWLY | Act.READS_NOTHING:
            return LONG, COMPLETE
        case Act.STOPS | Act.LEAVES_MID_STREAM if dice.random() < 0.6:
            return PACED, COMPLETE
        case _ if dice.random() < 0.3:
            return dice.choice(_HEALTHY), COMPLETE
        case _:
            return dice.choice(_FAULTS)


def _faults() -> Sequence[tuple[str, Cell]]:
    """Every fault at every phase of the table, but those that need another upstream to dial."""
    elsewhere = set(names(Kind.CONNECT))
    rows: dict[str, Any] = {name: row for name, row in EXPECTED.items() if name not in elsewhere}
    return [
        (spec_of(name, phase), cell) for name, row in rows.items() for phase, cell in row.items()
    ]


_FAULTS: Final = _faults()
_HEALTHY: Final[Sequence[str]] = names(Kind.ANSWER)
