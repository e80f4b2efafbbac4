"""The command line: argument parsing and nothing else.

`main` is the console script. What it stands on is an extra, so nothing of that is imported here.
"""

import sys
from typing import Final

# The packages of `finalstop[gateway]`, as they are imported.
GATEWAY_PACKAGES: Final = frozenset(
    {
        "aiohappyeyeballs",
        "aiohttp",
        "h11",
        "httptools",
        "pydantic",
        "pydantic_settings",
        "rich",
        "structlog",
        "typer",
        "uvloop",
    }
)


def main() -> None:
    """Run the command line; leaves by SystemExit. Status 2: what was asked for is refused."""
    try:
        from finalstop.cli.app import app  # noqa: PLC0415 - typer may be missing, see below

        app()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in GATEWAY_PACKAGES:
            raise
        message = f"finalstop: the package {missing} is missing: pip install 'finalstop[gateway]'"
        print(message, file=sys.stderr)  # noqa: T201 - typer.echo may be what is missing
        sys.exit(2)


def cli_markdown() -> str:
    """The commands and their options, for docs/reference/cli.md."""
    from finalstop.cli.pages import commands_markdown  # noqa: PLC0415 - it needs the extra

    return commands_markdown()
