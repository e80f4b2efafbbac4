"""The run: one simulator, ten servers, one browser; every fault of every relay at once.

Each relay runs twice, by hand and with respond(), as a process of its own. What becomes of a
request is read off the bytes that came; what becomes of its call off the simulator's own record.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from examples.browser import Reply, browser, read
from examples.compare.conditions import (
    DEPARTURES,
    LEFT_S,
    LONG,
    RELAYS,
    SIGTERM,
    SIGTERM_S,
    WINDOW_S,
    Departure,
    Relay,
    Results,
    Side,
    cell_of_departure,
    cell_of_reply,
    cell_of_signal,
)
from examples.faults import FAULTS, Fault
from examples.processes import Program, environment, started
from finalstop.simulator import Call, CallEnd, Simulator

FOLDER: Final = Path(__file__).resolve().parent
MODULES: Final = {Side.BY_HAND: "by_hand", Side.FINALSTOP: "with_finalstop"}
BIND: Final = ("--host", "127.0.0.1", "--port", "0")
SERVERS: Final = {
    "uvicorn": ("uvicorn", *BIND),
    "gunicorn": (
        *("gunicorn", "--bind=127.0.0.1:0", "--worker-class=gthread", "--threads=50"),
        "--no-control-socket",
    ),
}
# An answer of this many words, with this long between two: it takes half a second.
WORDS: Final = 40
PACE_MS: Final = 12
# That everything ends is finalstop's word: it gets the time to break it.
WINDOW_FINALSTOP_S: Final = 25.0
# A server that has bound its port may still be importing.
WARM_S: Final = 120.0
# The simulator holds a hang for longer than anybody here watches.
HOLD_S: Final = 3600
LOOK_S: Final = 0.02
STAGGER_S: Final = 0.4
# No byte for so long, and the upstream is silent; its pace is a hundredth of that.
SILENCE_S: Final = 1.2
SERVERS_COUNT: Final = len(RELAYS) * len(Side)


@dataclass(frozen=True)
class Served:
    """One relay of one side, running."""

    relay: Relay
    side: Side
    program: Program


@dataclass
class Stage:
    """What every question needs."""

    client: aiohttp.ClientSession
    simulator: Simulator
    window_s: float
    results: Results = field(default_factory=Results)
    together: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(SERVERS_COUNT))
    _seeds: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def script(self, spec: str) -> str:
        """The script, marked so that its calls can be told from all others."""
        return f"{spec},seed={next(self._seeds)}"

    async def call_of(self, script: str) -> Call:
        """Wait for the call upstream that plays `script`."""
        calls: list[Call] = []
        while not calls:
            calls = [it for it in self.simulator.calls if it.spec == script]
            await asyncio.sleep(LOOK_S)
        return calls[0]

    async def read(
        self,
        app: Served,
        script: str,
        reply: Reply,
        *,
        on_text: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask `app` for `script` and read all of it; `on_text` is called when there is new text."""
        question = {"role": "user", "content": "Why is the ocean salty?"}
        body = {
            "model": f"sim:{script}",
            "max_tokens": 1000,
            "stream": True,
            "messages": [question],
        }
        mark, texts = app.relay.marks(app.side).text, 0

        def look() -> None:
            nonlocal texts
            before, texts = texts, reply.body.count(mark)
            if texts > before:
                on_text()

        url = f"{app.program.url}/stream-claude"
        await read(self.client, url, reply, on_bytes=look, json=body)


async def run(
    conditions: Mapping[Side, Sequence[str]],
    *,
    window_s: float = WINDOW_S,
) -> Results:
    """Ask each side's conditions of each relay.

    Args:
        conditions: keys of ROWS.
        window_s: an open response without new text for so long is said to hang.

    Raises:
        StartError: a server did not start. Each comes inside an ExceptionGroup.
        TimeoutError: a server started and did not answer, or a client that is to leave saw no text.
    """
    async with Simulator(pace_ms=PACE_MS) as simulator, browser() as client:
        stage = Stage(client, simulator, window_s)
        async with asyncio.TaskGroup() as group:
            for relay in RELAYS:
                for side in Side:
                    group.create_task(_serve(stage, relay, side, conditions[side]))
    return stage.results


