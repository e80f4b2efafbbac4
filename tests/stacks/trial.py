"""One pair measured from outside: a raw socket before it, the simulator behind it.

`observe` starts the process, plays every column and returns what was seen; it judges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finalstop.simulator import CallEnd, SimulatorThread
from tests.adapters.serving import START_S, Server, messages, started
from tests.faults.client import Answer, begin, eventually
from tests.stacks.table import (
    DEPARTURES,
    ENDINGS,
    ENDLESS,
    GONE_S,
    PATIENT,
    SHORT,
    SHUTDOWN,
    TERMS,
    Pair,
)

WORDS = b'data: {"text"'
# Longer than anything that is promised: after that nothing more is expected.
HANG_S = 10.0
DEPARTED_S = 6.0


@dataclass(frozen=True)
class Ending:
    """How one answer ended for its reader. Seconds count from the request."""

    status: int
    reason: str
    body: str
    first_s: float | None
    took_s: float


@dataclass(frozen=True)
class Departure:
    """How long after its client the upstream call was gone; None: not while we looked."""

    left_s: float | None


@dataclass(frozen=True)
class Shutdown:
    """How the two live streams ended, and the process. Seconds count from the signal."""

    short: str
    endless: str
    ended_s: float
    gone_s: float
    exits: int | None


Seen = Ending | Departure | Shutdown
KINDS: dict[str, type[Seen]] = (
    dict.fromkeys(ENDINGS, Ending) | dict.fromkeys(DEPARTURES, Departure) | {SHUTDOWN: Shutdown}
)


def observe(pair: Pair, folder: Path) -> dict[str, Seen]:
    """Start the pair, play every column, end it. Takes about as long as the process to start."""
    name = pair.name.replace(" ", "").replace("/", "-")
    with (
        SimulatorThread() as simulator,
        started(name, pair.command, {"OWN_RELAY": "1"}, simulator.url, folder, **TERMS) as server,
    ):
        return asyncio.run(_columns(pair, server, simulator))


async def _columns(pair: Pair, server: Server, simulator: SimulatorThread) -> dict[str, Seen]:
    warm = await _asked(pair, server, "text")
    assert (await warm.answer(START_S)).status == 200, server.log.read_text()[-2000:]
    endings = {it: _ending(pair, server, row[0]) for it, row in ENDINGS.items()}
    seen = await _together(endings)
    departures = {it: _departure(pair, server, simulator, *row) for it, row in DEPARTURES.items()}
    seen |= await _together(departures)
    return seen | {SHUTDOWN: await _shutdown(pair, server)}


async def _together(trials: Mapping[str, Coroutine[Any, Any, Seen]]) -> dict[str, Seen]:
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(trial) for name, trial in trials.items()}
    return {name: task.result() for name, task in tasks.items()}


async def _asked(pair: Pair, server: Server, script: str, **more: object) -> Any:
    # Of the app that knows both of the SDK's clients, the async one: it can be interrupted.
    said = messages(script, **more) | {"async": True}
    return await begin(server.url, "", path="/stream-claude", headers=pair.headers, **said)


# -- one cell -------------------------------------------------------------------------------------


async def _ending(pair: Pair, server: Server, script: str) -> Ending:
    asked_at = time.monotonic()
    wire = await _asked(pair, server, script)
    first_s = None
    if await _until(wire, WORDS):
        first_s = round(time.monotonic() - asked_at, 3)
    answer = await wire.answer(HANG_S)
    took_s = round(time.monotonic() - asked_at, 3)
    return Ending(answer.status, reason_of(answer), answer.ended, first_s, took_s)


async def _departure(
    pair: Pair, server: Server, simulator: SimulatorThread, script: str, seen: bytes
) -> Departure:
    before = len(simulator.calls)
    wire = await _asked(pair, server, script, limits=PATIENT)
    mine = lambda: [it for it in simulator.calls[before:] if it.spec == script]  # noqa: E731
    await eventually(mine)
    assert await _until(wire, seen), f"{script}: {bytes(wire.data)!r}"
    left_at = wire.leave("fin")
    (call,) = mine()
    try:
        await eventually(lambda: call.ended is not CallEnd.OPEN, DEPARTED_S)
    except TimeoutError:
        return Departure(None)
    assert call.ended is CallEnd.PEER_CLOSED, call
    assert call.ended_at is not None
    return Departure(round(call.ended_at - left_at, 3))


async def _shutdown(pair: Pair, server: Server) -> Shutdown:
    wires = [await _asked(pair, server, script) for script in (SHORT, ENDLESS)]
    for wire in wires:
        assert await _until(wire, WORDS)
    told_at = server.told_to_end()
    short, endless = [await wire.answer(HANG_S) for wire in wires]
    ended_s = round(time.monotonic() - told_at, 3)
    with contextlib.suppress(TimeoutError):
        await eventually(lambda: server.process.poll() is not None, GONE_S + 5.0)
    gone_s = round(time.monotonic() - told_at, 3)
    return Shutdown(end_of(short), end_of(endless), ended_s, gone_s, server.process.poll())


async def _until(wire: Any, token: bytes) -> bool:
    try:
        return bool(await wire.until(token, HANG_S))
    except TimeoutError:
        return False


# -- reading an answer ----------------------------------------------------------------------------


def end_of(answer: Answer) -> str:
    """The reason, where the body ends properly; else "cut" or "hang"."""
    if answer.ended == "whole":
        return reason_of(answer)
    return "hang" if answer.ended == "hang" else "cut"


def reason_of(answer: Answer) -> str:
    """The reason in the last frame, or in the body of an error; "none" where there is none."""
    if not answer.is_stream:
        return str(_said(answer.body).get("finalstop", {}).get("reason", "none"))
    blocks = [block for block in answer.body.decode().split("\n\n") if "data: " in block]
    last = blocks[-1].partition("data: ")[2] if blocks else ""
    return str(_said(last.encode()).get("reason", "none"))


def _said(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
