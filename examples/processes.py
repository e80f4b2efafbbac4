"""The programs of a demo as processes of their own: started, listened to, ended.

Each says its address in its first lines. What it prints is kept, because that is how one knows
which way a handler went.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

# Node takes under two seconds to start, Python with the SDK three; ten of them at once on a busy
# machine a minute.
START_S: Final = 120
STOP_S: Final = 10
HIDDEN: Final = ("ANTHROPIC_", "FINALSTOP_", "PYTHONDONTWRITEBYTECODE")
URL: Final = re.compile(r"http://127\.0\.0\.1:\d+")


class StartError(RuntimeError):
    """A program did not start; the message holds what it printed."""


class Output:
    """The lines a program prints, kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.over = False
        self._arrived = asyncio.Condition()

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Keep lines until the program closes its output."""
        while line := await stream.readline():
            self.lines.append(line.decode("utf-8", errors="replace").rstrip())
            async with self._arrived:
                self._arrived.notify_all()
        self.over = True
        async with self._arrived:
            self._arrived.notify_all()

    async def wait_line(self, pattern: re.Pattern[str], *, within_s: float) -> re.Match[str] | None:
        """The first match of `pattern` in any line, past or to come; None if it never comes."""
        try:
            async with asyncio.timeout(within_s), self._arrived:
                while (found := self._find(pattern)) is None and not self.over:
                    await self._arrived.wait()
                return found
        except TimeoutError:
            return None

    def _find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return next((found for line in self.lines if (found := pattern.search(line))), None)


class Program:
    """A started program: where it listens, what it prints, and the process that it is."""

    def __init__(self, url: str, output: Output, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self.output = output
        self.process = process


def environment(**own: str) -> dict[str, str]:
    """This process's environment without what would lead a demo elsewhere: keys, settings.

    Without PYTHONDONTWRITEBYTECODE, too: with it every start compiles the whole SDK, for seconds.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
    return {**kept, **own}


@asynccontextmanager
async def started(
    command: Sequence[str], *, env: Mapping[str, str], folder: Path
) -> AsyncIterator[Program]:
    """Run `command` in `folder` until the block is left.

    Raises:
        StartError: it named no address within START_S.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    output = Output()
    async with asyncio.TaskGroup() as group:
        group.create_task(output.read(process.stdout))
        try:
            yield Program(await _address(command, output), output, process)
        finally:
            await _end(process)


async def _address(command: Sequence[str], output: Output) -> str:
    said = await output.wait_line(URL, within_s=START_S)
    if said is None:
        printed = "\n".join(output.lines) or "(nothing)"
        raise StartError(f"{' '.join(command)} named no address; it printed:\n{printed}")
    return said.group()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
