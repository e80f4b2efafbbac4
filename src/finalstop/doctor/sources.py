"""What of the person's program can be read, to tell its stack apart and to write the fix for it.

Only source files that the command itself names, and package.json; never a file of settings or
secrets, and nothing outside the folder.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

FILES_MAX: Final = 8
FILE_BYTES_MAX: Final = 128 * 1024
_SUFFIXES: Final = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".py", ".conf"})
_STARTERS: Final = frozenset({"npm", "pnpm", "yarn", "bun"})


def read_sources(command: str, folder: Path) -> dict[str, str]:
    """File name, as seen from `folder`, -> its text."""
    found: dict[str, str] = {}
    for path in _candidates(command, folder):
        name = path.as_posix()
        text = _text(folder / path, folder)
        if text is not None and name not in found and len(found) < FILES_MAX:
            found[name] = text
    return found


def _candidates(command: str, folder: Path) -> Iterator[Path]:
    words = _words(command)
    yield from _named(words)
    package = _package(folder)
    if package is not None and words and Path(words[0]).name in _STARTERS:
        scripts = package.get("scripts")
        script = scripts.get(words[-1], "") if isinstance(scripts, dict) else ""
        yield from _named(_words(str(script)))
    if package is not None:
        yield Path("package.json")


def _named(words: list[str]) -> Iterator[Path]:
    for word in words:
        if Path(word).suffix in _SUFFIXES:
            yield Path(word)
            continue
        # `uvicorn app:app`, `python -m app`, `gunicorn package.app:app`
        module = word.partition(":")[0].partition("(")[0].replace(".", "/")
        if module.replace("/", "").isidentifier():
            yield Path(f"{module}.py")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _package(folder: Path) -> dict[str, object] | None:
    text = _text(folder / "package.json", folder)
    try:
        package = msgspec.json.decode(text or "")
    except msgspec.DecodeError:
        return None
    return package if isinstance(package, dict) else None


def _text(path: Path, folder: Path) -> str | None:
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        if not inside or not path.is_file() or path.stat().st_size > FILE_BYTES_MAX:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return None
