"""`python -m proof.soak [--seconds N] [--seed N] [--clients N]`: see `run`."""

from __future__ import annotations

import sys

from proof.ledger import ProofError
from proof.soak.run import main

if __name__ == "__main__":
    try:
        figures = main(sys.argv[1:])
    except ProofError as error:
        sys.exit(f"FAILED: {error}")
    for name, figure in figures.items():
        print(f"{name}: {figure}")
