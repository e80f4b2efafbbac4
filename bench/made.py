"""What the benchmark makes for itself, once: the native load, a venv, packages of Node.

All of it lies in `.venv/bench`, where no tool looks for source; what it is made of is pinned here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools import node

BENCH: Final = Path(__file__).resolve().parent
ROOT: Final = BENCH.parent
MADE: Final = ROOT / ".venv" / "bench"
NATIVE: Final = BENCH / "native"
PROGRAMS: Final = BENCH / "programs"
COMPILE: Final = ("-std=c11", "-O2", "-Wall", "-Wextra")
INSTALL_S: Final = 900.0


class MissingError(RuntimeError):
    """Something that a subject needs cannot be had; the message says what to do."""


def made() -> Path:
    """The folder for what is made."""
    MADE.mkdir(parents=True, exist_ok=True)
    return MADE


def native_load() -> Path:
    """The load program, compiled anew when its source has changed.

    Raises:
        MissingError: there is no C compiler, or it failed.
    """
    sources = sorted(NATIVE.glob("*.c"))
    digest = _digest([*sources, NATIVE / "load.h"])
    program = made() / f"load-{digest}"
    if program.exists():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingError(
            "the benchmark's load is written in C and there is no C compiler (cc); on Debian: "
            "apt-get install gcc libc6-dev"
        )
    half = program.with_suffix(".half")
    _run([compiler, *COMPILE, "-o", str(half), *map(str, sources)])
    half.rename(program)
    return program


def binary(name: str, package: str) -> str:
    """The path of an installed program.

    Raises:
        MissingError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingError(f"{name} is not installed; on Debian: apt-get install {package}")
    return found


def node_program(name: str) -> tuple[str, Path]:
    """Node, and the folder of a program with its packages installed.

    Raises:
        MissingError: Node or the packages cannot be had.
    """
    folder = PROGRAMS / name
    try:
        node.install(folder)
        return str(node.node()), folder
    except node.NodeError as error:
        raise MissingError(str(error)) from None


def venv(name: str) -> Path:
    """The bin folder of a venv that holds what `programs/NAME.txt` pins.

    Raises:
        MissingError: it cannot be made.
    """
    pins = PROGRAMS / f"{name}.txt"
    folder = made() / f"{name}-{_digest([pins])}"
    stamp = folder / "ready"
    if not stamp.exists():
        print(f"bench: making a venv for {name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-compile"]
        # Wheels only, by their hashes: installing a peer must run no script of its own.
        # What is pinned is all: pip, left to look, finds a newer release for an extra and gives up.
        safely = ["--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]
        _run([*pip, *safely, "--no-deps", "-r", str(pins)])
        stamp.touch()
    return folder / "bin"


def _digest(paths: Sequence[Path]) -> str:
    content = b"\0".join(path.read_bytes() for path in paths)
    return hashlib.sha256(content).hexdigest()[:12]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"{command[0]} took longer than {INSTALL_S:g} s") from None
    if done.returncode:
        raise MissingError(f"{' '.join(command[:4])} ... failed:\n{done.stderr[-2000:]}")
