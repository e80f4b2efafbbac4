"""The house rules: a room opens only the doors below it, and some doors never.

Each rule is a row with its reason; each row has a planted violation, so that a rule which sees
nothing fails here first. Rooms that do not exist yet simply have no files.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pytest

from tests.doors import (
    Module,
    doors_of,
    leads_into,
    leads_into_any,
    modules_of,
    source_files,
)

FRONT = "finalstop"
STDLIB = tuple(sys.stdlib_module_names)


def ours(*rooms: str) -> tuple[str, ...]:
    return tuple(f"{FRONT}.{room}" for room in rooms)


# --- the floors ------------------------------------------------------------------------------

# What each room may open besides itself. Not listed means not allowed.
FLOORS: dict[str, tuple[str, ...]] = {
    "core": (),
    "wire": ours("core.events", "core.endings", "core.receipt", "core.limits"),
    "log": ours("core"),
    "upstream": ours("core"),
    "runtime": ours("core", "wire", "log.contract", "upstream.contract", "upstream.objects"),
    "telemetry": ours("core", "wire", "log.contract", "upstream.contract", "runtime"),
    "adapters": ours("core", "wire", "log.contract", "upstream", "runtime", "shared"),
    # The outlet: the gateway is an aiohttp program, and writes as the adapter of aiohttp does.
    "gateway": ours(
        "core", "wire", "log", "upstream", "runtime", "telemetry", "adapters.outlet", "simulator"
    ),
    "simulator": (),
    "doctor": ours("core", "simulator"),
    "cli": (FRONT,),
}
# The front door re-exports; what it opens is paid for by every `import finalstop`.
FRONT_DOOR = ours("core", "wire", "log", "upstream", "runtime", "adapters", "guarded", "shared")

# --- the words of the rules ------------------------------------------------------------------

IMPURE = (
    "asyncio", "datetime", "logging", "os", "pathlib", "random", "secrets", "select", "socket",
    "ssl", "subprocess", "threading", "time",
)  # fmt: skip
CONCRETE = ours("log.memory", "log.sqlite", "log.redis", "upstream.direct", "upstream.http")
ENCODERS = ours(
    "wire.anthropic", "wire.text", "wire.plain", "wire.vercel", "wire.agui", "wire.openai"
)
FRAMEWORKS = (
    "aiohttp", "blacksheep", "django", "fastapi", "flask", "litestar", "quart", "sanic",
    "sse_starlette", "starlette", "tornado", "uvicorn", "werkzeug",
)  # fmt: skip
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

# Modules, or single functions in them, that every event passes through. An `await` there is a task
# wake-up per event. `*` means all of the module.
HOT_PATH: dict[str, tuple[str, ...]] = {
    "finalstop.wire": ("*",),
    "finalstop.core": ("*",),
    "finalstop.log.memory": ("append", "tell"),
    "finalstop.runtime.intake": ("*",),
    "finalstop.runtime.producer": ("*",),
    "finalstop.runtime.viewer": ("entries", "_write", "_put"),
    "finalstop.upstream.connections": ("data_received", "look", "_looked"),
    "finalstop.upstream.direct_calls": ("received", "_take"),
    "finalstop.upstream.gate": ("*",),
    "finalstop.upstream.reader": ("*",),
}


@dataclass(frozen=True)
class Rule:
    """`seen(module)` yields (line, what was seen); nothing seen means the rule is kept."""

    name: str
    reason: str
    seen: Callable[[Module], Iterator[tuple[int, str]]]


def in_room(module: Module, *rooms: str) -> bool:
    return leads_into_any(module.name, ours(*rooms))


def room_of(module: Module) -> str:
    """`core` for finalstop.core.events; empty for the front door and the modules beside it."""
    if module.name == f"{FRONT}.__main__":
        return "cli"
    parts = module.name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else ""


def never(
    doors: tuple[str, ...], *, where: Callable[[Module], bool]
) -> Callable[[Module], Iterator[tuple[int, str]]]:
    """The rule that no module for which `where` holds opens one of `doors`."""

    def seen(module: Module) -> Iterator[tuple[int, str]]:
        if where(module):
            for door in doors_of(module):
                if leads_into_any(door.target, doors):
                    yield door.line, f"imports {door.target}"

    return seen


def a_room_opens_only_the_doors_below(module: Module) -> Iterator[tuple[int, str]]:
    room = room_of(module)
    below = (f"{FRONT}.{room}", *FLOORS[room]) if room else FRONT_DOOR
    for door in doors_of(module):
        if leads_into(door.target, FRONT) and not leads_into_any(door.target, below):
            yield door.line, f"imports {door.target}"


def light_rooms_stand_on_msgspec_alone(module: Module) -> Iterator[tuple[int, str]]:
    is_light = room_of(module) in {"", "core", "wire", "log", "runtime"}
    allowed = (FRONT, "msgspec", *STDLIB)
    if module.name == f"{FRONT}.log.redis":
        allowed = (*allowed, "redis")
    for door in doors_of(module):
        if is_light and not leads_into_any(door.target, allowed):
            yield door.line, f"imports {door.target}"


def the_simulator_is_a_stranger(module: Module) -> Iterator[tuple[int, str]]:
    allowed = (f"{FRONT}.simulator", *STDLIB)
    if module.name == f"{FRONT}.simulator.plugin":
        allowed = (*allowed, "pytest")
    for door in doors_of(module):
        if in_room(module, "simulator") and not leads_into_any(door.target, allowed):
            yield door.line, f"imports {door.target}"


def no_encoder_knows_another(module: Module) -> Iterator[tuple[int, str]]:
    others = tuple(name for name in ENCODERS if name != module.name)
    yield from never(others, where=lambda it: it.name in ENCODERS)(module)


def law_and_languages_are_sync(module: Module) -> Iterator[tuple[int, str]]:
    if in_room(module, "core", "wire"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.AsyncFunctionDef):
                yield node.lineno, f"async def {node.name}"


def awaits_nothing(
    hot_path: Mapping[str, tuple[str, ...]],
) -> Callable[[Module], Iterator[tuple[int, str]]]:
    """The rule that nothing in `hot_path` is async."""

    def seen(module: Module) -> Iterator[tuple[int, str]]:
        for hot, functions in hot_path.items():
            if leads_into(module.name, hot):
                for part in _parts(module.tree, functions):
                    yield from _awaits(part)

    return seen


def _parts(tree: ast.Module, functions: tuple[str, ...]) -> Iterator[ast.AST]:
    if functions == ("*",):
        yield tree
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions:
            yield node


def _awaits(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef):
            yield node.lineno, type(node).__name__


def no_room_is_vague(module: Module) -> Iterator[tuple[int, str]]:
    for part in module.name.split("."):
        if part.strip("_") in VAGUE_NAMES:
            yield 1, f"is called {part}"


RULES = [
    Rule("floors", "the stairs go one way; see FLOORS", a_room_opens_only_the_doors_below),
    Rule("pure", "time, chance and I/O come in as arguments, so that a test can choose them",
         never(IMPURE, where=lambda it: in_room(it, "core", "wire"))),
    Rule("sync", "the law and the languages have no colour: any loop, or none, may call them",
         law_and_languages_are_sync),
    Rule("no await", "one read, one call chain: an await wakes a task per event",
         awaits_nothing(HOT_PATH)),
    Rule("encoders decide nothing", "only the lifecycle may end a stream",
         never(ours("core.lifecycle"), where=lambda it: in_room(it, "wire"))),
    Rule("encoder twins", "five formats, five files: one can be read, or dropped, alone",
         no_encoder_knows_another),
    Rule("the log holds events", "a stream begun in one format is resumed in another",
         never(ours("wire", "upstream"), where=lambda it: in_room(it, "log"))),
    Rule("stores stay in the log", "what a store does on a bad day is handled in one room",
         never(("sqlite3", "redis"), where=lambda it: not in_room(it, "log"))),
    Rule("runtime is handed its parts", "it runs under any framework and over any log",
         never((*FRAMEWORKS, *ours("gateway", "adapters"), *CONCRETE),
               where=lambda it: in_room(it, "runtime"))),
    Rule("windows at the top", "what is not watched must not pay for the watching",
         never(ours("telemetry"), where=lambda it: not in_room(it, "telemetry", "gateway", "cli"))),
    Rule("backends are chosen at the top", "only a composition root knows what it is made of",
         never(CONCRETE, where=lambda it: it.name not in {FRONT, f"{FRONT}.shared"}
               and not in_room(it, "log", "upstream", "gateway", "cli"))),
    Rule("simulator", "a codec bug on both sides would agree with itself",
         the_simulator_is_a_stranger),
    Rule("doctor", "it examines endpoints that are not ours and bytes that are not valid",
         never(ours("runtime", "wire"), where=lambda it: in_room(it, "doctor"))),
    Rule("light", "`import finalstop` brings msgspec and nothing else",
         light_rooms_stand_on_msgspec_alone),
    Rule("one JSON library", "two libraries disagree about what is valid",
         never(("json", "orjson", "simplejson"),
               where=lambda it: not in_room(it, "simulator", "doctor"))),
    Rule("names", "a room that holds anything will hold everything", no_room_is_vague),
]  # fmt: skip


@cache
def house() -> list[Module]:
    """Our own source, read once."""
    return modules_of(source_files())


def broken(modules: list[Module], rules: list[Rule] = RULES) -> list[str]:
    """Every violation, as one line that says where, what and why not."""
    return [
        f"{module.name}:{line} {what}: {rule.name}: {rule.reason}"
        for module in modules
        for rule in rules
        for line, what in rule.seen(module)
    ]


# --- the house is kept -----------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_the_house_keeps_the_rule(rule):
    complaints = broken(house(), [rule])
    assert not complaints, "\n".join(complaints)


def test_every_room_is_on_a_floor():
    packages = [module.name for module in house() if module.is_package and module.name != FRONT]
    rooms = {name.split(".")[1] for name in packages}
    assert rooms, "no rooms found: is the tree under src/finalstop?"
    assert rooms <= FLOORS.keys(), "give the new room its row in FLOORS, or move its modules"


IMPORT_AND_LIST = """
import sys
before = set(sys.modules)
import finalstop
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""


