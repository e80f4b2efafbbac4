"""The howto pages' own code: each program is the example that is tested, and every import works."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from finalstop import Limits, MemoryLog, Relay
from tests.adapters.answers import HEALTHY
from tests.adapters.fake_asgi import FakeClient, asked_in_process
from tests.doors import ROOT

PAGES = sorted((ROOT / "docs" / "howto").glob("*.md"))
FRAMEWORKS = ("aiohttp", "django", "fastapi", "flask", "litestar", "quart", "starlette")
FENCE = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
LIBRARY = ROOT / "docs" / "reference" / "library.md"


def blocks(path, language):
    """The page's blocks of code in one language."""
    return [code for said, code in FENCE.findall(path.read_text("utf-8")) if said == language]


def page_of(framework):
    return ROOT / "docs" / "howto" / f"{framework}.md"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_pages_program_is_the_example(framework):
    example = (ROOT / "examples" / framework / "app.py").read_text("utf-8")
    assert blocks(page_of(framework), "python")[0].strip() in example


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_page_begins_with_what_to_install(framework):
    assert blocks(page_of(framework), "sh")[0].startswith(
        f"pip install ./finalstop anthropic {framework}"
    )


def test_the_second_program_for_django_is_the_sync_example():
    example = (ROOT / "examples" / "django" / "sync_app.py").read_text("utf-8")
    assert blocks(page_of("django"), "python")[1].strip() in example


def test_every_limit_is_said_to_be_read_from_one_place():
    """Which those are is tested where they are read; a new one must be put somewhere."""
    text = LIBRARY.read_text("utf-8").partition("### Whose limit it is")[2]
    table = "".join(line for line in text.splitlines() if line.startswith("| "))
    said = [it for it in re.findall(r"`(\w+)`", table) if it.islower() and it != "limits"]
    assert sorted(said) == sorted(Limits.__struct_fields__)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES, LIBRARY], ids=lambda page: page.stem)
def test_every_block_compiles_and_its_imports_work(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        imports = [it for it in tree.body if isinstance(it, ast.Import | ast.ImportFrom)]
        names: dict[str, object] = {}
        exec(compile(ast.Module([*imports], []), page.name, "exec"), names)
        assert names.keys() >= {it.asname or it.name for found in imports for it in found.names}


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1], ids=["with the SDK", "with a plain request dict"])
def test_a_program_without_a_framework_runs(number, claude_simulator_url):
    env = os.environ | {"ANTHROPIC_BASE_URL": claude_simulator_url, "ANTHROPIC_API_KEY": "any"}
    command = [sys.executable, "-c", blocks(LIBRARY, "python")[number]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.count('"event":"end"') == 1
    assert done.stdout.rstrip().endswith("complete")


@pytest.mark.slow
async def test_the_second_viewers_endpoint_gives_the_same_bytes_as_the_first(monkeypatch):
    relay = Relay(MemoryLog(Limits()), Limits())
    names: dict[str, Any] = {}
    exec(blocks(LIBRARY, "python")[2], names)
    monkeypatch.setitem(names, "shared_relay", lambda: relay)
    stream = relay.open(iter(HEALTHY), linger_s=5)
    first = b"".join([piece async for piece in stream.attach("text")])
    second = await asked(names["app"], f"/stream-claude/{stream.id}")
    assert (second.status, second.body, second.is_whole) == (200, first, True)
    assert first.count(b'"reason":"complete"') == 1
    assert (await asked(names["app"], "/stream-claude/nobody")).status == 404
    relay.close()


async def asked(app, path):
    client = FakeClient()
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "headers": [], "extensions": {}, "state": {},
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    await app(scope, client.receive, client.send)
    return client


@pytest.mark.slow
async def test_the_program_without_any_framework_answers_and_refuses_a_lifespan(
    monkeypatch, claude_simulator_url
):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude_simulator_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    names: dict[str, Any] = {}
    exec(blocks(page_of("asgi"), "python")[0], names)
    client = FakeClient()
    await (await asked_in_process(names["app"], client))
    assert client.status == 200
    assert client.body.count(b'"reason":"complete"') == 1
    with pytest.raises(RuntimeError, match="no lifespan here"):
        await names["app"]({"type": "lifespan"}, client.receive, client.send)
    await names["client"].close()
