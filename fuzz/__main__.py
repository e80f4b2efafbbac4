"""`python -m fuzz [--seconds N] [--seed N] [TARGET...]`: see `run`."""

from __future__ import annotations

import sys

from fuzz.run import main
from proof.ledger import ProofError

if __name__ == "__main__":
    try:
        figures = main(sys.argv[1:])
    except ProofError as error:
        sys.exit(f"FAILED: {error}")
    for name, figure in figures.items():
        print(f"{name}: {figure}")
