"""What is about to be done is said before it is done: to whom, is the caller's business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is about to be done, and for how many seconds at most; 0: merely said."""

    says: str
    at_most_s: float = 0.0


Announce = Callable[[Notice], None]


class DoctorError(Exception):
    """The endpoint cannot be examined; the message says what was wrong and what to do."""


def in_silence(notice: Notice) -> None:
    """Announce to nobody."""
    del notice
