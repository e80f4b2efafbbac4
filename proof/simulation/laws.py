"""What must be true of any schedule: the invariants I1 to I8, read off what happened.

Pure: a finished world in, complaints out. I1 and the density of the log are watched at every step
by the witness, I7 by the world one second after each terminal; both have complained already. The
laws of a stream are in `log_laws`, those of what was read of it in `wire_laws`.
"""

from __future__ import annotations

from typing import Final

from proof.simulation.log_laws import of_a_story
from proof.simulation.wire_laws import of_a_broken_reader, of_a_reader, of_a_view
from proof.simulation.world import World

# Complaints that only say that a failure was told of.
TOLD: Final = ("reported", "logged")


def judge(world: World) -> list[str]:
    """Everything that is wrong with what happened, what was seen on the way included."""
    found = list(world.wrong)
    for story in world.stories:
        found += of_a_story(world, story)
    for asking, reader in world.readers:
        found += of_a_reader(world, asking, reader)
    for joined in world.joined:
        found += of_a_view(world, joined)
    return found


def judge_broken(world: World) -> list[str]:
    """What must hold also where something of ours was made to fail.

    Any reason will do then, readers may be cut, and failures are reported; but one end, in time,
    never a `complete` that is not, nothing left behind, and nobody who waits for ever.
    """
    found = [line for line in world.wrong if not line.startswith(TOLD)]
    for story in world.stories:
        lines = list(of_a_story(world, story))
        found += [line for line in lines if not line.startswith("reason")]
    for asking, reader in world.readers:
        found += of_a_broken_reader(world, asking, reader)
    for joined in world.joined:
        found += of_a_view(world, joined)
    return found
