"""Many runs to one figure: the median, with the span beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A median over rounds, and the least and the most there was."""

    median: float
    least: float
    most: float
    rounds: int

    def text(self, digits: int = 1) -> str:
        """As in a table: `16.1 (15.8..16.9)`; one round has no span."""
        middle = f"{self.median:,.{digits}f}"
        if self.rounds == 1:
            return middle
        return f"{middle} ({self.least:,.{digits}f}..{self.most:,.{digits}f})"


def figure_of(values: Iterable[float]) -> Figure:
    """The figure of some rounds.

    Raises:
        ValueError: there are none.
    """
    seen = list(values)
    if not seen:
        raise ValueError("a figure needs at least one round")
    return Figure(statistics.median(seen), min(seen), max(seen), len(seen))


def rotated(them: Sequence[str], by: int) -> list[str]:
    """The order of a round: each subject is first, second... equally often."""
    if not them:
        return []
    start = by % len(them)
    return [*them[start:], *them[:start]]
