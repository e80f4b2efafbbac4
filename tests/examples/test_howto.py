"""The howto pages' own code: each program is the example that is tested, and every import works."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys

import pytest

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
        f"pip install finalstop anthropic {framework}"
    )


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
def test_the_program_without_a_framework_runs(claude_simulator_url):
    env = os.environ | {"ANTHROPIC_BASE_URL": claude_simulator_url, "ANTHROPIC_API_KEY": "any"}
    command = [sys.executable, "-c", blocks(LIBRARY, "python")[0]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.count('"event":"end"') == 1
    assert done.stdout.rstrip().endswith("complete")
