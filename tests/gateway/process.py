"""The real thing: `python -m finalstop serve` in a process of its own, ended by its own id."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

SRC = Path(__file__).parent.parent.parent / "src"
START_S = 30.0


@dataclass
class GatewayProcess:
    """A gateway's process. `lines` is its log so far, one dict a line."""

    process: asyncio.subprocess.Process
    url: str = ""
    lines: list[dict] = field(default_factory=list)

    def rss_bytes(self) -> int:
        """What the process holds in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def ended(self):
        """The receipts that the log holds, one a stream."""
        return [line for line in self.lines if line["event"] == "stream_ended"]

    async def read_log(self):
        """Collect the log until the process closes it."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(json.loads(line))


@asynccontextmanager
async def gateway_process(folder: Path, upstream: str, **settings) -> AsyncIterator[GatewayProcess]:
    """The gateway on a free port, in an empty folder, configured by nothing but `settings`."""
    hidden = ("FINALSTOP_", "ANTHROPIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env["PYTHONPATH"] = str(SRC)
    options = [f"--set={name}={value}" for name, value in settings.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "finalstop", "serve", "--port", "0", "--upstream", upstream,
        "--set=log_format=json", *options,
        cwd=folder, env=env, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    gateway = GatewayProcess(process)
    try:
        async with asyncio.timeout(START_S):
            line = json.loads(await process.stderr.readline())
        assert line["event"] == "listening", line
        gateway.url = line["url"]
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.read_log())
            try:
                yield gateway
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        await process.wait()
