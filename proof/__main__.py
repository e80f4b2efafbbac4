"""Run the parts of proof: `python -m proof` all of them, `python -m proof NAME [ARGS...]` one.

Each part's figures are printed. Those of a part that ran as it stands, or with `--write` among its
arguments, are written down in proof/figures.json, from which `make docs` writes
docs/topics/how-we-know.md: a quick look at one seed replaces no figure. A part that fails does not
stop the others; the exit status tells.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from proof.ledger import Figures, Part, ProofError, Scalar, write_down

# Name -> the module whose `main(argv)` runs it, and what it shows. Quick ones first.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "lifecycle": (
        "proof.lifecycle",
        "every input in every state of the real state machine, breadth first",
    ),
    "matrix": (
        "proof.simulation.matrix",
        "every fault at every phase on every surface, in virtual time",
    ),
    "awaits": (
        "proof.simulation.awaits",
        "golden runs of the real gateway, failed at each of their awaits and I/O calls",
    ),
    "simulation": (
        "proof.simulation.schedules",
        "the real gateway in virtual time: any order of events, any network, any client",
    ),
    "fuzz": (
        "fuzz.run",
        "whatever bytes come, a documented ending or error comes out, in linear time",
    ),
    "soak": (
        "proof.soak.run",
        "a real gateway process under random faults and rude clients ends every stream once",
    ),
    "coverage": (
        "proof.coverage_own",
        "every branch of core, wire and the memory log is taken by the module's own tests",
    ),
    "planted": (
        "proof.planted.plant",
        "every bug that we plant in our own code is caught by a fast part of the tests",
    ),
    "mutation": (
        "proof.mutation",
        "of all small changes to core, the share that its own tests notice",
    ),
}

WRITE: Final = "--write"


def part_named(name: str) -> Part:
    """The function that runs a part.

    Raises:
        SystemExit: there is no such part; the message lists those there are.
    """
    if name not in PARTS:
        known = "\n".join(f"  {name:12} {says}" for name, (_, says) in PARTS.items())
        raise SystemExit(f"no part {name!r}; the parts are:\n{known}")
    part: Part = import_module(PARTS[name][0]).main
    return part


def main(argv: Sequence[str]) -> int:
    """Run one part, or all; return the exit status."""
    if argv:
        return 0 if run(argv[0], argv[1:]) else 1
    failed = [name for name in PARTS if not run(name, [])]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def run(name: str, argv: Sequence[str]) -> bool:
    """Run one part and write its figures down; whether what it shows is so."""
    part = part_named(name)
    print(f"== {name}: {PARTS[name][1]}", flush=True)
    began_s = time.perf_counter()
    arguments = [it for it in argv if it != WRITE]
    try:
        figures = part(arguments)
    except ProofError as error:
        print(f"   FAILED: {error}", flush=True)
        return False
    show(figures)
    if WRITE in argv or not argv:
        write_down(name, arguments, figures)
    print(f"   {time.perf_counter() - began_s:.0f} s", flush=True)
    return True


def show(figures: Figures) -> None:
    """Print figures: a line each; of a table, a line per row."""
    for name, figure in figures.items():
        if isinstance(figure, Scalar):
            print(f"   {name}: {figure}")
            continue
        print(f"   {name}:")
        for row in figure:
            print("     " + " | ".join(str(cell) for cell in row.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
