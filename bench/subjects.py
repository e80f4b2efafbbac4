"""Who is measured: a table of relays, each started the ordinary way, as its user would.

A subject is started anew for every run, so that none inherits another run's memory or warmth.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.load import KEY
from bench.made import PROGRAMS, binary, node_program, venv
from bench.processes import Tree, free_port, running, wait_for_port
from finalstop.core.limits import Limits

BIN: Final = Path(sys.executable).parent
START_S: Final = 180.0
END_OF_MESSAGES: Final = '"type":"message_stop"'
# Our programs and the simplest hand-made ones end their own formats alike.
END_OF_TEXT: Final = '"event":"end"'
# Whether this version of the gateway has read gating, and so a strict mode beside it.
HAS_GATING: Final = "gate_s" in Limits.__struct_fields__


@dataclass(frozen=True)
class Place:
    """Where a subject is started: its port, its upstream's, and a folder of its own."""

    port: int
    upstream_port: int
    folder: Path

    @property
    def upstream(self) -> str:
        """The URL of the upstream."""
        return f"http://127.0.0.1:{self.upstream_port}"

    def written(self, template: str) -> Path:
        """A file of `programs/`, with the ports put in, in the folder."""
        text = (PROGRAMS / template).read_text("utf-8")
        for name, port in (("{port}", self.port), ("{upstream_port}", self.upstream_port)):
            text = text.replace(name, str(port))
        path = self.folder / template
        path.write_text(text, "utf-8")
        return path


def no_environment(_place: Place) -> Mapping[str, str]:
    """Nothing beside what the shell has."""
    return {}


def sdk_environment(place: Place) -> Mapping[str, str]:
    """What points an official SDK at the upstream."""
    return {
        "ANTHROPIC_BASE_URL": place.upstream,
        "ANTHROPIC_API_KEY": "bench",
        "PORT": str(place.port),
        "NODE_ENV": "production",
    }


