"""Plant bugs in a copy of our own code, one at a time, and see that a fast part of the tests fails.

A test that cannot fail proves nothing; this shows, bug by bug, that ours can. The tree itself is
never touched: `src` is copied to a temporary folder that comes first on the path. The same tests
must pass on the copy before anything is planted in it, and a planting whose text is no longer in
the code fails, so that the table cannot grow stale.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proof.ledger import ROOT, Figures, ProofError
from proof.planted.planting import Planting
from proof.planted.table import PLANTINGS

# A planted bug may hang a test; this ends it as a failure. Generous, for a busy machine.
TEST_S_MAX: Final = 30
SUBSET_S_MAX: Final = 300
PYTEST: Final = (
    "-m", "pytest", "-q", "-x", "-rf", "--no-header", "--tb=no", "-n", "0",
    "-p", "no:cacheprovider", f"--timeout={TEST_S_MAX}",
)  # fmt: skip
FAILED: Final = re.compile(r"^FAILED (?:tests/)?(.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Catch:
    """What the tests said of one planting; `test` is the first that failed, "" if none did."""

    planting: Planting
    test: str
    took_s: float


def main(argv: Sequence[str]) -> Figures:
    """Plant everything, or only what is named."""
    catches = plant(named(argv) if argv else PLANTINGS, say=True)
    return {
        "bugs planted": len(catches),
        "caught": len(catches),
        "planted bugs": [
            {
                "planted": catch.planting.name,
                "in": catch.planting.file,
                "caught by": catch.test.partition("[")[0],
            }
            for catch in catches
        ],
    }


def named(names: Sequence[str]) -> list[Planting]:
    """The plantings of these names.

    Raises:
        ProofError: there is none of that name.
    """
    by_name = {planting.name: planting for planting in PLANTINGS}
    if unknown := [name for name in names if name not in by_name]:
        raise ProofError(f"no planting {unknown[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def plant(plantings: Sequence[Planting], *, say: bool = False) -> list[Catch]:
    """Plant each in turn in a copy of `src`; return who caught it.

    Raises:
        ProofError: the tests fail without a planting, one was not caught, or one is stale.
    """
    complaints = [complaint for each in plantings if (complaint := stale(each))]
    if complaints:
        raise ProofError("; ".join(complaints))
    with TemporaryDirectory() as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        check_healthy(source, plantings)
        catches = [catch_of(source, each, say=say) for each in plantings]
    if loose := [catch.planting.name for catch in catches if not catch.test]:
        raise ProofError(f"not caught: {', '.join(loose)}")
    return catches


def stale(planting: Planting, root: Path = ROOT) -> str:
    """Why a planting cannot be planted; "" if it can."""
    path = root / "src" / "finalstop" / planting.file
    times = path.read_text("utf-8").count(planting.old) if path.exists() else 0
    if planting.old == planting.new:
        return f"{planting.name}: it changes nothing"
    if times != 1:
        return f"{planting.name}: its text is {times} times in {planting.file}, not once"
    return ""


def check_healthy(source: Path, plantings: Sequence[Planting]) -> None:
    """The tests that are to catch must run on the copy, and pass while nothing is planted."""
    code = "import finalstop; print(finalstop.__file__)"
    place = run(source, ["-c", code]).stdout
    if not Path(place.strip()).is_relative_to(source):
        raise ProofError("the copy of src is not what Python imports")
    tests = sorted({test for planting in plantings for test in planting.tests})
    healthy = run(source, [*PYTEST, *tests])
    if healthy.returncode != 0:
        raise ProofError(f"the tests fail with nothing planted:\n{healthy.stdout[-3000:]}")


def catch_of(source: Path, planting: Planting, *, say: bool) -> Catch:
    """Plant, run its tests, and take it out again."""
    began_s = time.perf_counter()
    with planted(source, planting):
        result = run(source, [*PYTEST, *planting.tests])
    failed = FAILED.search(result.stdout) if result.returncode == 1 else None
    if result.returncode not in {0, 1}:
        said = (result.stdout + result.stderr)[-2000:]
        raise ProofError(f"{planting.name}: the tests did not run ({result.returncode}):\n{said}")
    catch = Catch(planting, failed[1] if failed else "", time.perf_counter() - began_s)
    if say:
        print(
            f"   {planting.name}: {catch.test or 'NOT CAUGHT'} ({catch.took_s:.0f} s)", flush=True
        )
    return catch


@contextmanager
def planted(source: Path, planting: Planting) -> Iterator[None]:
    """The copy with the bug in it."""
    path = source / "finalstop" / planting.file
    healthy = path.read_text("utf-8")
    path.write_text(healthy.replace(planting.old, planting.new), "utf-8")
    try:
        yield
    finally:
        path.write_text(healthy, "utf-8")


def run(source: Path, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Python on the copy. No bytecode is kept: a planted file may be as old and as long."""
    env: Mapping[str, str] = {
        **os.environ,
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, *argv]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=SUBSET_S_MAX,
    )
