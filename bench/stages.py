"""Where the microseconds of the push chain go, by room: `python -m bench chain`.

A profiler says how the time divides, a run without it says how much there is. Sockets, the event
loop and the kernel are not in it: the runs of the benchmark show those.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bench.hot_path import DELTA, EVENTS, ROUNDS, bare, relayed

WIRE_FORMAT: Final = "anthropic"

# What a path below src/finalstop/ ends with, and the stage that it is of; the first that fits.
STAGES: Final[tuple[tuple[str, str], ...]] = (
    ("wire/frames.py", "encoder"),
    ("wire/sse.py:encode", "encoder"),  # as earlier versions have it, which are measured, too
    ("wire/sse.py", "parser"),
    ("wire/anthropic.py:encode", "encoder"),
    ("wire/anthropic.py", "decoder"),
    ("wire/text.py", "encoder"),
    ("core/events.py", "decoder"),
    ("core/", "lifecycle"),
    ("log/", "log"),
    ("runtime/viewer.py", "viewer and write"),
    ("runtime/", "producer and intake"),
)
ORDER: Final = (
    "parser", "decoder", "producer and intake", "lifecycle", "log", "viewer and write", "encoder",
    "beside",
)  # fmt: skip


def stage_of(function: str) -> str:
    """The stage of a function, given as `room/module.py:name`."""
    for start, stage in STAGES:
        if function.startswith(start):
            return stage
    return "beside"


def divided(times_s: Iterable[tuple[str, float]], total_us: float) -> dict[str, float]:
    """Microseconds per stage: the profiler's shares of what the whole takes without it.

    Args:
        times_s: each function's own time under the profiler.
        total_us: per event, without the profiler.
    """
    seen: Counter[str] = Counter()
    for function, own_s in times_s:
        seen[stage_of(function)] += own_s  # type: ignore[assignment]  # Counter takes any number
    whole = sum(seen.values()) or 1.0
    return {stage: seen[stage] / whole * total_us for stage in ORDER if seen[stage]}


def profile() -> Mapping[str, float]:
    """CPU microseconds per event and stage, the total and the bare cut-and-write beside them."""
    chunks = [DELTA] * EVENTS
    totals = [asyncio.run(relayed(chunks, WIRE_FORMAT)) for _ in range(ROUNDS)]
    floors = [bare(chunks) for _ in range(ROUNDS)]
    profiler = cProfile.Profile()
    asyncio.run(relayed(chunks, WIRE_FORMAT, profiler))
    total_us = statistics.median(totals)
    stages = divided(_own_times(profiler), total_us)
    return {**stages, "total": total_us, "bare": statistics.median(floors)}


def _own_times(profiler: cProfile.Profile) -> Iterable[tuple[str, float]]:
    """Each function's own time; that of a builtin goes to whoever called it."""
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # documented, not typed
    for (path, _, name), (_, _, own_s, _, callers) in stats.items():
        if path.startswith("~"):
            for (caller_path, _, caller), (_, _, share_s, _) in callers.items():
                yield _named(caller_path, caller), share_s
        else:
            yield _named(path, name), own_s


def _named(path: str, name: str) -> str:
    _, found, below = Path(path).as_posix().rpartition("finalstop/")
    return f"{below}:{name}" if found else "beside"
