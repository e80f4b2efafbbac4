"""The generated parts of docs/reference/findings.md: from the one table, and from the diffs."""

from __future__ import annotations

from collections.abc import Iterator

from finalstop.doctor.dialects import DIALECTS
from finalstop.doctor.finding import Kind, Level
from finalstop.doctor.findings import KINDS
from finalstop.doctor.fixes import remedies
from finalstop.doctor.fixes_words import FIX_WORDS


def findings_markdown() -> str:
    """A section for each finding, in the order in which they are reported."""
    return "\n\n".join(_section(kind) for level in Level for kind in KINDS if kind.level is level)


def findings_index_markdown() -> str:
    """The names with their levels, and what hides what."""
    rows = ["| finding | level | needs the simulator | not reported beside |", "|---|---|---|---|"]
    rows += [
        f"| [{it.name}](#{it.name}) | {it.level} | {'yes' if it.simulated else 'no'} |"
        f" {', '.join(it.hidden_by)} |"
        for level in Level
        for it in KINDS
        if it.level is level
    ]
    return "\n".join(rows)


def dialects_markdown() -> str:
    """The dialects with their terminals."""
    rows = ["| dialect | the answer is whole | the answer failed |", "|---|---|---|"]
    rows += [f"| {it.name} | {it.success} | {it.failure} |" for it in DIALECTS[:-1]]
    return "\n".join(rows)


def remedies_markdown() -> str:
    """Every stack with the diffs there are for it."""
    stacks: dict[str, list[str]] = {}
    for stack, cure in remedies():
        stacks.setdefault(stack, []).append(cure)
    rows = ["| stack | diffs |", "|---|---|"]
    return "\n".join(
        rows + [f"| {stack} | {', '.join(cures)} |" for stack, cures in stacks.items()]
    )


def _section(kind: Kind) -> str:
    return "\n".join(_lines(kind))


def _lines(kind: Kind) -> Iterator[str]:
    yield f"### {kind.name}"
    yield ""
    yield f"**{kind.level}**: {kind.title}."
    yield ""
    yield f"- Why: {kind.why}."
    yield f"- Hurts: {kind.hurts}."
    yield f"- Fix: {FIX_WORDS[kind.name]}"
