"""`make soak ARGS="--seconds 600"`: visits without a pause, and an empty house at the end.

A gateway process and a simulator, over sockets of this machine. So many clients come again and
again, and every few seconds a burst of others at once. The long form, from five minutes on, also
judges the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec import Struct, field

from finalstop.simulator import Simulator
from proof.ledger import Figures, ProofError
from proof.soak import judge
from proof.soak.judge import Holdings, Seen
from proof.soak.plan import LIMITS, Act, Visit, visit_of
from proof.soak.process import holdings_of
from proof.soak.visits import Field
from tests.faults.client import get
from tests.gateway.process import GatewayProcess, gateway_process

SECONDS: Final = 60.0
CLIENTS: Final = 24
BURST: Final = 30
BURST_EVERY_S: Final = 5.0
SAMPLE_S: Final = 0.5
# From here on the memory is judged: before, what is measured is the warm-up.
LONG_S: Final = 300.0
# For what is retained, and what is closing, before the house is looked at.
SETTLED_S: Final = 10.0
SHOWN_BYTES: Final = 1500
SHOWN_MAX: Final = 5


NOTHING: Final = Holdings({}, 0)


class Tally(Struct):
    """What a soak came to."""

    seed: int
    visits: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    acts: Counter[Act] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    nameless: int = 0
    named: set[str] = field(default_factory=set)
    stalled: int = 0
    stalled_s: float = 0.0
    before: Holdings = NOTHING
    after: Holdings = NOTHING


def main(argv: Sequence[str]) -> Figures:
    """The part `soak` of the proof.

    Raises:
        ProofError: a violation; the message has the seed and what was seen on the wire.
    """
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    asked = parser.parse_args(argv)
    # The simulator writes to clients that have gone, on purpose; asyncio has a line for each time.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return asyncio.run(soak(seconds=asked.seconds, seed=asked.seed, clients=asked.clients))


async def soak(*, seconds: float, seed: int, clients: int = CLIENTS) -> Figures:
    """Soak for so long, and judge.

    Raises:
        ProofError: a violation.
    """
    tally = Tally(seed)
    with TemporaryDirectory() as folder:
        async with Simulator(require_key=False) as warm:
            port = int(warm.url.rpartition(":")[2])
            async with gateway_process(Path(folder), warm.url, **LIMITS) as gateway:
                await _warm_up(Field(gateway, warm), clients, seed)
                await warm.stop()
                tally.before = await _at_rest(gateway)
                began = time.monotonic()
                field = await _soaked(gateway, port, tally, seconds=seconds, clients=clients)
                await _close(gateway, field, tally, long=seconds >= LONG_S)
    if tally.wrong:
        shown = "\n".join(tally.wrong[:SHOWN_MAX])
        raise ProofError(f"seed {seed}: {len(tally.wrong)} violations\n{shown}")
    return _figures(tally, time.monotonic() - began)


async def _warm_up(field: Field, clients: int, seed: int) -> None:
    """Whatever is opened on first use is open now, and counts as held before."""
    async with _watched(field), asyncio.TaskGroup() as group:
        for number in range(1, clients + 1):
            group.create_task(field.visit(visit_of(seed, -number)))


async def _soaked(
    gateway: GatewayProcess, port: int, tally: Tally, *, seconds: float, clients: int
) -> Field:
    async with Simulator(port=port, require_key=False) as simulator:
        field = Field(gateway, simulator)
        field.skip()
        numbers = count(1)
        until = time.monotonic() + seconds
        async with _watched(field), asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(_client(field, tally, numbers, until))
            group.create_task(_sample(gateway, tally, until))
            while time.monotonic() + BURST_EVERY_S < until:
                await asyncio.sleep(BURST_EVERY_S)
                for _ in range(BURST):
                    group.create_task(_visit(field, tally, visit_of(tally.seed, next(numbers))))
        return field


@asynccontextmanager
async def _watched(field: Field) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(field.watch())
        try:
            yield
        finally:
            watch.cancel()
    field.look()


async def _client(field: Field, tally: Tally, numbers: Any, until: float) -> None:
    while time.monotonic() < until:
        await _visit(field, tally, visit_of(tally.seed, next(numbers)))


async def _visit(field: Field, tally: Tally, visit: Visit) -> None:
    seen = await field.visit(visit)
    found = judge.of_visit(visit, seen)
    tally.visits += 1
    tally.acts[visit.act] += 1
    tally.stalled += seen.stalled_s > judge.STALL_S
    if seen.receipt is None:
        tally.nameless += 1
    else:
        tally.named.add(seen.receipt["stream"])
    tally.wrong += [f"{line}\n{transcript(tally.seed, visit, seen)}" for line in found]
    field.forget(visit)


def transcript(seed: int, visit: Visit, seen: Seen) -> str:
    """All that is known of a visit, for a person."""
    wire = seen.answer.wire
    shown = wire if len(wire) <= 2 * SHOWN_BYTES else wire[:SHOWN_BYTES] + wire[-SHOWN_BYTES:]
    return (
        f"  seed {seed}, {visit}\n  receipt {seen.receipt}, {seen.ends} ends\n"
        f"  asked {seen.asked_at:.3f}, left {seen.left_at}, ended {seen.ended_at},"
        f" upstream over {seen.upstream_over_at}, stalled {seen.stalled_s:.2f} s\n"
        f"  {len(wire)} bytes: {shown!r}"
    )


async def _sample(gateway: GatewayProcess, tally: Tally, until: float) -> None:
    while time.monotonic() < until:
        tally.memory.append((time.monotonic(), gateway.rss_bytes()))
        await asyncio.sleep(SAMPLE_S)


async def _at_rest(gateway: GatewayProcess) -> Holdings:
    """What it holds once that does not change any more."""
    held = holdings_of(gateway.process.pid)
    until = time.monotonic() + SETTLED_S
    steady_since = time.monotonic()
    while time.monotonic() < until and time.monotonic() - steady_since < 2 * LIMITS["retention_s"]:
        await asyncio.sleep(0.1)
        now = holdings_of(gateway.process.pid)
        if now != held:
            held, steady_since = now, time.monotonic()
    return held


async def _close(gateway: GatewayProcess, field: Field, tally: Tally, *, long: bool) -> None:
    """Look at the empty house, end it, and judge what is about the whole of it."""
    tally.after = await _at_rest(gateway)
    ready = (await get(gateway.url, "/readyz")).json  # type: ignore[no-untyped-call]
    gateway.process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_S):
            await gateway.process.wait()
    status = gateway.process.returncode
    tally.wrong += judge.of_rest(
        tally.before,
        tally.after,
        live_streams=ready["live_streams"],
        exit_status=1 if status is None else status,
    )
    tally.wrong += [f"bug: the gateway's log says {line}" for line in field.alarms]
    tally.stalled_s = field.stalled_s
    tally.reasons.update(ends[0][1]["reason"] for ends in field.ends.values())
    tally.wrong += of_nameless(tally, field.ends)
    if long:
        tally.wrong += judge.of_slope(tally.memory)


def of_nameless(tally: Tally, ends: dict[str, list[tuple[float, dict[str, Any]]]]) -> list[str]:
    """Streams whose clients left before they heard of an id: each ends once, and is somebody's."""
    found = [
        f"double: {len(lines)} ends of {stream}" for stream, lines in ends.items() if len(lines) > 1
    ]
    unknown = len(set(ends) - tally.named)
    if unknown > tally.nameless:
        found.append(f"streams: {unknown} ended of {tally.nameless} that nobody heard the id of")
    return found


def _figures(tally: Tally, took_s: float) -> Figures:
    # Memory goes up and down with what is under way: in a short run a slope says nothing.
    slope = {"memory slope after the warm-up, MB in 10 min": round(judge.slope_mb(tally.memory), 2)}
    return {
        "seed": tally.seed,
        "seconds": round(took_s),
        "visits": tally.visits,
        "streams ended": sum(tally.reasons.values()),
        "violations": len(tally.wrong),
        "seconds without a turn on the processor": round(tally.stalled_s, 1),
        "visits judged as stalled": tally.stalled,
        "descriptors before": tally.before.total,
        "descriptors after": tally.after.total,
        "threads before": tally.before.threads,
        "threads after": tally.after.threads,
        "memory at the end, MB": round(tally.memory[-1][1] / 1e6, 1),
        **(slope if took_s >= LONG_S else {}),
        "clients": [
            {"what they do": act.value, "visits": it} for act, it in tally.acts.most_common()
        ],
        "ends": [{"reason": why, "streams": it} for why, it in tally.reasons.most_common()],
    }
