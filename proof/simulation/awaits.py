"""Fail at every await: golden runs, and each of them again with its N-th point made to fail.

A point is where the world can answer the product with a failure: a task of its own is resumed from
an await; it connects; it writes to a connection; it calls the log. What fails is the real code: the
await raises, the connection breaks or goes silent, the log refuses. However it fails, I1 to I5 and
I7 must hold, and nobody may hang.

    python -m proof.simulation.awaits              all runs, all points, all failures
    python -m proof.simulation.awaits --run 4 --point 17 --failure cancel
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from proof.ledger import Figures, ProofError
from proof.simulation.flow import Manners
from proof.simulation.laws import judge, judge_broken
from proof.simulation.library import LIBRARY, ask_library
from proof.simulation.plan import MESSAGES, PLAIN, Asking, Client, Plan
from proof.simulation.transport import Side
from proof.simulation.world import World, simulate

# Whose tasks are failed: not those of the simulator, nor of the clients.
PRODUCT: Final = ("/src/finalstop/", "/aiohttp/")
NOT_PRODUCT: Final = ("/src/finalstop/simulator/",)

# aiohttp's own round over the requests of a connection. Nobody has a hold of it but the connection,
# whose end is a failure that is tried; each request's handler is a task of its own, and is failed.
LOOPS: Final = "start"

WRONG_SHOWN: Final = 10

SMALL: Final = (Manners(), Manners(window_bytes=200))


class Failure(StrEnum):
    """How a point fails."""

    CANCEL = "cancel"
    OS_ERROR = "OSError"
    TIMEOUT = "timeout"


class Golden(Struct, frozen=True):
    """A run in which nothing is made to fail: one reader of one surface, and what it is told."""

    surface: tuple[str, bool]
    spec: str
    client: Client = "direct"
    more: dict[str, Any] = {}

    @property
    def plan(self) -> Plan:
        """As the world wants it."""
        path, stream = self.surface
        asking = Asking(at_s=0.0, path=path, stream=stream, spec=self.spec, **self.more)
        return Plan(seed=1, askings=(asking,), shuffles=False, client=self.client)


_SPECS: Final = (
    "text,words=4", "tools,words=4,pace_ms=125", "gzip,words=4", "close-delimited,words=4",
    "fin@mid-text,words=4", "rst@mid-text,words=4", "stall@mid-text,words=4",
    "status-529@before-head", "error-overloaded@mid-text,words=4", "never-closed,words=4",
)  # fmt: skip
_STREAM: Final = (MESSAGES, True)
_TEXT: Final = (PLAIN, True)
_SURFACES: Final = (_STREAM, (MESSAGES, False), _TEXT, (LIBRARY, True))
_LONG: Final = "text,words=8,pace_ms=250"

GOLDEN: Final[tuple[Golden, ...]] = (
    *(Golden(surface, spec) for spec in _SPECS for surface in _SURFACES),
    *(Golden(_STREAM, spec, "aiohttp") for spec in _SPECS),
    Golden(_STREAM, _LONG, more={"stop_at_s": 0.5}),
    Golden(_STREAM, _LONG, more={"joins": (0.25, 6.0)}),
    Golden(_STREAM, _LONG, more={"leaves": (0.5, "rst")}),
    Golden(_TEXT, "text,words=8", more={"wire": SMALL, "pauses": (0.0, 0.5)}),
)


class Points:
    """Counts the points of a run, and makes one of them fail.

    Args:
        at: the number of the point that fails, the first being 1; 0 for none.
        failure: how.

    Attributes:
        count: how many there were.
        failed: what failed, for a person; "" if the point cannot fail in this way.
    """

    def __init__(self, at: int, failure: Failure) -> None:
        self.count = 0
        self.failed = ""
        self._at: Final = at
        self._failure: Final = failure
        self._world: World

    def watch(self, world: World) -> None:
        """Count, and fail, in `world`: from now on."""
        self._world = world
        world.loop.before = self._before_callback
        world.loop.network.before_connect = self._before_connect
        world.loop.network.before_write = self._before_write
        world.witness.before_call = self._before_log
        ask_library(world)

    def _is_now(self) -> bool:
        if self._world.is_closing:
            return False
        self.count += 1
        return self.count == self._at

    # -- an await ---------------------------------------------------------------------------------

    def _before_callback(self, handle: Any) -> None:
        task = _task_of(handle)
        if task is None or not _is_product(task) or not self._is_now():
            return
        if self._failure is Failure.CANCEL:
            self.failed = f"{task!r} is cancelled"
            task.cancel()
        elif handle._args:  # noqa: SLF001 - a task's wakeup, with the future that woke it
            # It was woken by a future: another one has failed instead.
            broken: asyncio.Future[None] = self._world.loop.create_future()
            broken.set_exception(self._error())
            broken.exception()
            self.failed = f"{task!r} is woken by {self._error()!r}"
            handle._args = (broken,)  # noqa: SLF001

    # -- a call of the network or the log ---------------------------------------------------------

    def _before_connect(self) -> None:
        if self._is_now():
            self.failed = "connecting"
            raise asyncio.CancelledError if self._failure is Failure.CANCEL else self._error()

    def _before_write(self, side: Side) -> None:
        if not self._is_ours(side) or not self._is_now():
            return
        if self._failure is Failure.OS_ERROR:
            self.failed = f"{side!r} breaks"
            side.rejected()
        elif self._failure is Failure.TIMEOUT:
            self.failed = f"{side!r} goes silent"
            side.vanish()

    def _before_log(self, name: str) -> None:
        if self._is_now() and self._failure is Failure.OS_ERROR:
            self.failed = f"the log's {name}"
            raise self._error()

    def _is_ours(self, side: Side) -> bool:
        """Whether the product writes to it: as a server, or as a client of the upstream."""
        port = self._world.gateway_port
        own, peer = (side.get_extra_info(name)[1] for name in ("sockname", "peername"))
        return bool(own == port or (peer != port and side.out.name.endswith(">")))

    def _error(self) -> OSError:
        if self._failure is Failure.TIMEOUT:
            return TimeoutError(errno.ETIMEDOUT, "the proof says so")
        return OSError(errno.EIO, "the proof says so")


def _task_of(handle: Any) -> asyncio.Task[Any] | None:
    callback = handle._callback  # noqa: SLF001 - it is asyncio's, and says nothing of itself
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return owner if "wakeup" in repr(callback) else None
    if type(callback).__name__ == "TaskStepMethWrapper":
        # It tells nobody whose step it is, but the collector.
        return next(it for it in gc.get_referents(callback) if isinstance(it, asyncio.Task))
    return None


def _is_product(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    where = getattr(code, "co_filename", "")
    if getattr(code, "co_qualname", getattr(code, "co_name", "")).endswith(LOOPS):
        return False
    return any(it in where for it in PRODUCT) and not any(it in where for it in NOT_PRODUCT)


# -- the sweep ------------------------------------------------------------------------------------


class Sweep(Struct):
    """What came of some golden runs.

    Args:
        runs: how many golden runs.
        points: their points.
        failures: runs with a point that failed, by failure.
        reasons: how their streams ended.
        wrong: complaints, with the command that shows them.
    """

    runs: int = 0
    points: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = []

    def add(self, other: Sweep) -> None:
        """Add what came of others."""
        self.runs += other.runs
        self.points += other.points
        self.failures.update(other.failures)
        self.reasons.update(other.reasons)
        self.wrong += other.wrong


def sweep(number: int, *, step: int = 1) -> Sweep:
    """One golden run, and again for every `step`-th point and every failure."""
    golden = GOLDEN[number]
    points, world = run_with(golden, 0, Failure.CANCEL)
    found = Sweep(runs=1, points=points.count)
    found.wrong += [f"golden run {number}: {line}" for line in judge(world)]
    for at in range(1, points.count + 1, step):
        for failure in Failure:
            failed, world = run_with(golden, at, failure)
            if not failed.failed:
                continue
            found.failures[failure.value] += 1
            found.reasons.update(_reasons(world))
            found.wrong += [
                f"{line}\n    {failed.failed}\n    {command_of(number, at, failure)}"
                for line in judge_broken(world)
            ]
    return found


def run_with(golden: Golden, at: int, failure: Failure) -> tuple[Points, World]:
    """A golden run with one point made to fail; its points, and what happened."""
    points = Points(at, failure)
    return points, simulate(golden.plan, points.watch)


def _reasons(world: World) -> Iterator[str]:
    for story in world.stories:
        yield story.ended.receipt.reason.value if story.ended else "none"


def command_of(run: int, point: int, failure: Failure) -> str:
    """What a person types to see one failure again."""
    what = f"--run {run} --point {point} --failure {failure.value}"
    return f"python -m proof.simulation.awaits {what}"


def show(run: int, point: int, failure: Failure) -> None:
    """Print everything that happens when one point fails."""
    points, world = run_with(GOLDEN[run], point, failure)
    print(GOLDEN[run], f"point {point} of {points.count}: {points.failed}", sep="\n")
    for row in world.loop.network.record:
        print(*row)
    for story in world.stories:
        print(story.ended and story.ended.receipt)
    print(*(judge_broken(world) or ["nothing is wrong"]), sep="\n")


def main(argv: Sequence[str]) -> Figures:
    """Fail at every await of every golden run; return the counts.

    Raises:
        ProofError: a law was broken; the message names a command that shows it.
    """
    parser = argparse.ArgumentParser(prog="python -m proof.simulation.awaits")
    parser.add_argument("--run", type=int, default=0)
    parser.add_argument("--point", type=int)
    parser.add_argument("--failure", type=Failure, choices=list(Failure), default=Failure.CANCEL)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    if options.point is not None:
        show(options.run, options.point, options.failure)
        return {}
    total = Sweep()
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(sweep, range(len(GOLDEN))):
            total.add(found)
    if total.wrong:
        said = "".join(f"\n  {line}" for line in total.wrong[:WRONG_SHOWN])
        raise ProofError(f"{len(total.wrong)} complaints:{said}")
    return figures_of(total)


def figures_of(total: Sweep) -> Figures:
    """The figures of a sweep."""
    return {
        "golden runs": total.runs,
        "points": total.points,
        "runs with a failure": sum(total.failures.values()),
        "violations": len(total.wrong),
        "failures": [
            {"failure": name, "runs": runs} for name, runs in sorted(total.failures.items())
        ],
        "ends": [{"reason": name, "streams": many} for name, many in total.reasons.most_common()],
    }


if __name__ == "__main__":
    for name, figure in main(sys.argv[1:]).items():
        print(f"{name}: {figure}")
