"""An app of ours under a server of somebody else's: a process of its own, ended by its own id.

The commands are the rows of tests/stacks; here is how one is started, asked and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.client import begin
from tests.stacks.table import PAIRS

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
START_S, STOP_S = 40.0, 10.0
# Importing a framework, its server and the SDK costs 2 to 4 s of processor, which others want, too.
READY_S = 100.0
LOOK_S = 0.05

# Short enough for a test, long enough that a busy machine does not look like a silent upstream.
LIMITS = {"commit_s": 0.6, "first_content_s": 1.5, "idle_s": 1.0, "keep_alive_s": 1.0}


@dataclass
class Server:
    """A server that runs; `log` is what it has written."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def told_to_end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; the instant at which that was."""
        self.process.send_signal(number)
        return time.monotonic()


@contextlib.contextmanager
def serving(
    pair: str, upstream: str, folder: Path, variables: Mapping[str, str] = {}, **limits: float
) -> Iterator[Server]:
    """The pair of that name, asking `upstream`, after its first answer. Not for use in a loop."""
    (command,) = [it.command for it in PAIRS if it.name == pair]
    with started(pair, command, variables, upstream, folder, **limits) as server:
        # Some load the app only when they are asked.
        assert asyncio.run(ask(server, "text", within_s=START_S)).status == 200
        yield server


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    variables: Mapping[str, str],
    upstream: str,
    folder: Path,
    **limits: float,
) -> Iterator[Server]:
    """A server's process, ready to answer; in `command`, PORT stands for a port that is free."""
    log = folder / "server.log"
    hidden = ("FINALSTOP_", "ANTHROPIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "ANTHROPIC_BASE_URL": upstream,
        "LIMITS": json.dumps(LIMITS | limits),
        **variables,
    }
    port = _free_port()
    program, *options = [word.replace("PORT", str(port)) for word in command]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [str(BIN / program), *options], env=env, stdout=out, stderr=out, cwd=folder
        ) as process,
    ):
        try:
            _wait_for(port, log, process)
            yield Server(name, f"http://127.0.0.1:{port}", process, log)
        finally:
            _end(process)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int, log: Path, process: subprocess.Popen[bytes]) -> None:
    over_at = time.monotonic() + READY_S
    while not _answers(port):
        assert process.poll() is None, f"it did not start: {log.read_text()[-2000:]}"
        assert time.monotonic() < over_at, f"it is not ready: {log.read_text()[-2000:]}"
        threading.Event().wait(LOOK_S)


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def messages(script: str, **more: object) -> dict[str, object]:
    """The fields of a request that makes the simulator play `script`."""
    return {"model": f"sim:{script}", **more}


async def ask(server: Server, script: str, within_s: float = 15.0, **more: object):
    """Ask through the server and wait for all of the answer."""
    return await (await asked(server, script, **more)).answer(within_s)


async def asked(server: Server, script: str, **more: object):
    """Ask through the server; the wire, at once.

    An app that knows both of the SDK's clients takes the async one, unless it is asked not to.
    """
    fields = {"async": True, **messages(script, **more)}
    return await begin(server.url, "", path="/stream-claude", **fields)
