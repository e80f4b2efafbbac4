"""Run schedules: `python -m proof.simulation --schedules N --seed N --mode safety|liveness`.

One schedule is replayed, with everything that happened, by `--replay`. The fault matrix and the
sweep of failures are `python -m proof.simulation matrix` and `python -m proof.simulation awaits`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from proof.ledger import Part, ProofError
from proof.simulation import awaits, matrix, schedules

PARTS: Final[Mapping[str, Part]] = {"matrix": matrix.main, "awaits": awaits.main}

if __name__ == "__main__":
    part = PARTS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        figures = part(sys.argv[2:]) if part is not None else schedules.main(sys.argv[1:])
    except ProofError as error:
        sys.exit(f"FAILED: {error}")
    for name, figure in figures.items():
        print(f"{name}: {figure}")
