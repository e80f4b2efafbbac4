"""Judges a soak: one visit by what was seen of it, and the process by what it holds at the end.

Pure: facts in, complaints out. It uses the judge of tests/faults, which reads the wire by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from proof.soak.plan import LEAVES, LIMITS, Act, Visit
from tests.faults.client import Answer
from tests.faults.table import Cell
from tests.faults.verdict import complaints

# Within 1 s of the terminal, says I7. The rest is what a busy machine adds: two processes and this
# one on two cores, and a log line that is read when its reader's turn comes.
LET_GO_S: Final = 1.0
SLACK_S: Final = 1.5

# The simulator lives in the process that judges. Where the machine gave that no turn for as long as
# this, the upstream was silent in truth, and an ending that says so is the right one.
STALL_S: Final = 1.0
SILENCES: Final = {"first_content_timeout", "idle_timeout", "unreachable"}

# The long form's bound: after the warm-up the memory grows by no more.
SLOPE_MAX_MB: Final = 1.0
SLOPE_PER_S: Final = 600.0
WARM_UP: Final = 1 / 3  # of the samples


class Seen(Struct, kw_only=True):
    """What was seen of one visit; instants are monotonic seconds, None for what never was.

    Args:
        answer: all that the client got.
        asked_at: when it asked.
        left_at: when it left before the end.
        receipt: the gateway's, from its log line.
        ended_at: when that line was read.
        ends: how many such lines there were.
        upstream_asked: whether the simulator saw the request.
        upstream_over_at: when the call was over for the simulator.
        stalled_s: for how long, in all, this process itself had no turn on its processor.
    """

    answer: Answer
    asked_at: float
    left_at: float | None = None
    receipt: dict[str, Any] | None = None
    ended_at: float | None = None
    ends: int = 0
    upstream_asked: bool = False
    upstream_over_at: float | None = None
    stalled_s: float = 0.0


class Holdings(Struct, frozen=True):
    """What a process holds: open descriptors by what they are, and threads."""

    files: dict[str, int]
    threads: int

    @property
    def total(self) -> int:
        """Descriptors in all."""
        return sum(self.files.values())


def of_visit(visit: Visit, seen: Seen) -> list[str]:
    """What is wrong with a visit; nothing means that the promise was kept."""
    return [*_of_answer(visit, seen), *_of_end(visit, seen), *_of_upstream(seen)]


def _of_answer(visit: Visit, seen: Seen) -> list[str]:
    answer, receipt = seen.answer, seen.receipt
    if visit.act in LEAVES and seen.left_at is not None:
        return []  # who left is owed nothing; what it got was cut by itself
    if answer.ended == "hang":
        return ["hang: no end of the body in time"]
    if visit.act is Act.READS_NOTHING and answer.ended != "whole":
        return []  # it was cut, as `write_s` says; its stream is judged by its end
    if receipt is None:
        return [f"terminal: the gateway told of no end; the client got {answer.status}"]
    found: list[str] = complaints(  # type: ignore[no-untyped-call]
        answer, Cell(receipt["reason"], answer.status), visit.path, receipt
    )
    return found + _of_status(visit, seen)


def _of_status(visit: Visit, seen: Seen) -> list[str]:
    """The status of the table, or 200 where the commit window was over before it could be known."""
    assert seen.receipt is not None
    status, wanted = seen.answer.status, visit.cell.status
    if seen.receipt["reason"] != visit.cell.reason or wanted in {None, status}:
        return []
    head_s = seen.answer.reads[0][0] - seen.asked_at if seen.answer.reads else 0.0
    if status == 200 and head_s >= LIMITS["commit_s"] * 0.9:
        return []
    return [f"status: {status}, not {wanted}, after {head_s:.2f} s"]


def _of_end(visit: Visit, seen: Seen) -> list[str]:
    if seen.receipt is None:
        return []
    found = [] if seen.ends == 1 else [f"double: the gateway told of {seen.ends} ends"]
    reasons = visit.reasons | (SILENCES if seen.stalled_s > STALL_S else set())
    if seen.receipt["reason"] not in reasons:
        allowed = " or ".join(sorted(visit.reasons))
        found.append(f"reason: {seen.receipt['reason']}, not {allowed}")
    if seen.receipt["reason"] == "internal_error":
        found.append(f"bug: {seen.receipt['detail']}")
    return found


def _of_upstream(seen: Seen) -> list[str]:
    """I7: closed, or clean and idle, in time after the terminal; or after the client's leaving."""
    over_at = seen.ended_at if seen.ended_at is not None else seen.left_at
    if not seen.upstream_asked or over_at is None:
        return []
    if seen.upstream_over_at is None:
        return ["upstream: its connection is neither closed nor idle"]
    late_s = seen.upstream_over_at - over_at - LET_GO_S - 2 * seen.stalled_s
    return [f"upstream: let go {late_s:.2f} s too late"] if late_s > SLACK_S else []


def of_rest(before: Holdings, after: Holdings, *, live_streams: int, exit_status: int) -> list[str]:
    """What a process that has nothing to do any more must not hold, and how it must go."""
    found = []
    kinds = sorted(before.files | after.files)
    more = {kind: after.files.get(kind, 0) - before.files.get(kind, 0) for kind in kinds}
    found += [f"leak: {count} more of {kind}" for kind, count in more.items() if count > 0]
    if after.threads > before.threads:
        found.append(f"leak: {after.threads - before.threads} threads more")
    if live_streams:
        found.append(f"leak: {live_streams} streams live")
    if exit_status:
        found.append(f"exit: status {exit_status} after SIGTERM")
    return found


def slope_mb(samples: Sequence[tuple[float, int]]) -> float:
    """By how many MB the memory grows in ten minutes: least squares, after the warm-up."""
    kept = samples[int(len(samples) * WARM_UP) :]
    if len(kept) < 3:
        return 0.0
    mean_at = sum(at for at, _ in kept) / len(kept)
    mean_bytes = sum(size for _, size in kept) / len(kept)
    spread = sum((at - mean_at) ** 2 for at, _ in kept)
    rise = sum((at - mean_at) * (size - mean_bytes) for at, size in kept)
    return rise / spread * SLOPE_PER_S / 1e6 if spread else 0.0


def of_slope(samples: Sequence[tuple[float, int]]) -> list[str]:
    """What is wrong with the memory over the length of a long soak."""
    slope = slope_mb(samples)
    if slope <= SLOPE_MAX_MB:
        return []
    return [f"memory: it grows by {slope:.2f} MB in ten minutes; {SLOPE_MAX_MB:g} is allowed"]
