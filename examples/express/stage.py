"""The run: a simulator, a gateway before it, the Express app before each; and one browser.

The same handler runs four times: with two releases of the SDK, pointed at the simulator and
pointed at the gateway. All faults are asked of all four at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from examples.express.cases import SDKS, Fault, Result, Route, Seen, result_of
from examples.express.processes import Program, started
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
        client = await house.enter_async_context(_browser())
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
    simulator = await house.enter_async_context(started(simulate, env=_env(), folder=away))
    limits = [f"--set={name}={value}" for name, value in GATEWAY_LIMITS.items()]
    serve = _finalstop("serve", "--port", "0", "--upstream", simulator.url, *limits)
    gateway = await house.enter_async_context(started(serve, env=_env(), folder=away))
    return {Route.DIRECT: simulator.url, Route.FINALSTOP: gateway.url}


def _handler(package: str, url: str) -> AbstractAsyncContextManager[Program]:
    env = _env(SDK=package, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="demo", PORT="0")
    return started([str(node()), "server.js"], env=env, folder=FOLDER)


def _finalstop(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "finalstop", *arguments]


def _env(**own: str) -> dict[str, str]:
    """This process's environment without what would lead the demo elsewhere: keys, settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "FINALSTOP_"))}
    return {**kept, **own}


@asynccontextmanager
async def _browser() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, connect=WAIT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def _ask(client: aiohttp.ClientSession, app: App, fault: Fault, *, wait_s: float) -> Result:
    silent_s = wait_s if app.route is Route.DIRECT else max(wait_s, WAIT_FINALSTOP_S)
    spec = f"{fault.spec},words={WORDS}"
    seen = await _watch(client, app.program, f"sim:{spec}", silent_s)
    return result_of(fault, app.sdk, app.route, seen)


async def _watch(client: aiohttp.ClientSession, app: Program, model: str, silent_s: float) -> Seen:
    body = bytearray()
    ended = cut = False
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(silent_s) as patience:
            async with client.post(f"{app.url}/stream-claude", params={"model": model}) as response:
                async for piece in response.content.iter_any():
                    body += piece
                    patience.reschedule(loop.time() + silent_s)
                ended = True
    except TimeoutError:
        pass
    except aiohttp.ClientError:
        cut = True
    after_s = loop.time() - began
    printed = await _printed(app, model) if ended else ""
    return Seen(ended, cut, END in body, body.count(TEXT), after_s, printed)


async def _printed(app: Program, model: str) -> str:
    said = re.compile(rf"^{re.escape(model)} (.*)")
    found = await app.output.wait_line(said, within_s=PRINTED_S)
    return found[1] if found else "(nothing)"
