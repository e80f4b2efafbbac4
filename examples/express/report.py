"""The results for a reader: a table in the terminal, JSON, and the pages that are kept.

Times differ from run to run, verdicts must not: what is committed holds verdicts only, and a test
runs the demo and compares. Pure; it may not know how anything is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.table import Table

from examples.express.cases import NEWEST, SDKS, Result, Route, Verdict
from examples.faults import FAULTS, Fault

# fault -> SDK -> route -> what became of it.
Verdicts = dict[str, dict[str, dict[str, str]]]

GOOD: Final = (Verdict.WHOLE, Verdict.CAUGHT)


def verdicts_of(results: Iterable[Result]) -> Verdicts:
    """What is kept of a run: no times, nothing that may differ in the next."""
    kept: Verdicts = {}
    for it in results:
        said = f"{it.verdict.value}: {it.reason}" if it.reason else it.verdict.value
        kept.setdefault(it.fault.spec, {}).setdefault(it.sdk, {})[it.route.value] = said
    return kept


def json_of(results: Sequence[Result]) -> str:
    """The whole run as JSON: one object per request."""
    return json.dumps([_plain(it) for it in results], indent=2)


def table_of(results: Sequence[Result]) -> Table:
    """The run as a table for the terminal: a row per fault and SDK, before and after."""
    table = Table(title="The same Express handler, before and after", title_justify="left")
    for name in ("the upstream", "SDK", "direct", "through finalstop", "what the handler is told"):
        table.add_column(name, overflow="fold")
    found = {(it.fault.spec, it.sdk, it.route): it for it in results}
    for fault in dict.fromkeys(it.fault for it in results):
        for sdk in SDKS:
            before, after = (found[fault.spec, sdk, route] for route in Route)
            says = f"{fault.says} [dim]({fault.spec})[/]" if sdk == NEWEST else ""
            cells = (says.replace("`", ""), sdk, _cell(before), _cell(after), _told(after))
            table.add_row(*cells, end_section=sdk != NEWEST)
    return table


def full_markdown(verdicts: Verdicts) -> str:
    """Every fault, for examples/express/README.md."""
    return _markdown(verdicts, FAULTS)


def excerpt_markdown(verdicts: Verdicts) -> str:
    """The rows that tell most, for the project's README: at most 20 lines."""
    return f"""\
An Express handler as everyone writes it: `for await` over `client.messages.stream()`, `res.write`,
`res.end()`, no timeouts. Official TypeScript SDK, {_and(f"`{sdk}`" for sdk in SDKS)}. Between the
two columns nothing differs but the base URL; *ends* means that `res.end()` ran.

{_markdown(verdicts, [fault for fault in FAULTS if fault.excerpt])}
See all {len(FAULTS)} live, with no key: `make demo-express`
([what it does](examples/express/README.md)).
"""


def _markdown(verdicts: Verdicts, faults: Iterable[Fault]) -> str:
    lines = ["| the upstream | direct | through finalstop |", "|---|---|---|"]
    for fault in faults:
        before, after = (_both(verdicts[fault.spec], route) for route in Route)
        lines.append(f"| {fault.says} | {before} | {after} |")
    return "\n".join(lines) + "\n"


def _both(by_sdk: dict[str, dict[str, str]], route: Route) -> str:
    """What became of it with the newest SDK, and with an older one where that differs."""
    newest = by_sdk[NEWEST][route]
    others = {sdk: said[route] for sdk, said in by_sdk.items() if sdk != NEWEST}
    differing = [
        f"{_marked(said)} ({sdk})"
        for sdk, said in others.items()
        if _verdict(said) != _verdict(newest)
    ]
    return "; ".join([_marked(newest), *differing])


def _marked(said: str) -> str:
    """Bold what is wrong; the end reason as code."""
    verdict = _verdict(said)
    reason = said.removeprefix(verdict).removeprefix(": ")
    if verdict not in GOOD:
        return f"**{verdict}**"
    return f"{verdict}: `{reason}`" if reason else verdict


def _verdict(said: str) -> Verdict:
    return next(verdict for verdict in Verdict if said.startswith(verdict))


def _cell(result: Result) -> str:
    said = result.verdict.value.replace("`", "")
    if result.verdict is Verdict.HANGS:
        return f"[bold red]HANGS[/] (open after {result.seen.after_s:.0f} s)"
    style = "green" if result.verdict in GOOD else "bold red"
    return f"[{style}]{said}[/] ({result.seen.after_s:.1f} s)"


def _told(result: Result) -> str:
    if result.verdict is Verdict.WHOLE:
        return "the loop ends"
    return result.reason or "[dim]an error, unnamed[/]"


def _plain(result: Result) -> dict[str, Any]:
    return {
        "fault": result.fault.spec,
        "sdk": result.sdk,
        "route": result.route.value,
        "verdict": result.verdict.value,
        "reason": result.reason or None,
        "whole": result.fault.whole,
        "after_s": round(result.seen.after_s, 2),
        "text_frames": result.seen.texts,
        "printed": result.seen.printed,
    }


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"
