"""The tidy rules: sizes, names, leftovers, and what must never be committed.

Each rule is a function from text to complaints, so that it can be shown to complain. The ceilings
count everything between a function's `def` and its last line, docstring included: a screen does
not know which lines are prose.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doors import ROOT, source_files

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100

# Source modules that need no test file of their own, and why.
NO_TEST_FILE = {
    "__init__": "a front door: it re-exports, and test_exports.py pins what",
    "__main__": "one line that calls the command line",
}

# Spelled so that this file does not contain what it looks for.
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
REGISTRY_HOSTS = re.compile(
    r"pypi\.o" r"rg|pythonhosted\.o" r"rg|npmjs\.(o" r"rg|c" r"om)|yarnpkg\.c" r"om|"
    r"debian\.o" r"rg|proxy\.golang\.o" r"rg|index-u" r"rl\b|\"resol" r"ved\""
)  # fmt: skip
MACHINE_PATHS = re.compile(
    r"/(wo" r"rk|ro" r"ot|fa" r"rm)/|(?<![\w.])/tm" r"p/|/opt/(py" r"pi|wheels)"
)

Complaints = Iterator[str]


def module_is_short(text: str) -> Complaints:
    lines = text.count("\n")
    if lines > MODULE_LINES_MAX:
        yield f"{lines} lines; split it (at most {MODULE_LINES_MAX})"


def functions_are_short(text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines (at most {FUNCTION_LINES_MAX})"


def module_says_what_it_is_for(text: str) -> Complaints:
    if not ast.get_docstring(ast.parse(text)):
        yield "no module docstring: say what this room is for and what it may not know"


def lines_are_short(text: str) -> Complaints:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > COLUMNS_MAX:
            yield f"{number}: {len(line)} columns (at most {COLUMNS_MAX})"


def nothing_is_left_over(text: str) -> Complaints:
    yield from _found(LEFTOVERS, text, "do it, or open an issue")


def no_registry_is_named(text: str) -> Complaints:
    yield from _found(REGISTRY_HOSTS, text, "name the package, not where this machine got it")


def no_machine_is_named(text: str) -> Complaints:
    yield from _found(MACHINE_PATHS, text, "use a path relative to the repository, or mktemp")


def _found(pattern: re.Pattern[str], text: str, advice: str) -> Complaints:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := pattern.search(line):
            yield f"{number}: {found.group()!r}: {advice}"


SOURCE_RULES = [module_is_short, functions_are_short, module_says_what_it_is_for]
SCRIPT_RULES = [lines_are_short]
TEXT_RULES = [nothing_is_left_over, no_registry_is_named, no_machine_is_named]


def name_of(rule: Callable[[str], Complaints]) -> str:
    return rule.__name__


# --- the tree --------------------------------------------------------------------------------


def committed_files() -> list[Path]:
    """What git tracks or would add: an error is found before it is committed, not after."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are committed")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str:
    """The text of a file; empty for one that is not text (a picture, a recorded body)."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def is_script(path: Path) -> bool:
    return path.suffix in {".py", ".sh", ".js", ".mjs", ".ts"} or path.name in {"Makefile", "run"}


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
def test_the_source_is_tidy(rule):
    files = {path: text for path, text in source_files().items() if text}
    assert files
    complaints = [f"{path}:{said}" for path, text in files.items() for said in rule(text)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", [*SCRIPT_RULES, *TEXT_RULES], ids=name_of)
def test_what_is_committed_is_tidy(rule):
    paths = [path for path in committed_files() if rule in TEXT_RULES or is_script(path)]
    assert paths
    complaints = [
        f"{path.relative_to(ROOT)}:{said}" for path in paths for said in rule(text_of(path))
    ]
    assert not complaints, "\n".join(complaints)


def missing_test_files(sources: list[str], tests: set[str]) -> Complaints:
    """x/y.py (under src/finalstop) wants x/test_y.py (under tests)."""
    for source in sources:
        room, _, name = source.removesuffix(".py").rpartition("/")
        wanted = f"{room}/test_{name}.py".lstrip("/")
        if name not in NO_TEST_FILE and wanted not in tests:
            yield f"{source} has no tests/{wanted}"


def test_every_module_has_its_own_test_file():
    sources = [path.removeprefix("finalstop/") for path in source_files()]
    tests = {path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/*.py")}
    complaints = list(missing_test_files(sources, tests))
    assert not complaints, "\n".join(complaints)


# --- what we stand on ------------------------------------------------------------------------

PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)(.*)$")


def pins_of(text: str) -> dict[str, str]:
    """Package -> version, of a requirements file where every package must be pinned and hashed."""
    pins: dict[str, str] = {}
    for block in re.split(r"\n(?=[^\s#])", text.strip()):
        pinned = PINNED.match(block.partition("\n")[0])
        assert pinned, f"not pinned: {block.partition(chr(10))[0]!r}; run make lock"
        assert "--hash=sha256:" in block, f"{pinned[1]} has no hash; run make lock"
        pins[pinned[1]] = pinned[2]
    return pins


def test_the_gateway_runs_on_what_the_tests_ran_on():
    gateway, dev = (
        pins_of((ROOT / "requirements" / name).read_text("utf-8"))
        for name in ("gateway.txt", "dev.txt")
    )
    assert gateway.items() <= dev.items()


# --- the rules see ---------------------------------------------------------------------------

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX
LONGEST_FUNCTION = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1)
LONG_DOCSTRING = 'def f():\n    """' + "why\n" * FUNCTION_LINES_MAX + '    """\n'

# rule, text, whether it complains
SEEN = [
    (module_is_short, "x = 1\n" * MODULE_LINES_MAX, False),
    (module_is_short, "x = 1\n" * (MODULE_LINES_MAX + 1), True),
    (functions_are_short, LONGEST_FUNCTION, False),
    (functions_are_short, LONG_FUNCTION, True),
    (functions_are_short, "async " + LONG_FUNCTION, True),
    (functions_are_short, LONG_DOCSTRING, True),
    (module_says_what_it_is_for, '"""The law."""\n', False),
    (module_says_what_it_is_for, "# The law.\nx = 1\n", True),
    (lines_are_short, "x" * COLUMNS_MAX, False),
    (lines_are_short, "x" * (COLUMNS_MAX + 1), True),
    (nothing_is_left_over, "# to do, some day: fix methods", False),
    (nothing_is_left_over, ("# TO" "DO: later"), True),
    (nothing_is_left_over, ("# FIX" "ME"), True),
    (no_registry_is_named, "pip install finalstop; see https://docs.python.org", False),
    (no_registry_is_named, ("https://files.pythonhosted.o" "rg/x"), True),
    (no_registry_is_named, ('"resol' 'ved": "x"'), True),
    (no_registry_is_named, ("--extra-index-u" "rl x"), True),
    (no_machine_is_named, "docs/work.md, src/tmp/x, https://host/options/", False),
    (no_machine_is_named, ("cd /wo" "rk/main"), True),
    (no_machine_is_named, ("open('/tm" "p/x')"), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "complains"), SEEN, ids=[f"{name_of(row[0])}: {row[2]}" for row in SEEN]
)
def test_a_rule_complains_when_it_should_and_only_then(rule, text, complains):
    assert bool(list(rule(text))) is complains


def test_a_module_without_its_test_file_is_seen():
    sources = ["core/events.py", "core/__init__.py", "guard.py", "wire/sse.py"]
    tests = {"core/test_events.py", "test_sse.py"}
    assert list(missing_test_files(sources, tests)) == [
        "guard.py has no tests/test_guard.py",
        "wire/sse.py has no tests/wire/test_sse.py",
    ]


@pytest.mark.parametrize("text", ["aiohttp>=3\n    --hash=sha256:00", "aiohttp==3.14.5\n    # via"])
def test_an_unpinned_or_unhashed_requirement_is_seen(text):
    with pytest.raises(AssertionError, match="make lock"):
        pins_of(text)
