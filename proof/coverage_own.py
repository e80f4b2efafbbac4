"""Every branch of core, wire and the memory log is taken by the module's own test file.

Own means own: src/finalstop/core/timers.py by tests/core/test_timers.py alone. One pytest run with
coverage's contexts does it: what a test file runs, from its import to its last test, counts under
the name of that file. What a module does when it is imported counts for everybody.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import coverage
import pytest

from proof.ledger import ROOT, Figures, ProofError

ROOMS: Final = ("core", "wire", "log")
SOURCE: Final = ROOT / "src" / "finalstop"
# Nothing in them but a docstring, or a Protocol of a store that another room's tests cover.
NOT_JUDGED: Final = {"__init__"}
IMPORTED: Final = "imported"
# finalstop is a pytest plugin too, and is imported here before pytest could rewrite it.
PYTEST: Final = (
    "-q", "--no-header", "-p", "no:cacheprovider", "-n", "0",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    # Those that measure memory would measure the coverage too.
    "-k", "not really_take",
)  # fmt: skip


def main(argv: Sequence[str]) -> Figures:
    """Run the rooms' tests; judge each module by its own."""
    modules = [path for room in ROOMS for path in own_modules(room)]
    if argv:
        modules = [path for path in modules if path.stem in argv]
    measured = run([own_test_of(path) for path in modules])
    judged = {path: judge(measured, path) for path in modules}
    if short := {path: missing for path, (missing, _) in judged.items() if missing}:
        said = "; ".join(f"{name_of(path)}: {', '.join(lines)}" for path, lines in short.items())
        raise ProofError(f"not taken by the module's own tests: {said}")
    return {
        "modules": len(modules),
        "branches": sum(branches for _, branches in judged.values()),
        "taken by the module's own tests": "100 %",
    }


def own_modules(room: str) -> list[Path]:
    """The modules of a room that are judged here: of the logs, the contract and the memory log."""
    names = {"log": {"contract", "memory"}}.get(room)
    return [
        path
        for path in sorted((SOURCE / room).glob("*.py"))
        if path.stem not in NOT_JUDGED and (names is None or path.stem in names)
    ]


def own_test_of(module: Path) -> Path:
    """The module's own test file."""
    return ROOT / "tests" / module.parent.name / f"test_{module.stem}.py"


def name_of(module: Path) -> str:
    """The module as a person names it."""
    return module.relative_to(SOURCE).as_posix()


class Contexts:
    """A pytest plugin: whatever a test file does is measured under its own name."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self._path: Path | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Import a test file under its own name."""
        self._turn_to(collector.path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Run a test under the name of its file."""
        self._turn_to(item.path)

    def _turn_to(self, path: Path) -> None:
        if path != self._path:  # a turn stores all that was measured so far
            self._path = path
            self._measured.switch_context(str(path))


def run(tests: Sequence[Path]) -> coverage.Coverage:
    """Run `tests` once, under contexts.

    Raises:
        ProofError: a test failed, or a module was imported before it could be measured.
    """
    early = [name for name in sys.modules if name.startswith("finalstop.")]
    if early:
        raise ProofError(f"imported too early to be measured: {early[:3]}; run it by itself")
    measured = coverage.Coverage(
        data_file=None, branch=True, source=[str(SOURCE)], config_file=str(ROOT / "pyproject.toml")
    )
    measured.set_option("run:patch", [])  # no process of these tests is measured
    measured.set_option("run:core", "ctrace")  # the one that knows contexts
    measured.start()
    measured.switch_context(IMPORTED)
    for room in ROOMS:
        package = importlib.import_module(f"finalstop.{room}")
        for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(each.name)
    status = pytest.main(
        [*PYTEST, *map(str, tests)],
        plugins=[Contexts(measured)],
    )
    measured.switch_context(IMPORTED)  # stores what the last test file did
    measured.stop()
    if status != pytest.ExitCode.OK:
        raise ProofError(f"the tests failed ({status!r}); see above")
    return measured


def judge(measured: coverage.Coverage, module: Path) -> tuple[list[str], int]:
    """What of `module` its own tests did not run, lines and `from->to`; how many branches it has.

    Raises:
        ProofError: nothing of the module was measured at all.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        own = [f"^{re.escape(name)}$" for name in (IMPORTED, str(own_test_of(module)))]
        measured.json_report(morfs=[str(module)], outfile=str(report), contexts=own)
        (told,) = json.loads(report.read_text("utf-8"))["files"].values()
    if not told["executed_lines"]:
        raise ProofError(f"nothing of {name_of(module)} was measured")
    lines = told["missing_lines"]
    arcs = [(start, end) for start, end in told["missing_branches"] if start not in lines]
    said = [f"{start}->{'exit' if end < 0 else end}" for start, end in arcs]
    return [*map(str, lines), *said], told["summary"]["num_branches"]
