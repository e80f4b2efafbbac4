"""Every branch of core, wire and the memory log is taken by the module's own test file.

In a process of its own: coverage must be there before the modules are.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from proof.coverage_own import own_modules, own_test_of
from tests.doors import ROOT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_module_is_covered_by_its_own_tests(record_property):
    # Not `python -m proof`, which would write its figures down.
    command = [sys.executable, "-c", "from proof.coverage_own import main; print(main([]))"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "'100 %'" in done.stdout
    record_property("figure", "core, wire, log/memory: every branch by the module's own tests")


def test_the_modules_that_are_judged_are_all_there_are():
    judged = {path.name for room in ("core", "wire") for path in own_modules(room)}
    assert {"lifecycle.py", "sse.py", "anthropic.py"} <= judged
    assert [path.stem for path in own_modules("log")] == ["contract", "memory"]
    assert all(
        own_test_of(path).exists() for room in ("core", "wire", "log") for path in own_modules(room)
    )
