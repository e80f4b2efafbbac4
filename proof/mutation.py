"""Of all small changes to core, the share that core's own tests notice.

mutmut changes a copy of the tree, one expression at a time, and runs the tests of tests/core that
touch what it changed. Who is not noticed is listed, the equivalent ones with the reason why nobody
could. mutmut leaves decorated functions and tables alone; for those there are the planted bugs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proof.ledger import ROOT, Figures, ProofError

SCORE_MIN: Final = 90.0
MUTMUT_S_MAX: Final = 7200.0
# What the tests of core stand on.
COPIED: Final = ("src", "tests/core", "tests/builders.py", "tests/conftest.py", "tests/doors.py")
SETTINGS: Final = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/finalstop/core/*"]
also_copy = ["tests"]
pytest_add_cli_args_test_selection = ["tests/core"]
pytest_add_cli_args = ["-n0", "-p", "no:cacheprovider"]
"""

# What the mutant says now instead -> why no test can tell. Lines as mutmut shows them.
EQUIVALENT: Final[Mapping[str, str]] = {
    'return "invalid_request_error" if status <= SERVER_ERROR else "api_error"': (
        "500 has a type of its own, so this line never sees it"
    ),
    'name = str(error).partition("$.")[2].rstrip("`")': (
        "msgspec names one place, so the first is the last"
    ),
    'name = str(error).rpartition("$.")[2].rstrip("XX`XX")': "no limit has an X at its end",
    "elif now - self.content_at >= self.longest_gap_s:": "an equal gap is put in its own place",
    "self._before = None": "every batch sets it before anything reads it",
    "assert_never(None)": "the type checker proves that it cannot be reached",
    "-case _:": "the same: what is taken out cannot be reached",
}
# Two Structs of one type have as many fields: `strict` only says so.
EQUIVALENT_PATTERNS: Final[Mapping[str, str]] = {
    r"in zip\(astuple\(later\), astuple\(earlier\), (strict=(None|False))?\)": (
        "both have the fields of one type; `strict` only says so"
    ),
    r"= zip\(self.views, self.jsons, (strict=(None|False))?\)": (
        "each delta has its view and its JSON; `strict` only says so"
    ),
    r"= \[cast\(": "a cast is for the type checker and does nothing",
}


def main(argv: Sequence[str]) -> Figures:
    """Run mutmut; `argv` names mutants to run, as mutmut does."""
    with TemporaryDirectory() as folder:
        tree = Path(folder)
        plant(tree)
        mutmut(tree, "run", "--max-children", "2", *argv)
        stats = stats_of(tree)
        survivors = survivors_of(tree)
    total = stats["total"] - stats["skipped"]
    caught = stats["killed"] + stats["timeout"] + stats["segfault"]
    equivalent = {name: why for name, line in survivors.items() if (why := reason(line))}
    noticeable = total - len(equivalent)
    score = 100 * caught / noticeable if noticeable else 0.0
    loose = [f"{name}: {line}" for name, line in survivors.items() if name not in equivalent]
    if stats["check_was_interrupted_by_user"] or score < SCORE_MIN:
        said = "\n".join(loose)
        raise ProofError(f"score {score:.1f} %, wanted {SCORE_MIN:g} %; not noticed:\n{said}")
    return {
        "mutants": total,
        "noticed": caught,
        "not noticed": len(loose),
        "of the others, nobody could": len(equivalent),
        "score": f"{score:.1f} %",
        "score with those that nobody could": f"{100 * caught / total:.1f} %",
        "mutants that were not noticed": [
            {
                "in": place_of(name),
                "says": line.removeprefix("-"),
                "why": reason(line) or "no test looks",
            }
            for name, line in survivors.items()
        ],
    }


def plant(tree: Path) -> None:
    """Put a copy of what is tested, and its tests, into `tree`."""
    for name in COPIED:
        source, target = ROOT / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    settings = (ROOT / "pyproject.toml").read_text("utf-8") + SETTINGS
    (tree / "pyproject.toml").write_text(settings, "utf-8")


def mutmut(tree: Path, *argv: str) -> str:
    """Run mutmut in `tree`; return what it said.

    Raises:
        ProofError: it failed.
    """
    command = [sys.executable, "-m", "mutmut", *argv]
    done = subprocess.run(
        command, cwd=tree, capture_output=True, text=True, check=False, timeout=MUTMUT_S_MAX
    )
    if done.returncode:
        raise ProofError(f"mutmut {argv[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def stats_of(tree: Path) -> dict[str, int]:
    """How many mutants there were, and what became of them."""
    mutmut(tree, "export-cicd-stats")
    stats: dict[str, int] = json.loads((tree / "mutants/mutmut-cicd-stats.json").read_text("utf-8"))
    return stats


def survivors_of(tree: Path) -> dict[str, str]:
    """The mutants that no test noticed, and the line that each has instead."""
    results = mutmut(tree, "results")
    names = re.findall(r"^\s*(\S+): (?:survived|no tests|suspicious)$", results, re.MULTILINE)
    return {name: line_of(mutmut(tree, "show", name)) for name in names}


def line_of(diff: str) -> str:
    """The first line that was put in; with a `-` before it, one that was only taken out."""
    lines = [it for it in diff.splitlines() if not it.startswith(("+++", "---"))]
    put = [it[1:].strip() for it in lines if it.startswith("+")]
    gone = ["-" + it[1:].strip() for it in lines if it.startswith("-")]
    return (put or gone or [""])[0]


def reason(line: str) -> str:
    """Why nobody could notice this line; "" if somebody could."""
    patterns = (why for pattern, why in EQUIVALENT_PATTERNS.items() if re.search(pattern, line))
    return EQUIVALENT.get(line) or next(patterns, "")


def place_of(name: str) -> str:
    """A mutant's function as a person names it."""
    module, _, function = name.removeprefix("finalstop.").rpartition(".")
    function = function.partition("__mutmut_")[0].removeprefix("x_")
    return f"{module}.{'.'.join(part for part in function.split('ǁ') if part not in {'', 'x'})}"
