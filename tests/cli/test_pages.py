"""The reference page of the command line says what the commands say."""

from __future__ import annotations

from typing import Any

import typer.main

from finalstop.cli import cli_markdown
from finalstop.cli.app import app
from tests.doors import ROOT


def test_the_page_says_what_the_code_says():
    assert cli_markdown().strip() in (ROOT / "docs/reference/cli.md").read_text()


def test_every_command_and_option_is_on_the_page():
    page = cli_markdown()
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert f"## `finalstop {name}" in page
        for option in command.params:
            if option.param_type_name == "option":
                assert option.name == "help" or f"`{option.opts[0]}" in page
