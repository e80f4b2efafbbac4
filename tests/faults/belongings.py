"""What a process holds: tasks, descriptors, timers. Compared before and after, for leaks."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Belongings:
    """Names of tasks and of open files, and what the timers will call."""

    tasks: tuple[str, ...]
    files: tuple[str, ...]
    timers: tuple[str, ...]


LOOK_S = 0.02


def belongings():
    """What is held now. uvloop does not show its timers: there they count as none."""
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    timers = [repr(it._callback) for it in getattr(loop, "_scheduled", ()) if not it.cancelled()]
    return Belongings(
        tuple(sorted(map(repr, others))), tuple(sorted(_files())), tuple(sorted(timers))
    )


def _files():
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 # links, some gone by now
        try:
            yield os.readlink(f"/proc/self/fd/{number}").partition(":")[0]  # noqa: PTH115
        except FileNotFoundError:
            continue


async def leaks(before, within_s=2.0):
    """What is held beyond `before`, once it has had a moment to go; an empty list is right."""
    for _ in range(int(within_s / LOOK_S)):
        if not (found := _beyond(before, belongings())):
            break
        # No timeout around it: that would be a timer of our own.
        await asyncio.sleep(LOOK_S)
    return found


def _beyond(before, now):
    found = [f"task {task}" for task in (Counter(now.tasks) - Counter(before.tasks))]
    found += [f"file {file}" for file in (Counter(now.files) - Counter(before.files)).elements()]
    extra = Counter(now.timers) - Counter(before.timers)
    return found + [f"timer {timer}" for timer in extra.elements()]
