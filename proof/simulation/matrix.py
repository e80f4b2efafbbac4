"""The fault matrix in virtual time: every fault, at every phase, on every surface and log.

The table of what must come of each is `tests.faults.table`, the one that the matrix over real
sockets is held to. Here each cell has a world of its own, and a hang costs no time; beside the
cell's reason, every law of the simulation is asked of it.

    python -m proof.simulation.matrix
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from finalstop.core.endings import ENDINGS
from finalstop.core.endings import EndReason as R
from finalstop.simulator import describe
from proof.ledger import Figures, ProofError
from proof.simulation.laws import judge
from proof.simulation.library import LIBRARY, ask_library
from proof.simulation.plan import CLIENTS, MESSAGES, PLAIN, Asking, Client, Plan
from proof.simulation.world import World, simulate
from tests.faults.client import read_answer
from tests.faults.table import BOUNDS, EXPECTED, Cell, spec_of
from tests.faults.verdict import complaints

# Where a reader stands: a surface of the product, and whether it asks for a stream.
SURFACES: Final[dict[str, tuple[str, bool]]] = {
    "POST /v1/messages, a stream": (MESSAGES, True),
    "POST /v1/messages, a Message": (MESSAGES, False),
    "POST /stream-claude": (PLAIN, True),
    "Relay.open, Stream.attach": (LIBRARY, True),
}
LOGS: Final = ("memory",)
PHASES: Final = (
    "before-dial", "before-head", "after-head", "before-first-delta", "mid-text", "mid-thinking",
    "mid-tool-json", "before-message-stop",
)  # fmt: skip

# Cells per fault and phase.
VIEWS: Final = len(SURFACES) * len(LOGS) * len(CLIENTS)

# What a fault that strikes before there is a call needs of the network.
DIALS: Final[dict[str, str]] = {
    "refused": "refused",
    "unresolvable": "unresolvable",
    "connect-timeout": "silent",
}
NO_TLS: Final = "no TLS in the network in memory; tests/faults/test_matrix.py has it over sockets"

# Virtual time costs nothing: a limit that is meant to run out does so long before the next one.
PATIENT: Final = {
    "first_content_s": 3.0,
    "commit_s": 4.0,
    "keep_alive_s": 5.0,
    "deadline_s": 30.0,
}


class Place(Struct, frozen=True):
    """One cell: a fault at a phase ("" for what has one place), for a reader of a surface.

    `client` is how the gateway asks: both ways are held to the same table.
    """

    fault: str
    phase: str
    surface: str
    log: str = "memory"
    client: Client = "direct"


def cells() -> Iterator[Place]:
    """Every cell that exists."""
    for fault, row in EXPECTED.items():
        for phase in row:
            for surface in SURFACES:
                for log in LOGS:
                    if absent(fault, phase) is None:
                        yield from (Place(fault, phase, surface, log, it) for it in CLIENTS)


def absent(fault: str, phase: str) -> str | None:
    """Why this fault cannot strike in this phase; None if it can."""
    row = EXPECTED[fault]
    if fault == "tls-garbage":
        return NO_TLS
    if phase in row:
        return None
    if "" in row:
        return f"strikes in one place: {_SAYS[fault]}"
    places = ", ".join(row)
    if phase == "before-dial":
        return "there is no call yet that could be scripted"
    return f"{_SAYS[fault]}: {places} only"


def absences() -> dict[str, int]:
    """Why cells do not exist, and how many for each reason."""
    reasons: Counter[str] = Counter()
    for fault, row in EXPECTED.items():
        missing = [why for phase in PHASES if (why := absent(fault, phase)) is not None]
        # What strikes in one place fills one of the eight, whichever it is called.
        counted = missing[1:] if "" in row else missing
        reasons.update(_kind(why) for why in counted for _ in range(VIEWS))
    return dict(reasons)


def _kind(why: str) -> str:
    if why == NO_TLS or why.startswith("there is no call"):
        return why
    if why.startswith("strikes in one place"):
        return "strikes in one place only (its name says which)"
    return "another phase has nothing for it to strike (a head, a block, a delta of its kind)"


def wrongs(place: Place) -> list[str]:
    """Carry out one cell; what is wrong with what came of it."""
    world = world_of(place)
    found = judge(world)
    cell = EXPECTED[place.fault][place.phase]
    if len(world.stories) != 1 or world.stories[0].ended is None:
        return [*found, f"end: {len(world.stories)} streams, and not one end"]
    reason = world.stories[0].ended.receipt.reason
    if reason is not cell.reason:
        found.append(f"reason: {reason}, not {cell.reason}")
    return [*found, *_of_the_answer(world, place, cell)]


def world_of(place: Place) -> World:
    """The world of one cell, over."""
    path, stream = SURFACES[place.surface]
    asking = Asking(at_s=0.0, path=path, stream=stream, spec=_spec(place))
    plan = Plan(
        seed=1,
        askings=(asking,),
        limits={**PATIENT, **BOUNDS},
        upstream=DIALS.get(place.fault, "up"),
        shuffles=False,
        client=place.client,
    )
    return simulate(plan, ask_library if path == LIBRARY else lambda _world: None)


def _spec(place: Place) -> str:
    return "text" if place.phase == "before-dial" else spec_of(place.fault, place.phase)


def _of_the_answer(world: World, place: Place, cell: Cell) -> Iterator[str]:
    for asking, reader in world.readers:
        answer = read_answer(bytes(reader.data), reader.left)  # type: ignore[no-untyped-call]
        if not asking.stream:
            wanted = status_of_a_message(place)
            if (answer.status, answer.ended) != (wanted, "whole"):
                yield f"status: {answer.status} {answer.ended}, not {wanted} whole"
            continue
        ended = world.stories[0].ended
        assert ended is not None
        told = _told(ended.receipt.to_json())
        yield from complaints(answer, cell, asking.path, told)  # type: ignore[no-untyped-call]


def _told(receipt: bytes) -> dict[str, object]:
    told: dict[str, object] = json.loads(receipt)
    return told


def status_of_a_message(place: Place) -> int:
    """The status of a whole Message: nothing of it is sent before its end, so it is always true."""
    row = EXPECTED[place.fault]
    cell = row[place.phase]
    if cell.reason is not R.UPSTREAM_ERROR:
        return ENDINGS[cell.reason].status
    first = row.get("after-head", cell)
    return first.status or ENDINGS[cell.reason].status


def main(argv: Sequence[str]) -> Figures:
    """Carry out the matrix; return the counts.

    Raises:
        ProofError: a cell is not kept; the message names it.
    """
    picked = [place for place in cells() if not argv or place.fault in argv]
    found = {place: wrong for place in picked if (wrong := wrongs(place))}
    kinds = Counter(line.partition(":")[0].split()[0] for lines in found.values() for line in lines)
    figures: Figures = {
        "cells": len(picked),
        "hangs": kinds["hang"],
        "double or missing terminals": kinds["double"] + kinds["end"] + kinds["I1"] + kinds["I2"],
        "wrong reasons": kinds["reason"],
        "cells not kept": len(found),
        "cells that cannot exist": [
            {"reason": why, "cells": cells_} for why, cells_ in sorted(absences().items())
        ],
    }
    if found:
        said = "".join(f"\n  {place}: {lines}" for place, lines in list(found.items())[:20])
        raise ProofError(f"{len(found)} cells are not kept:{said}")
    return figures


_SAYS: Final = {name: says for name, _, _, says in describe()}


if __name__ == "__main__":
    for name, figure in main(sys.argv[1:]).items():
        print(f"{name}: {figure}")
