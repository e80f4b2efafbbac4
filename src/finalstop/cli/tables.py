"""What the commands show in a terminal: the settings, a receipt, and text that is not ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

import msgspec
from rich.console import Console
from rich.table import Table

from finalstop.core.receipt import Receipt, Usage
from finalstop.gateway.config import Row

# Where nobody looks at a screen, lines stay whole so that grep finds what belongs together.
WIDE: Final = 240
_CONTROLS: Final = {
    code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
}


def print_settings(rows: Sequence[Row]) -> None:
    """The rows of `finalstop config`, on standard output."""
    table = Table("setting", "value", "source", "why", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.name, _shown(row.value), row.source, row.reason)
    _print(table, sys.stdout)


def settings_json(rows: Sequence[Row]) -> str:
    """The same as JSON: a list of objects."""
    return msgspec.json.format(msgspec.json.encode(rows)).decode()


def print_receipt(receipt: Receipt) -> None:
    """A receipt, on standard error: standard output holds the answer alone."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _lines(receipt):
        table.add_row(name, printable(value, is_terminal=True))
    _print(table, sys.stderr)


def printable(text: str, *, is_terminal: bool | None = None) -> str:
    """Text from a model as it may be written: a terminal must not take orders from it.

    Args:
        text: as it came.
        is_terminal: whether it goes to a terminal; asks standard output when not said.
    """
    if sys.stdout.isatty() if is_terminal is None else is_terminal:
        return text.translate(_CONTROLS)
    return text


def _print(table: Table, file: TextIO) -> None:
    width = None if file.isatty() else WIDE
    Console(file=file, markup=False, highlight=False, width=width).print(table)


def _lines(receipt: Receipt) -> Iterator[tuple[str, str]]:
    yield "ended", f"{receipt.reason} ({receipt.party})"
    if receipt.detail:
        yield "detail", receipt.detail
    if receipt.stop_reason is not None:
        yield "stop reason", receipt.stop_reason
    yield "model", receipt.model or "unknown"
    yield "usage", _usage(receipt.usage)
    times = receipt.timings
    if times.first_content_s is not None:
        yield "first content", f"{times.first_content_s:.2f} s"
    yield "total", f"{times.total_s:.2f} s, longest gap {times.longest_gap_s:.2f} s"
    if receipt.request_id is not None:
        yield "request id", receipt.request_id
    if not receipt.complete:
        yield "retryable", _retry(receipt)


def _usage(usage: Usage) -> str:
    parts = [str(usage.status)]
    if usage.input_tokens is not None:
        parts.append(f"{usage.input_tokens} tokens in")
    if usage.output_tokens is not None:
        parts.append(f"{usage.output_tokens} tokens out")
    if usage.output_tokens_at_least is not None:
        parts.append(f"at least {usage.output_tokens_at_least} tokens out")
    return ", ".join([*parts, f"{usage.characters} characters"])


def _retry(receipt: Receipt) -> str:
    if not receipt.retryable:
        return "no"
    after = receipt.retry_after_s
    return "yes" if after is None else f"yes, after {after:g} s"


def _shown(value: object) -> str:
    match value:
        case None | ():
            return "-"
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)