async def _serve(stage: Stage, relay: Relay, side: Side, conditions: Sequence[str]) -> None:
    """The life of one server: started, asked all at once, left, told to end, ended."""
    async with _server(stage, relay, side) as program:
        app = Served(relay, side, program)
        async with asyncio.timeout(WARM_S):
            await stage.read(app, stage.script("text"), Reply())
        # One that still starts would take the processor from those that are watched.
        await stage.together.wait()
        faults = [fault for fault in FAULTS if fault.spec in conditions]
        await _all([_ask(stage, app, it, turn=turn) for turn, it in enumerate(faults)])
        await _all([_leave(stage, app, it) for it in DEPARTURES if it.key in conditions])
        if SIGTERM in conditions:
            await _signal(stage, app)
        # Then nothing that hangs may hold up its server's end.
        await stage.together.wait()
        await stage.simulator.stop()


async def _all(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)


def _server(stage: Stage, relay: Relay, side: Side) -> AbstractAsyncContextManager[Program]:
    command = [sys.executable, "-m", *SERVERS[relay.server], f"{MODULES[side]}:app"]
    env = environment(ANTHROPIC_BASE_URL=stage.simulator.url, ANTHROPIC_API_KEY="demo")
    return started(command, env=env, folder=FOLDER / relay.key)


async def _ask(stage: Stage, app: Served, fault: Fault, *, turn: int) -> None:
    # Not all in the same instant: what is watched is the relay, not the machine.
    await asyncio.sleep(STAGGER_S * (turn + RELAYS.index(app.relay) / len(RELAYS)))
    by_hand = app.side is Side.BY_HAND
    window_s = stage.window_s if by_hand else max(stage.window_s, WINDOW_FINALSTOP_S)
    script = stage.script(f"{fault.spec},words={WORDS},hold_s={HOLD_S}")
    reply, loop = Reply(), asyncio.get_running_loop()
    began_at = loop.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(window_s) as patience:
            await stage.read(
                app, script, reply, on_text=lambda: patience.reschedule(loop.time() + window_s)
            )
    after_s = round(loop.time() - began_at, 1)
    cell = cell_of_reply(app.relay, app.side, fault, reply, after_s)
    stage.results.put(fault.spec, app.relay, app.side, cell)


async def _leave(stage: Stage, app: Served, departure: Departure) -> None:
    script = stage.script(f"{departure.spec},hold_s={HOLD_S}")
    reply, text = Reply(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(stage.read(app, script, reply, on_text=text.set))
        async with asyncio.timeout(WARM_S):
            call = await stage.call_of(script)
            if departure.after_text:
                await text.wait()
            if departure.after_silence:
                await _silence(reply)
        left_at = time.monotonic()
        reading.cancel()
    after_s = await _seconds_to_close(call, left_at)
    stage.results.put(departure.key, app.relay, app.side, cell_of_departure(after_s))


async def _silence(reply: Reply) -> None:
    seen = -1
    while seen < len(reply.body):
        seen = len(reply.body)
        await asyncio.sleep(SILENCE_S)


async def _seconds_to_close(call: Call, left_at: float) -> float | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LEFT_S):
            while call.ended is CallEnd.OPEN:  # noqa: ASYNC110 - another program closes it
                await asyncio.sleep(LOOK_S)
    return None if call.ended_at is None else round(call.ended_at - left_at, 1)


async def _signal(stage: Stage, app: Served) -> None:
    script = stage.script(LONG)
    reply, text = Reply(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(stage.read(app, script, reply, on_text=text.set))
        async with asyncio.timeout(WARM_S):
            await text.wait()
        app.program.process.terminate()
        told_at = time.monotonic()
        after_s = None
        with suppress(TimeoutError):
            async with asyncio.timeout(SIGTERM_S):
                await app.program.process.wait()
                after_s = round(time.monotonic() - told_at, 1)
                await asyncio.wait((reading,))
        reading.cancel()
    cell = cell_of_signal(app.relay.marks(app.side), reply, after_s)
    stage.results.put(SIGTERM, app.relay, app.side, cell)
