"""The sick and the healthy endpoints: what each is, how it is started, what the doctor must say.

Every folder of `endpoints/sick` and `endpoints/healthy` is a real server on a real stack, run as
its owner would run it, and examined as its owner would examine it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from finalstop.doctor.finding import Level
from finalstop.doctor.findings import examine
from finalstop.doctor.http import make_question
from finalstop.doctor.visit import visit
from tools.node import install, node

FOLDER: Final = Path(__file__).parent / "endpoints"
SICK: Final = FOLDER / "sick"
HEALTHY: Final = FOLDER / "healthy"
VERDICTS: Final = FOLDER / "verdicts.json"
SIGTERM_S: Final = 6.0
# Each takes about half a minute, nearly all of it waiting.
AT_A_TIME: Final = 8
PACKAGES: Final = (
    "anthropic", "aiohttp", "django", "fastapi", "flask", "gunicorn", "httpx2", "hypercorn",
    "litestar", "sse-starlette", "starlette", "uvicorn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One folder. `causes` are the findings that must be made; none means that it is healthy."""

    folder: Path
    what: str
    run: str
    path: str = "/stream-claude"
    method: str = "POST"
    data: str = '{"prompt": "hi"}'
    idle_s: float | None = None
    sigterm_s: float = SIGTERM_S
    env: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the doctor says of an endpoint: the names of problems and warnings, the cause first."""

    endpoint: Endpoint
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    evidence: tuple[str, ...]


def endpoints(folder: Path) -> list[Endpoint]:
    """All endpoints of SICK or HEALTHY, by name."""
    return [_endpoint(it.parent) for it in sorted(folder.glob("*/endpoint.toml"))]


async def examine_all(those: Iterable[Endpoint]) -> list[Verdict]:
    """Examine them, AT_A_TIME at a time; the order is kept."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def in_turn(endpoint: Endpoint) -> Verdict:
        async with places:
            return await examined(endpoint)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(endpoint)) for endpoint in those]
    return [task.result() for task in tasks]


async def examined(endpoint: Endpoint) -> Verdict:
    """Start it, examine it, end it."""
    port = _free_port()
    body = endpoint.data.encode() if endpoint.method == "POST" else b""
    url = f"http://127.0.0.1:{port}{endpoint.path}"
    observations = await visit(
        make_question(url, method=endpoint.method, data=body),
        run=_command(endpoint, port),
        folder=endpoint.folder,
        idle_s=endpoint.idle_s,
        sigterm_s=endpoint.sigterm_s,
    )
    findings = examine(observations)
    return Verdict(
        endpoint,
        tuple(it.name for it in findings if it.level is Level.PROBLEM),
        tuple(it.name for it in findings if it.level is Level.WARNING),
        tuple(line for it in findings for line in it.evidence),
    )


def read_verdicts() -> dict[str, Any]:
    """The committed verdicts of the last `make endpoints`."""
    return dict(json.loads(VERDICTS.read_text("utf-8")))


def write_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Commit these: what each is, what must be named, what was."""
    rows = {
        it.endpoint.name: {
            "kind": it.endpoint.folder.parent.name,
            "what": it.endpoint.what,
            "causes": it.endpoint.causes,
            "problems": it.problems,
            "warnings": it.warnings,
        }
        for it in verdicts
    }
    told = {"versions": {"finalstop": version("finalstop"), **_versions()}, "endpoints": rows}
    VERDICTS.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def _versions() -> dict[str, str]:
    packages = json.loads((FOLDER / "package.json").read_text("utf-8"))["dependencies"]
    ours = {name: version(name) for name in PACKAGES}
    return ours | {name: str(told).rpartition("@")[2] for name, told in packages.items()}


def _endpoint(folder: Path) -> Endpoint:
    told: dict[str, Any] = tomllib.loads((folder / "endpoint.toml").read_text("utf-8"))
    return Endpoint(folder, **told | {"causes": tuple(told.get("causes", ()))})


def _command(endpoint: Endpoint, port: int) -> str:
    settings = {"PORT": str(port), "PATH": _path(), **endpoint.env}
    env = " ".join(f"{name}='{value}'" for name, value in settings.items())
    return f"env {env} {endpoint.run.replace('{port}', str(port))}"


@cache
def _path() -> str:
    """Where `python` is this one and `node` is the wheel's, its packages installed."""
    install(FOLDER)
    binaries = (Path(sys.executable).parent, node().parent)
    return os.pathsep.join([*map(str, binaries), os.environ["PATH"]])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """`python -m tests.doctor.ward`: examine all, write the verdicts."""
    verdicts = asyncio.run(examine_all([*endpoints(SICK), *endpoints(HEALTHY)]))
    for it in verdicts:
        print(f"{it.endpoint.name:26} {', '.join(it.problems) or 'healthy'}")  # noqa: T201
    write_verdicts(verdicts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
