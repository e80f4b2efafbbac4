"""An ASGI app of ours under a server of somebody else's: a process of its own, ended by its own id.

A twin of `serving`. Every pair of framework and server is one call, so that a table can be run.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.adapters.serving import (
    BIN,
    LIMITS,
    LOOK_S,
    ROOT,
    START_S,
    Server,
    _end,
    _url_in,
)

FRAMEWORKS = ("starlette", "fastapi", "litestar", "quart", "django")

# What each server is told, with PORT and APP put in.
COMMANDS = {
    "uvicorn": ["uvicorn", "--host=127.0.0.1", "--port=0", "APP"],
    "uvicorn-h11": ["uvicorn", "--host=127.0.0.1", "--port=0", "--http=h11", "--loop=asyncio",
                    "APP"],
    "hypercorn": ["hypercorn", "--bind=127.0.0.1:0", "--graceful-timeout=5", "APP"],
    "hypercorn-default": ["hypercorn", "--bind=127.0.0.1:0", "APP"],
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port=PORT", "APP"],
    "daphne": ["daphne", "--bind=127.0.0.1", "--port=PORT", "APP"],
}  # fmt: skip


@contextlib.contextmanager
def serving_asgi(
    framework: str, server: str, upstream: str, folder: Path, **limits: float
) -> Iterator[Server]:
    """The app of `framework` under `server`, asking `upstream`, and ready to answer."""
    log = folder / f"{framework}-{server}.log"
    hidden = ("FINALSTOP_", "ANTHROPIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "ANTHROPIC_BASE_URL": upstream,
        "LIMITS": json.dumps(LIMITS | limits),
    }
    port = _free_port()
    said = {"PORT": str(port), "APP": f"tests.adapters.apps.{framework}_app:app"}
    program, *options = [_filled(word, said) for word in COMMANDS[server]]
    command = [str(BIN / program), *options]
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=folder) as process,
    ):
        try:
            yield Server(server, _ready(server, port, log, process), process, log)
        finally:
            _end(process)


def _filled(word: str, said: dict[str, str]) -> str:
    for name, value in said.items():
        word = word.replace(name, value)
    return word


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _ready(server: str, port: int, log: Path, process: subprocess.Popen[bytes]) -> str:
    if "--port=PORT" not in COMMANDS[server]:
        return _url_in(log, process)
    over_at = time.monotonic() + START_S
    while not _answers(port):
        assert process.poll() is None, f"it did not start: {log.read_text()[-2000:]}"
        assert time.monotonic() < over_at, f"it is not ready: {log.read_text()[-2000:]}"
        threading.Event().wait(LOOK_S)
    return f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
