"""The table of the endpoints that the doctor is tested on, as their last round found them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent.parent / "tests" / "doctor" / "endpoints"
VERDICTS: Final = FOLDER / "verdicts.json"


def sick_markdown() -> str:
    """Each sick endpoint: its stack and mistake, the cause that must be named, what else was."""
    columns = ("endpoint", "what it is", "causes that must be named", "found besides")
    return _head(*columns) + "\n".join(_sick_row(name, row) for name, row in _rows("sick"))


def healthy_markdown() -> str:
    """Each healthy endpoint, and the warnings made all the same."""
    return _head("endpoint", "what it is", "problems", "warnings") + "\n".join(
        _healthy_row(name, row) for name, row in _rows("healthy")
    )


def versions_markdown() -> str:
    """What the endpoints stood on in that round."""
    versions: dict[str, str] = _verdicts()["versions"]
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _head(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"


def _verdicts() -> dict[str, Any]:
    return dict(json.loads(VERDICTS.read_text("utf-8")))


def _rows(kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = _verdicts()["endpoints"].items()
    return [(name, row) for name, row in rows if row["kind"] == kind]


def _sick_row(name: str, row: dict[str, Any]) -> str:
    besides = [it for it in row["problems"] + row["warnings"] if it not in row["causes"]]
    return f"| {_link(name, row)} | {row['what']} | {_names(row['causes'])} | {_names(besides)} |"


def _healthy_row(name: str, row: dict[str, Any]) -> str:
    found = f"{_names(row['problems'])} | {_names(row['warnings'])}"
    return f"| {_link(name, row)} | {row['what']} | {found} |"


def _link(name: str, row: dict[str, Any]) -> str:
    return f"[{name}](../../tests/doctor/endpoints/{row['kind']}/{name})"


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
