"""The corpus in the repo: one file per target, one input a line, as a JSON string of its bytes.

Each character of the string stands for one byte (latin-1), so a line can be read and reviewed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpus"


def shown(data: bytes) -> str:
    """An input as a line of the corpus."""
    return json.dumps(data.decode("latin-1"))


def hidden(line: str) -> bytes:
    """The input that a line of the corpus shows."""
    text: str = json.loads(line)
    return text.encode("latin-1")


def load(name: str) -> list[bytes]:
    """The corpus of a target; empty where there is none."""
    path = FOLDER / f"{name}.txt"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [hidden(line) for line in lines]


def save(name: str, inputs: Iterable[bytes]) -> None:
    """Write the corpus of a target: each input once, short ones first."""
    ordered = sorted(set(inputs), key=lambda data: (len(data), data))
    FOLDER.mkdir(exist_ok=True)
    text = "".join(f"{shown(data)}\n" for data in ordered)
    (FOLDER / f"{name}.txt").write_text(text, "ascii")