def litellm_environment(_place: Place) -> Mapping[str, str]:
    """It would fetch a list of prices at its start; and it does not start without a key."""
    return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A relay.

    Args:
        name: on the command line and in the results.
        title: in tables.
        command: how it is started; raises `MissingError` when something is not there.
        version: of what it stands on, for the stamp.
        path: what its clients ask for.
        end: what stands in a complete body after its last delta, exactly once.
        environment: what it is told beside its command.
    """

    name: str
    title: str
    command: Callable[[Place], list[str]]
    version: Callable[[], str]
    path: str = "/v1/messages"
    end: str = END_OF_MESSAGES
    environment: Callable[[Place], Mapping[str, str]] = field(default=no_environment)

    @contextmanager
    def place(self, upstream_port: int) -> Iterator[Place]:
        """A place to start it, gone afterwards."""
        with TemporaryDirectory(prefix=f"bench-{self.name}-") as folder:
            yield Place(free_port(), upstream_port, Path(folder))

    @contextmanager
    def started(self, upstream_port: int, *, core: int) -> Iterator[tuple[Tree, int]]:
        """Started on its core, and listening; its process tree and its port.

        Raises:
            StartError: it did not start.
            MissingError: something is not installed.
        """
        with (
            self.place(upstream_port) as place,
            running(
                self.command(place), core=core, folder=place.folder, env=self.environment(place)
            ) as tree,
        ):
            wait_for_port(place.port, tree, place.folder, START_S)
            yield tree, place.port


# --- how each is started --------------------------------------------------------------------


def _gateway(*settings: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        serve = [str(BIN / "finalstop"), "serve", "--port", str(place.port)]
        chosen = [f"--set={setting}" for setting in settings]
        return [*serve, "--upstream", place.upstream, *chosen]

    return command


def _program(name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        return [sys.executable, str(PROGRAMS / name), str(place.port), place.upstream]

    return command


def _uvicorn(app: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(place.port)]
        return [str(BIN / "uvicorn"), "--app-dir", str(PROGRAMS), *address, f"{app}:app"]

    return command


def _node(program: str) -> Callable[[Place], list[str]]:
    def command(_place: Place) -> list[str]:
        node, folder = node_program("node")
        return [node, str(folder / program)]

    return command


def _nginx(place: Place) -> list[str]:
    config = place.written("nginx.conf")
    return [binary("nginx", "nginx"), "-p", str(place.folder), "-c", str(config)]


def _haproxy(place: Place) -> list[str]:
    return [binary("haproxy", "haproxy"), "-db", "-f", str(place.written("haproxy.cfg"))]


def _litellm(place: Place) -> list[str]:
    config = place.written("litellm.yaml")
    address = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [str(venv("litellm") / "litellm"), "--config", str(config), *address]


# --- what each stands on --------------------------------------------------------------------


def _packages(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(f"{name} {version(name)}" for name in names)


def _said(command: Callable[[], list[str]], title: str) -> Callable[[], str]:
    def read() -> str:
        done = subprocess.run(command(), capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
        return f"{title} {found[0] if found else 'unknown'}"

    return read


def _node_packages(*names: str) -> Callable[[], str]:
    def read() -> str:
        lock = loads((PROGRAMS / "node" / "package-lock.json").read_text("utf-8"))["packages"]
        return ", ".join(f"{name} {lock[f'node_modules/{name}']['version']}" for name in names)

    return read


def _litellm_version() -> str:
    pins = (PROGRAMS / "litellm.txt").read_text("utf-8")
    found = re.search(r"^litellm==(\S+)", pins, re.MULTILINE)
    return f"litellm {found[1] if found else 'unknown'}"


_OURS: Final = _packages("finalstop", "aiohttp", "uvloop")
_STRICT: Final = ("gate_s=0",) if HAS_GATING else ()

SUBJECTS: Final[Mapping[str, Subject]] = {
    subject.name: subject
    for subject in (
        Subject(
            name="self", title="finalstop gateway, as started", command=_gateway(), version=_OURS
        ),
        Subject(
            name="self-strict",
            title="finalstop gateway, strict (no gating)",
            command=_gateway(*_STRICT),
            version=_OURS,
        ),
        Subject(
            name="self-at-once",
            title="finalstop gateway, strict, never resting",
            command=_gateway(*_STRICT, "rest_s=0"),
            version=_OURS,
        ),
        Subject(
            name="self-text",
            title="finalstop gateway, strict, text format",
            command=_gateway(*_STRICT),
            version=_OURS,
            path="/stream-claude",
            end=END_OF_TEXT,
        ),
        Subject(
            name="self-watch",
            title="finalstop gateway, with a route for further viewers",
            command=_program("watched.py"),
            version=_OURS,
        ),
        Subject(
            name="bare",
            title="our bare pass-through",
            command=_program("bare.py"),
            version=_packages("aiohttp", "uvloop"),
        ),
        Subject(
            name="nginx",
            title="nginx, proxy_buffering off",
            command=_nginx,
            version=_said(lambda: [binary("nginx", "nginx"), "-v"], "nginx"),
        ),
        Subject(
            name="haproxy",
            title="HAProxy",
            command=_haproxy,
            version=_said(lambda: [binary("haproxy", "haproxy"), "-v"], "HAProxy"),
        ),
        Subject(
            name="express",
            title="Express + @anthropic-ai/sdk",
            command=_node("express.js"),
            version=_node_packages("express", "@anthropic-ai/sdk"),
            path="/stream-claude",
            end=END_OF_TEXT,
            environment=sdk_environment,
        ),
        Subject(
            name="fastapi",
            title="FastAPI + anthropic",
            command=_uvicorn("fastapi_sdk"),
            version=_packages("fastapi", "uvicorn", "anthropic"),
            path="/stream-claude",
            end='"event": "end"',
            environment=sdk_environment,
        ),
        Subject(
            name="vercel",
            title="Vercel AI SDK, UI message stream",
            command=_node("vercel.js"),
            version=_node_packages("ai", "@ai-sdk/anthropic", "express"),
            path="/stream-claude",
            end="[DONE]",
            environment=sdk_environment,
        ),
        Subject(
            name="litellm",
            title="LiteLLM, /v1/messages",
            command=_litellm,
            version=_litellm_version,
            environment=litellm_environment,
        ),
        Subject(
            name="starlette-raw",
            title="Starlette + finalstop, raw source",
            command=_uvicorn("starlette_raw"),
            version=_packages("finalstop", "starlette", "uvicorn"),
            environment=sdk_environment,
        ),
        Subject(
            name="sdk-ours",
            title="Starlette + finalstop, the SDK's stream",
            command=_uvicorn("starlette_sdk"),
            version=_packages("finalstop", "starlette", "anthropic"),
            path="/ours",
            end=END_OF_TEXT,
            environment=sdk_environment,
        ),
        Subject(
            name="sdk-bare",
            title="Starlette, the SDK's own loop",
            command=_uvicorn("starlette_sdk"),
            version=_packages("starlette", "anthropic"),
            path="/bare",
            end='"event": "end"',
            environment=sdk_environment,
        ),
    )
}
