"""Measure every pair of the table, and write down what was seen: `make stacks`.

Pairs run one after the other: the figures are to be the servers', not the machine's. A pair that
does not keep its row is measured once more, and that stands. Names, or parts of them, pick pairs;
the others' rows then stay as they are.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from tests.stacks.table import (
    AIOHTTP_WORKER,
    ASGI_SERVERS,
    OWN,
    PACKAGES,
    PAIRS,
    WORKER,
    WSGI_SERVERS,
    Pair,
)
from tests.stacks.trial import KINDS, Seen, observe
from tests.stacks.verdict import complaints

MEASURED_MAX = 2
VERDICTS = Path(__file__).with_name("verdicts.json")


def versions() -> dict[str, str]:
    """Every package that a row of the table names, as it is installed here."""
    servers = (*ASGI_SERVERS.values(), *WSGI_SERVERS.values(), *OWN.values())
    named = {it for server in (*servers, WORKER, AIOHTTP_WORKER) for it in server.packages}
    names = sorted(named | {*PACKAGES.values(), "anthropic", "finalstop"})
    return {"Python": platform.python_version()} | {name: version(name) for name in names}


def written() -> dict[str, dict[str, Seen]]:
    """What the last run saw, by pair and column."""
    pairs = json.loads(VERDICTS.read_text("utf-8"))["pairs"]
    return {
        name: {column: KINDS[column](**cell) for column, cell in cells.items()}
        for name, cells in pairs.items()
    }


def main(picked: list[str]) -> int:
    """Measure, write, and say what is not kept. Returns how many pairs do not keep their row."""
    wanted = [it for it in PAIRS if not picked or any(word in it.name for word in picked)]
    if not wanted:
        sys.exit(
            f"no pair is called like {picked}; there are: {', '.join(it.name for it in PAIRS)}"
        )
    found = _others(picked)
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, pair in enumerate(wanted, start=1):
                sys.stdout.write(f"[{number}/{len(wanted)}] {pair.name}\n")
                sys.stdout.flush()
                broken += _measured(pair, Path(folder), found)
        finally:
            rows = {it.name: found[it.name] for it in PAIRS if it.name in found}
            VERDICTS.write_text(text_of(versions(), rows), "utf-8")
    return broken


def _others(picked: list[str]) -> dict[str, dict[str, Seen]]:
    if not picked or not VERDICTS.exists():
        return {}
    if json.loads(VERDICTS.read_text("utf-8"))["versions"] != versions():
        sys.exit("the other rows were measured with other versions than are installed: measure all")
    return written()


def _measured(pair: Pair, folder: Path, found: dict[str, dict[str, Seen]]) -> bool:
    for _ in range(MEASURED_MAX):
        found[pair.name] = observe(pair, folder)
        complained = complaints(pair, found[pair.name])
        for complaint in complained:
            sys.stdout.write(f"    {complaint}\n")
        if not complained:
            break
    return bool(complained)


def text_of(versions: Mapping[str, str], rows: Mapping[str, Mapping[str, Seen]]) -> str:
    """The run as JSON, a line for each cell, so that a difference can be read."""
    pairs = [
        f"  {json.dumps(name)}: {{\n" + ",\n".join(_lines(cells)) + "\n  }"
        for name, cells in rows.items()
    ]
    said = json.dumps(dict(versions), indent=2)
    return f'{{"versions": {said},\n"pairs": {{\n' + ",\n".join(pairs) + "\n}}\n"


def _lines(cells: Mapping[str, Seen]) -> Iterator[str]:
    for column, cell in cells.items():
        yield f"    {json.dumps(column)}: {json.dumps(asdict(cell))}"


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
