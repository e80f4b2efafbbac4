"""The run: a simulator, a gateway before it, the Express app before each; and one browser.

The same handler runs four times: with two releases of the SDK, pointed at the simulator and
pointed at the gateway. All faults are asked of all four at once.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from examples.browser import End, Reply, browser, read
from examples.express.cases import SDKS, Result, Route, Seen, result_of
from examples.faults import Fault
from examples.processes import Program, environment, started
from tools.node import install, node

FOLDER: Final = Path(__file__).resolve().parent
# Short, so that the demo is: the defaults wait 300 s for the first content and 120 s between two.
GATEWAY_LIMITS: Final = {"first_content_s": 1, "idle_s": 1}
# An answer of this many words, with this long between two: it takes half a second.
WORDS: Final = 40
PACE_MS: Final = 12
# A response that is open and silent for so long is said to hang. The longest honest silence is
# that of the SDK's three attempts at a 429, about 2.5 s.
WAIT_S: Final = 4.0
# That everything ends is finalstop's word: it gets the time to break it.
WAIT_FINALSTOP_S: Final = 25.0
# The handler prints just before or after it ends the response.
PRINTED_S: Final = 5.0
END: Final = b'data: {"event":"end"}\n\n'
TEXT: Final = b'data: {"text":'


@dataclass(frozen=True)
class App:
    """One running copy of the handler."""

    sdk: str
    route: Route
    program: Program


async def run(faults: Sequence[Fault], *, wait_s: float = WAIT_S) -> list[Result]:
    """Ask every fault of every app, all at once; the results come in the order of the rows.

    Raises:
        NodeError: Node or its packages cannot be had.
        StartError: a program did not start. Either may come inside an ExceptionGroup.
    """
    async with AsyncExitStack() as house:
        apps = await _open(house)
        client = await house.enter_async_context(browser())
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(_ask(client, app, fault, wait_s=wait_s))
                for fault in faults
                for app in apps
            ]
        return [task.result() for task in asked]


async def _open(house: AsyncExitStack) -> list[App]:
    await asyncio.to_thread(install, FOLDER)
    urls = await _open_upstreams(house)
    return [
        App(sdk, route, await house.enter_async_context(_handler(package, urls[route])))
        for sdk, package in SDKS.items()
        for route in Route
    ]


async def _open_upstreams(house: AsyncExitStack) -> dict[Route, str]:
    # Elsewhere than here: a finalstop.toml or .env of the person who runs this is not for us.
    away = Path(house.enter_context(tempfile.TemporaryDirectory()))
    simulate = _finalstop("simulate", "--port", "0", "--pace-ms", str(PACE_MS))
    simulator = await house.enter_async_context(started(simulate, env=environment(), folder=away))
    limits = [f"--set={name}={value}" for name, value in GATEWAY_LIMITS.items()]
    serve = _finalstop("serve", "--port", "0", "--upstream", simulator.url, *limits)
    gateway = await house.enter_async_context(started(serve, env=environment(), folder=away))
    return {Route.DIRECT: simulator.url, Route.FINALSTOP: gateway.url}


def _handler(package: str, url: str) -> AbstractAsyncContextManager[Program]:
    env = environment(SDK=package, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="demo", PORT="0")
    return started([str(node()), "server.js"], env=env, folder=FOLDER)


def _finalstop(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "finalstop", *arguments]


async def _ask(client: aiohttp.ClientSession, app: App, fault: Fault, *, wait_s: float) -> Result:
    silent_s = wait_s if app.route is Route.DIRECT else max(wait_s, WAIT_FINALSTOP_S)
    spec = f"{fault.spec},words={WORDS}"
    seen = await _watch(client, app.program, f"sim:{spec}", silent_s)
    return result_of(fault, app.sdk, app.route, seen)


async def _watch(client: aiohttp.ClientSession, app: Program, model: str, silent_s: float) -> Seen:
    reply = Reply()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(silent_s) as patience:
            await read(
                client,
                f"{app.url}/stream-claude",
                reply,
                on_bytes=lambda: patience.reschedule(loop.time() + silent_s),
                params={"model": model},
            )
    after_s = loop.time() - began
    ended, cut = reply.end is End.WHOLE, reply.end is End.CUT
    printed = await _printed(app, model) if ended else ""
    return Seen(ended, cut, END in reply.body, reply.body.count(TEXT), after_s, printed)


async def _printed(app: Program, model: str) -> str:
    said = re.compile(rf"^{re.escape(model)} (.*)")
    found = await app.output.wait_line(said, within_s=PRINTED_S)
    return found[1] if found else "(nothing)"
