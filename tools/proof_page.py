"""The page of proof: what each part found when it last ran, and the bugs it brought up.

It reads proof/figures.json and proof/bugs.toml, and measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proof.__main__ import PARTS
from proof.ledger import Figure, Scalar, bugs, read


def proof_markdown() -> str:
    """A section for each part that was run, in the order in which they run."""
    ledger = read()
    sections = [section(name, says, ledger[name]) for name, (_, says) in PARTS.items()
                if name in ledger]  # fmt: skip
    return "\n\n".join(sections) or "No part has been run yet: `make prove`."


def section(name: str, says: str, entry: Mapping[str, Any]) -> str:
    """One part: its command, its figures, its tables."""
    figures: Mapping[str, Figure] = entry["figures"]
    scalars = [{"figure": k, "value": v} for k, v in figures.items() if isinstance(v, Scalar)]
    tables = [(k, v) for k, v in figures.items() if not isinstance(v, Scalar) and v]
    source = entry.get("src", "unknown")  # older figures do not say
    run = f"`{entry['command']}`, {entry['date']}, Python {entry['python']}, src {source}"
    parts = [f"### {name}", f"{sentence(says)} {run}.", table(scalars)]
    return "\n\n".join(parts + [f"{sentence(k)[:-1]}:\n\n{table(rows)}" for k, rows in tables])


def bugs_markdown() -> str:
    """A row for each bug that proof has found."""
    names = {"what": "what", "found_by": "found by", "shown_by": "shown by", "mended": "mended"}
    return table([{names[key]: row[key] for key in names} for row in bugs()])


def table(rows: Sequence[Mapping[str, Scalar]]) -> str:
    """Rows of the same columns as Markdown; "none" if there are none."""
    if not rows:
        return "none"
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(cell(row[head]) for head in heads)} |" for row in rows]
    return "\n".join(lines)


def cell(value: Scalar) -> str:
    """A value as it stands in a cell; large numbers with their thousands apart."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def sentence(text: str) -> str:
    """A phrase as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."
