"""The ledger of proof: what each part found when it last ran, beside the command that shows it.

A part is a function `main(argv) -> figures`. It raises `ProofError` where what it shows is not so;
then nothing is written down. The page docs/topics/how-we-know.md is generated from figures.json
and bugs.toml. This file may not know what any figure means.
"""

from __future__ import annotations

import json
import platform
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
FIGURES: Final = HERE / "figures.json"
BUGS: Final = HERE / "bugs.toml"

Scalar = str | int | float
# A figure is one value, or a table: rows that have the same columns.
Figure = Scalar | Sequence[Mapping[str, Scalar]]
Figures = Mapping[str, Figure]
Part = Callable[[Sequence[str]], Figures]


class ProofError(AssertionError):
    """What a part shows is not so; the message says what was seen and how to see it again."""


def command_of(part: str, argv: Sequence[str]) -> str:
    """The command that runs a part again, as a person types it."""
    return f'make prove ARGS="{" ".join([part, *argv])}"'


def write_down(part: str, argv: Sequence[str], figures: Figures, *, file: Path = FIGURES) -> None:
    """Merge what `part` found into the ledger; the other parts' entries stay as they are."""
    ledger = read(file)
    ledger[part] = {
        "command": command_of(part, argv),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "src": source(),
        "figures": dict(figures),
    }
    text = json.dumps(dict(sorted(ledger.items())), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", "utf-8")


def source() -> str:
    """Which source the figures are of: what `git rev-parse --short HEAD:src` says of it."""
    git = ["git", "-C", str(ROOT)]
    head = [*git, "rev-parse", "--short", "HEAD:src"]
    found = subprocess.run(head, capture_output=True, text=True, check=False)
    if found.returncode:
        return "unknown"
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "src"], check=False)
    return found.stdout.strip() + ("-dirty" if changed.returncode else "")


def read(file: Path = FIGURES) -> dict[str, dict[str, Any]]:
    """What was written down: part -> command, date, python, src, figures."""
    if not file.exists():
        return {}
    ledger: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return ledger


def bugs(file: Path = BUGS) -> list[dict[str, str]]:
    """The bugs that proof has found, oldest first: `what`, `found_by`, `shown_by`, `mended`.

    Raises:
        ValueError: a row lacks one of these, or has another.
    """
    rows: list[dict[str, str]] = tomllib.loads(file.read_text("utf-8")).get("bug", [])
    wanted = {"what", "found_by", "shown_by", "mended"}
    for number, row in enumerate(rows, 1):
        if set(row) != wanted:
            raise ValueError(f"{file.name}: bug {number} has {sorted(row)}; want {sorted(wanted)}")
    return rows
