"""The state diagram of a stream, drawn from the table that runs."""

from __future__ import annotations

from finalstop.core.transitions import TRANSITIONS, Phase


def lifecycle_markdown() -> str:
    """The table as a Mermaid diagram and as rows."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.WAITING}"]
    for phase, moves in TRANSITIONS.items():
        for target in Phase:
            names = [move.value for move, to in moves.items() if to is target]
            lines += [f"    {phase} --> {target} : {name}" for name in names]
        if phase is not Phase.ENDED:
            lines.append(f"    {phase} --> {Phase.ENDED} : every other end reason")
    lines += [f"    {Phase.ENDED} --> [*]", "```", ""]
    lines += ["| while | may come | then |", "|---|---|---|"]
    for phase, moves in TRANSITIONS.items():
        for move, target in moves.items():
            lines.append(f"| {phase} | {move} | {target} |")
    lines += ["", "What is not in the table ends the stream `upstream_invalid`."]
    return "\n".join(lines)
