"""Read the source tree: what each module imports, by its full name, and where.

Pure: text in, facts out. It knows Python's import statement and nothing of our rules, which are
rows in test_house.py. Imports inside functions and under TYPE_CHECKING count: a type is a door too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its tree, whether it is a package's `__init__`."""

    name: str
    is_package: bool
    tree: ast.Module


@dataclass(frozen=True)
class Door:
    """One imported name in full: `from finalstop.core import ends` opens finalstop.core.ends."""

    target: str
    line: int


def source_files() -> dict[str, str]:
    """Path under src/ -> text, of every Python file of ours."""
    return {
        path.relative_to(SOURCE).as_posix(): path.read_text("utf-8")
        for path in sorted(SOURCE.rglob("*.py"))
    }


def modules_of(files: Mapping[str, str]) -> list[Module]:
    """Parse `files` (path under src/ -> text)."""
    return [_module(path, text) for path, text in files.items()]


def doors_of(module: Module) -> Iterator[Door]:
    """Every name that `module` imports, wherever the import stands."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (Door(alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(names=names):
                base = _base(module, node)
                yield from (Door(f"{base}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(target)), *_]):
                if ast.unparse(func).endswith(("import_module", "__import__")):
                    yield Door(target, node.lineno)
            case _:
                pass


def leads_into(target: str, room: str) -> bool:
    """Whether the dotted name `target` is `room` or lies inside it."""
    return target == room or target.startswith(room + ".")


def leads_into_any(target: str, rooms: tuple[str, ...]) -> bool:
    """Whether `target` lies in one of `rooms`."""
    return any(leads_into(target, room) for room in rooms)


def _module(path: str, text: str) -> Module:
    parts = path.removesuffix(".py").split("/")
    is_package = parts[-1] == "__init__"
    return Module(".".join(parts[:-1] if is_package else parts), is_package, ast.parse(text, path))


def _base(module: Module, node: ast.ImportFrom) -> str:
    """The module named after `from`, dots resolved as the import system does."""
    if node.level == 0:
        return node.module or ""
    package = module.name.split(".")
    climbed = node.level - (1 if module.is_package else 0)
    package = package[: len(package) - climbed]
    return ".".join([*package, *([node.module] if node.module else [])])