@pytest.mark.slow
def test_importing_the_library_brings_msgspec_and_nothing_else():
    command = [sys.executable, "-c", IMPORT_AND_LIST]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert FRONT in loaded
    # msgspec does without typing_extensions, but takes it where it is installed.
    assert set(loaded) <= {FRONT, "msgspec", "typing_extensions", *STDLIB}


def test_every_hot_function_named_here_exists():
    modules = house()
    for hot, functions in HOT_PATH.items():
        trees = [module.tree for module in modules if leads_into(module.name, hot)]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        found = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        assert set(functions) - {"*"} <= found, f"{hot} has no such function any more"
        assert found, f"there is no {hot} any more"


# --- the rules see ---------------------------------------------------------------------------

# rule it must trip,             file under finalstop/,   its text
PLANTED = [
    ("floors", "core/events.py", "from finalstop.wire import sse"),
    ("floors", "core/events.py", "from ..wire import sse"),
    ("floors", "core/__init__.py", "from .. import wire"),
    ("floors", "core/timers.py", "def f():\n    from finalstop.log.contract import Log"),
    ("floors", "core/timers.py", "import finalstop"),
    ("floors", "wire/text.py", "from finalstop.core.timers import Timers"),
    ("floors", "wire/sse.py", "from finalstop import Relay"),
    ("floors", "upstream/http.py", "import finalstop.runtime.relay"),
    ("floors", "runtime/relay.py", "from finalstop.log import MemoryLog"),
    ("floors", "runtime/relay.py", "from finalstop.upstream.retry import Policy"),
    ("floors", "adapters/asgi.py", "from finalstop.gateway import app"),
    ("floors", "gateway/app.py", "from finalstop.cli import main"),
    ("floors", "gateway/app.py", "from finalstop.adapters.opening import Opening"),
    ("floors", "__init__.py", "from finalstop.gateway import app"),
    ("pure", "core/lifecycle.py", "import asyncio"),
    ("pure", "wire/sse.py", "from time import monotonic"),
    ("pure", "wire/sse.py", "import importlib\nm = importlib.import_module('logging.config')"),
    ("pure", "core/timers.py", "import typing\nif typing.TYPE_CHECKING:\n    import socket"),
    ("pure", "core/timers.py", "try:\n    import random\nexcept ImportError:\n    pass"),
    ("sync", "wire/text.py", "class A:\n    async def encode(self): ..."),
    ("no await", "log/memory.py", "class A:\n    async def append(self): ..."),
    ("no await", "runtime/producer.py", "async def f(): ..."),
    ("no await", "core/lifecycle.py", "async def f():\n    async for x in y: pass"),
    ("encoders decide nothing", "wire/text.py", "from finalstop.core import lifecycle"),
    ("encoders decide nothing", "wire/text.py", "from finalstop.core.lifecycle import Life"),
    ("encoder twins", "wire/text.py", "from finalstop.wire.anthropic import encode"),
    ("encoder twins", "wire/plain.py", "from . import text"),
    ("the log holds events", "log/memory.py", "from finalstop.wire import sse"),
    ("the log holds events", "log/contract.py", "from finalstop.upstream.contract import Sink"),
    ("stores stay in the log", "gateway/app.py", "import sqlite3"),
    ("stores stay in the log", "runtime/relay.py", "from redis.asyncio import Redis"),
    ("runtime is handed its parts", "runtime/relay.py", "from finalstop.log import memory"),
    ("runtime is handed its parts", "runtime/viewer.py", "from aiohttp import web"),
    ("runtime is handed its parts", "runtime/viewer.py", "from finalstop import gateway"),
    ("windows at the top", "runtime/relay.py", "from finalstop.telemetry import metrics"),
    ("windows at the top", "__init__.py", "import finalstop.telemetry"),
    ("backends are chosen at the top", "adapters/asgi.py", "from finalstop.log import memory"),
    ("backends are chosen at the top", "telemetry/log.py", "import finalstop.upstream.http"),
    ("simulator", "simulator/server.py", "from finalstop.wire import sse"),
    ("simulator", "simulator/server.py", "import aiohttp"),
    ("simulator", "simulator/server.py", "import pytest"),
    ("doctor", "doctor/probe.py", "from finalstop.runtime import relay"),
    ("light", "runtime/relay.py", "import structlog"),
    ("light", "__init__.py", "import aiohttp"),
    ("light", "guarded.py", "import anthropic"),
    ("light", "log/memory.py", "import redis"),
    ("one JSON library", "wire/anthropic.py", "import json"),
    ("names", "wire/utils.py", ""),
    ("names", "runtime/_helpers.py", ""),
    ("names", "common/__init__.py", ""),
]  # fmt: skip


