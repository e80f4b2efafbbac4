"""The public face as two checkers see it: tests/typing is read by mypy and by pyright, both strict.

A name that became `Any` would pass every other test and help nobody.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doors import ROOT
from tools.node import node

FACES = ROOT / "tests" / "typing"
WRONG = "import finalstop\n\nnumber: int = finalstop.Limits().idle_s + 'x'\n"


def pyright_command(project: Path) -> list[str]:
    # Not the wheel's own launcher: it looks for a node on the network; the checker is in the wheel.
    spec = importlib.util.find_spec("pyright")
    assert spec is not None, "pyright is not installed: make setup-dev"
    assert spec.origin is not None
    index = Path(spec.origin).parent / "dist" / "index.js"
    return [str(node()), str(index), "--pythonpath", sys.executable, "-p", str(project)]


def mypy_command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "mypy", "--strict", str(folder)]


def complaints(command: list[str]) -> str:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.slow
def test_mypy_agrees_with_every_asserted_type():
    assert not complaints(mypy_command(FACES))


@pytest.mark.slow
def test_pyright_agrees_with_every_asserted_type():
    assert not complaints(pyright_command(FACES / "pyrightconfig.json"))


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_checkers_do_see_a_mistake(checker, tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    if checker == "mypy":
        command = mypy_command(tmp_path)
    else:
        config = (FACES / "pyrightconfig.json").read_text()
        project = tmp_path / "pyrightconfig.json"
        project.write_text(config.replace("../../src", str(ROOT / "src")))
        command = pyright_command(project)
    assert "wrong.py" in complaints(command)
