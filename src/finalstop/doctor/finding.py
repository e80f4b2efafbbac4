"""What a finding is: a name, what was seen, why it happens, who it hurts, what to change.

Only the shapes. The table is in `findings`, the eyes are in `findings_*`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from finalstop.doctor.chart import Chart


class Level(StrEnum):
    """How bad it is. Only a problem fails `--ci`."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


class Cure(StrEnum):
    """What kind of change it takes; `fixes` has the words and, for the stacks it knows, diffs."""

    HANDLER = "handler"  # the relay's own loop: timers, terminals, errors, departure, SIGTERM
    BUFFERING = "buffering"
    COMPRESSION = "compression"
    IDLE_LIMIT = "idle-limit"
    FRAMING = "framing"
    CONTENT_TYPE = "content-type"
    ROUTES = "routes"  # HEAD, OPTIONS, GET after the end
    REACH = "reach"  # address, status: nothing of the stream


@dataclass(frozen=True, slots=True)
class Seen:
    """Evidence: sentences with times and bytes. `level` and `title` where not the table's."""

    evidence: tuple[str, ...]
    level: Level | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """What to change. `diff` is a unified diff, empty where there are words only.

    `stack` says for what the diff is written; `yours`: it applies to the file it names, as it was
    read; otherwise it is made for the program that everyone writes.
    """

    words: str
    diff: str = ""
    stack: str = ""
    yours: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    name: str
    level: Level
    title: str
    evidence: tuple[str, ...]
    why: str
    hurts: str
    fix: Fix


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table.

    `hidden_by`: not reported beside any of these, being their consequence. `gated`: judged only if
    the endpoint gives a whole answer when nothing is wrong upstream. `simulated`: needs the
    simulator.
    """

    name: str
    level: Level
    title: str
    why: str
    hurts: str
    cure: Cure
    look: Callable[[Chart], Seen | None]
    hidden_by: tuple[str, ...] = ()
    gated: bool = False
    simulated: bool = False
