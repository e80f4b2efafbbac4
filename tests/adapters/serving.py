"""An app of ours under a server of somebody else's: a process of its own, ended by its own id."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.client import begin

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
START_S, STOP_S = 40.0, 10.0
LOOK_S = 0.05

# Short enough for a test, long enough that a busy machine does not look like a silent upstream.
LIMITS = {"commit_s": 0.6, "first_content_s": 1.5, "idle_s": 1.0, "keep_alive_s": 1.0}

FLASK = "tests.adapters.apps.flask_app:app"
AIOHTTP = "tests.adapters.apps.aiohttp_app"
BIND = "127.0.0.1:0"
COMMANDS = {
    "gunicorn": ["gunicorn", "--worker-class=gthread", "--threads=16", f"--bind={BIND}",
                 "--no-control-socket", FLASK],
    "werkzeug": ["flask", f"--app={FLASK}", "run", "--host=127.0.0.1", "--port=0"],
    "waitress": ["waitress-serve", f"--listen={BIND}", "--threads=16", FLASK],
    "waitress-lookahead": ["waitress-serve", f"--listen={BIND}", "--threads=16",
                           "--channel-request-lookahead=1", FLASK],
    "aiohttp": ["python", "-m", AIOHTTP],
    "aiohttp-cancelling": ["python", "-m", AIOHTTP],
}  # fmt: skip
VARIABLES = {"aiohttp-cancelling": {"HANDLER_CANCELLATION": "1"}}


@dataclass
class Server:
    """A server that runs; `log` is what it has written to its standard error."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def told_to_end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; the instant at which that was."""
        self.process.send_signal(number)
        return time.monotonic()


@contextlib.contextmanager
def serving(name: str, upstream: str, folder: Path, **limits: float) -> Iterator[Server]:
    """The app under the server `name`, asking `upstream`, and ready to answer."""
    log = folder / f"{name}.log"
    hidden = ("FINALSTOP_", "ANTHROPIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "ANTHROPIC_BASE_URL": upstream,
        "LIMITS": json.dumps(LIMITS | limits),
        **VARIABLES.get(name, {}),
    }
    program, *options = COMMANDS[name]
    command = [str(BIN / program), *options]
    with log.open("wb") as err, subprocess.Popen(command, env=env, stderr=err, cwd=folder) as it:
        try:
            yield Server(name, _url_in(log, it), it, log)
        finally:
            _end(it)


def _url_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    over_at = time.monotonic() + START_S
    while not (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", log.read_text())):
        assert process.poll() is None, f"it did not start: {log.read_text()[-2000:]}"
        assert time.monotonic() < over_at, f"it is not ready: {log.read_text()[-2000:]}"
        threading.Event().wait(LOOK_S)
    return found[0]


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


async def warmed_up(server: Server) -> Server:
    """The server after its first answer: some load the app only when they are asked."""
    assert (await ask(server, "text", within_s=START_S)).status == 200
    return server


async def ask(server: Server, script: str, within_s: float = 15.0, **more: object):
    """Ask through the server and wait for all of the answer."""
    return await (await asked(server, script, **more)).answer(within_s)


async def asked(server: Server, script: str, **more: object):
    """Ask through the server; the wire, at once."""
    return await begin(server.url, "", path="/stream-claude", **messages(script, **more))
