"""The command line as Markdown, read off the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main

from finalstop.cli.app import app


def commands_markdown() -> str:
    """A section per command: what it does, and a table of its options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["finalstop", name, *arguments])
    rows = list(_rows(command))
    table = ["| option | what it does |", "|---|---|", *rows] if rows else []
    parts = [f"## `{usage}`", inspect.cleandoc(command.help), "\n".join(table)]
    return "\n\n".join(part for part in parts if part)


def _rows(command: Any) -> Iterator[str]:
    for option in command.params:
        if option.param_type_name == "option" and option.name != "help":
            value = "" if option.is_flag else f" {option.metavar or option.opts[0][2:].upper()}"
            default = "" if option.default in {None, False} else f" Default: `{option.default}`."
            yield f"| `{option.opts[0]}{value}` | {option.help}{default} |"