def planted(path: str, text: str) -> list[Module]:
    return modules_of({f"{FRONT}/{path}": text})


@pytest.mark.parametrize(
    ("rule", "path", "text"), PLANTED, ids=[f"{row[0]}: {row[1]}" for row in PLANTED]
)
def test_a_planted_violation_is_seen(rule, path, text):
    assert broken(planted(path, text), [it for it in RULES if it.name == rule])


# name,                     text of a hot module where only `write` is hot,  seen
HOT_FUNCTIONS = [
    ("the hot one awaits", "async def write():\n    await x\nasync def wait(): ...", True),
    ("a cold one awaits", "def write(): ...\nasync def wait():\n    await x", False),
]


@pytest.mark.parametrize(
    ("text", "seen"), [row[1:] for row in HOT_FUNCTIONS], ids=[row[0] for row in HOT_FUNCTIONS]
)
def test_only_the_hot_functions_of_a_module_are_held_to_it(text, seen):
    rule = Rule("one", "", awaits_nothing({"finalstop.runtime.viewer": ("write",)}))
    assert bool(broken(planted("runtime/viewer.py", text), [rule])) is seen


def test_every_rule_has_a_planted_violation():
    assert {row[0] for row in PLANTED} == {rule.name for rule in RULES}


LAWFUL = {
    "__init__.py": "from finalstop.log.memory import MemoryLog\nfrom finalstop.core import events",
    "core/lifecycle.py": "import enum, math\nimport msgspec\nfrom .events import Event\n",
    "wire/text.py": "from finalstop.core.events import Event\nfrom finalstop.wire import sse",
    "wire/timed.py": "import timeit",
    "__main__.py": "from finalstop.cli import main",
    "log/memory.py": "class A:\n    async def read(self): ...",
    "log/sqlite.py": "import asyncio, sqlite3\nfrom finalstop.log.contract import Log",
    "log/redis.py": "from redis.asyncio import Redis\nasync def f():\n    await g()",
    "upstream/http.py": "import aiohttp\nfrom finalstop.upstream.contract import Upstream",
    "runtime/relay.py": "import asyncio\nfrom finalstop.log.contract import Log",
    "gateway/app.py": "import aiohttp\nfrom finalstop.log.memory import MemoryLog",
    "simulator/plugin.py": "import json, pytest, random\nfrom finalstop.simulator import server",
    "cli/__init__.py": "import typer\nfrom finalstop.gateway import app",
}


def test_a_lawful_house_breaks_no_rule():
    assert [broken(planted(path, text)) for path, text in LAWFUL.items()] == [[]] * len(LAWFUL)
