"""The person's own server: started, listened to, signalled, and ended for sure.

It runs in a process group of its own, so that what it starts ends with it. This room may not know
what is asked of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from errno import ENOENT
from pathlib import Path
from typing import Final

from finalstop.doctor.announce import DoctorError

# A big application on a busy machine; one that ends is seen at once.
START_S: Final = 60.0
# How long a server that is told to end may take before it is killed, when nobody watches how.
END_S: Final = 1.0
SAID_BYTES_MAX: Final = 2048
_SAID_KEPT_MAX: Final = 64 * 1024
_TICK_S: Final = 0.05
_SHELL_WORDS: Final = frozenset("$&|;<>()`*?~#\n")
# The limits of finalstop's gateway, and of the handlers that the doctor proposes.
LIMITS: Final = tuple(
    f"{prefix}_{name}_S"
    for prefix in ("FINALSTOP", "STREAM")
    for name in ("FIRST_CONTENT", "IDLE", "DRAIN")
)
LOOPBACK: Final = "127.0.0.1,localhost,::1"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start the server: `command` in `folder` with `env`; it then listens at `address`."""

    command: str
    address: tuple[str, int]
    folder: Path = field(default_factory=Path.cwd)
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def pointed_at(simulator_url: str, env: Mapping[str, str], *, limit_s: float) -> dict[str, str]:
    """An environment in which a Claude client asks the simulator, by any name that clients read.

    Limits that a server takes from LIMITS are set to `limit_s`, unless they are set already: a
    trial cannot watch for minutes.
    """
    kept = {k: v for k, v in env.items() if k != "ANTHROPIC_AUTH_TOKEN"}
    return {
        **dict.fromkeys(LIMITS, f"{limit_s:g}"),
        **kept,
        "ANTHROPIC_BASE_URL": simulator_url,
        "ANTHROPIC_API_URL": simulator_url,
        "ANTHROPIC_API_BASE": simulator_url,
        "ANTHROPIC_API_KEY": "simulated",
        # A proxy of this machine must not be asked for what is on this machine.
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        "PYTHONUNBUFFERED": "1",
    }


class Patient:
    """One server process at a time. Make it with `treated`."""

    def __init__(self, recipe: Recipe, *, start_s: float = START_S) -> None:
        self._recipe = recipe
        self._start_s = start_s
        self._process: asyncio.SubprocessTransport | None = None
        self._output = _Output()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.get_returncode() is None

    @property
    def status(self) -> int | None:
        """The exit status; negative for a signal; None while it runs."""
        return None if self._process is None else self._process.get_returncode()

    def mark(self) -> int:
        """How much it has said so far; `said` takes it."""
        return self._output.bytes_said

    def said(self, *, since: int = 0) -> str:
        """What it has written since that mark; of much, the last SAID_BYTES_MAX bytes."""
        return self._output.since(since)

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            DoctorError: it ended, or did not listen in time; has what it printed.
        """
        recipe, mark = self._recipe, self.mark()
        self._output.exited.clear()
        self._process = await _spawned(recipe, self._output)
        deadline = time.monotonic() + self._start_s
        while not await listens(recipe.address):
            if not self.alive:
                raise DoctorError(self._complaint(f"ended with status {self.status}", mark))
            if time.monotonic() >= deadline:
                where = "{}:{}".format(*recipe.address)
                told = f"did not listen on {where} within {self._start_s:g} s"
                raise DoctorError(self._complaint(told, mark))
            await asyncio.sleep(_TICK_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.get_pid(), number)

    async def wait(self, within_s: float) -> bool:
        """Wait for its end; whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._output.exited.wait()
        return not self.alive

    async def end(self) -> None:
        """End it and all of its group. May be called twice."""
        if self._process is None:
            return
        if self.alive:
            self.signal(signal.SIGTERM)
            await self.wait(END_S)
        # What it started may outlive it, and hold its port.
        self.signal(signal.SIGKILL)
        await self._output.exited.wait()
        await self._until_its_port_is_free()
        # Something in another group may still hold the pipe: we do not wait for that.
        self._process.close()
        self._process = None
        await asyncio.sleep(0)

    async def _until_its_port_is_free(self) -> None:
        # The rest of the group dies a moment later than its leader; the next one needs the port.
        for _ in range(int(END_S / _TICK_S)):
            if not await listens(self._recipe.address):
                return
            await asyncio.sleep(_TICK_S)

    def _complaint(self, what: str, mark: int) -> str:
        printed = self.said(since=mark).strip() or "(nothing)"
        return f"--run {self._recipe.command!r} {what}; it printed:\n{printed}"


class _Output(asyncio.SubprocessProtocol):
    """What the processes have written, its end kept; and whether the last of them has ended."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self._said = bytearray()
        self._forgotten = 0

    @property
    def bytes_said(self) -> int:
        return self._forgotten + len(self._said)

    def since(self, mark: int) -> str:
        text = bytes(self._said[max(0, mark - self._forgotten) :])
        return text[-SAID_BYTES_MAX:].decode("utf-8", errors="replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        del fd
        self._said += data
        surplus = max(0, len(self._said) - _SAID_KEPT_MAX)
        del self._said[:surplus]
        self._forgotten += surplus

    def process_exited(self) -> None:
        self.exited.set()


@asynccontextmanager
async def treated(recipe: Recipe, *, start_s: float = START_S) -> AsyncIterator[Patient]:
    """A started server, ended when the block is left, however it is left.

    Raises:
        DoctorError: its address is taken, it did not start, or did not listen in time.
    """
    _check_program(recipe)
    if await listens(recipe.address):
        where = "{}:{}".format(*recipe.address)
        told = f"something listens on {where} already: it would be examined instead; end it first"
        raise DoctorError(told)
    patient = Patient(recipe, start_s=start_s)
    try:
        await patient.start()
        yield patient
    finally:
        try:
            await patient.end()
        finally:
            # Also where that was interrupted, by a second Ctrl-C.
            patient.signal(signal.SIGKILL)


def _check_program(recipe: Recipe) -> None:
    """Whether there is such a program; of a shell's line the shell will tell."""
    program = _arguments(recipe.command)[0]
    if os.path.dirname(program):  # noqa: PTH120 - a Path would lose the ./ that means a folder
        found = (recipe.folder / program).exists()
    else:
        found = shutil.which(program, os.F_OK, recipe.env.get("PATH", os.defpath)) is not None
    if not found:
        raise DoctorError(f"--run {recipe.command!r}: {os.strerror(ENOENT)}")


async def listens(address: tuple[str, int]) -> bool:
    """Whether a TCP connection to the address is accepted."""
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _spawned(recipe: Recipe, output: _Output) -> asyncio.SubprocessTransport:
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: output,
            *_arguments(recipe.command),
            cwd=recipe.folder,
            env=dict(recipe.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as bad:
        raise DoctorError(f"--run {recipe.command!r}: {bad.strerror or bad}") from None
    return transport


def _arguments(command: str) -> list[str]:
    """The command's words; through a shell where it is written for one."""
    try:
        words = shlex.split(command)
    except ValueError as bad:
        raise DoctorError(f"--run {command!r}: {bad}") from None
    if not words:
        raise DoctorError("--run: it must be a command that starts your server")
    if _SHELL_WORDS & set(command) or "=" in words[0]:
        return ["/bin/sh", "-c", command]
    return words
