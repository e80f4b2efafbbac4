"""`import finalstop` is light: it brings no server, framework or SDK, and costs little time.

The bound is on what our own modules cost: what they stand on (msgspec, asyncio...) is imported
first. Of several runs the least disturbed counts, in CPU time: a busy machine only ever adds.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.doors import SOURCE

OURS_S_MAX = 0.060
RUNS = 7

# What may be installed beside us and is not to be loaded by us, nor by what we import.
HEAVY = {
    "aiohttp", "anthropic", "anyio", "django", "fastapi", "flask", "granian", "hypercorn", "httpx",
    "httpx2", "litestar", "opentelemetry", "prometheus_client", "pydantic", "pytest", "quart",
    "redis", "rich", "sqlite3", "starlette", "structlog", "typer", "uvicorn", "uvloop", "werkzeug",
}  # fmt: skip
# Of the standard library: dear, and needed by few.
LAZY = {"calendar", "email.utils", "http", "urllib.request"}
ROOMS = {"adapters", "cli", "doctor", "gateway", "simulator", "telemetry"}

BROUGHT = """
import sys
before = set(sys.modules)
import finalstop
print(*sorted(set(sys.modules) - before))
"""

TIMED = """
import contextlib, importlib, sys, time
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):  # a name that was made up by its parent
        importlib.import_module(name)
began = time.process_time()
import finalstop
print(time.process_time() - began)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a program with our source and a bytecode cache of its own, as an installed one has."""
    env = {name: it for name, it in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {
        "PYTHONPATH": str(SOURCE),
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode")),
    }

    def run(program, *arguments):
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="module")
def brought(run):
    return run(BROUGHT).split()


@pytest.mark.slow
def test_it_brings_no_server_framework_or_sdk(brought):
    assert not HEAVY & {name.partition(".")[0] for name in brought}


@pytest.mark.slow
def test_it_brings_nothing_of_the_standard_library_that_few_programs_need(brought):
    assert not LAZY & set(brought)


@pytest.mark.slow
def test_it_opens_no_room_that_is_not_the_librarys(brought):
    rooms = {name.split(".")[1] for name in brought if name.startswith("finalstop.")}
    assert "runtime" in rooms
    assert not ROOMS & rooms


@pytest.mark.slow
def test_our_own_modules_cost_less_than_60_ms(run, brought, record_property):
    others = [name for name in brought if name.partition(".")[0] != "finalstop"]
    times_s = sorted(float(run(TIMED, *others)) for _ in range(RUNS))
    record_property("figure", f"import finalstop: {times_s[0] * 1000:.0f} ms of CPU are ours")
    assert times_s[0] < OURS_S_MAX, f"CPU seconds of {RUNS} runs: {times_s}"
