"""The report in a terminal: the verdict first, then why, then what to change.

Everything foreign is shown as text, never as markup, with its control characters made visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from finalstop.doctor.advice import HANGS, advice_for
from finalstop.doctor.chart import Chart, chart_of
from finalstop.doctor.finding import Finding, Level
from finalstop.doctor.findings import untold
from finalstop.doctor.observations import Observations, Question, Step
from finalstop.doctor.page import as_html
from finalstop.doctor.record import (
    as_json,
    closing,
    diffs_of,
    safe_body,
    safe_headers,
    safe_url,
    verdict,
)
from finalstop.doctor.stacks import stacks_of
from finalstop.doctor.timeline import LEGEND, drawn, rows_of, ruler, scale
from finalstop.doctor.wording import counted, seconds, size, visible

__all__ = ["as_html", "as_json", "print_ci", "print_report"]

COLORS: Final = {Level.PROBLEM: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
NAME_COLUMNS: Final = 44
DRAWN_COLUMNS: Final = 48


def print_report(console: Console, seen: Observations, findings: Sequence[Finding]) -> None:
    """Print all of it; about two screens, and the diffs."""
    chart = chart_of(seen)
    seen = chart.seen
    _print_verdict(console, seen, findings)
    _print_question(console, chart)
    _print_timeline(console, chart)
    for finding in findings:
        _print_finding(console, finding)
    if HANGS.intersection(it.name for it in findings):
        _print_advice(console, seen)
    _print_diffs(console, findings)
    _print_untold(console, seen)


def print_ci(console: Console, seen: Observations, findings: Sequence[Finding]) -> None:
    """A line for each finding, and for what was not told: `level name: title (evidence)`."""
    seen = chart_of(seen).seen
    for found in findings:
        line = f"{found.level} {found.name}: {found.title} ({found.evidence[0]})"
        console.print(Text(line), soft_wrap=True)
    for it in untold(seen):
        console.print(Text(f"untold {it.what}: {it.why}"), soft_wrap=True)
    console.print(
        Text(f"finalstop doctor {safe_url(seen.url)}: {verdict(findings)}"), soft_wrap=True
    )


def _print_verdict(console: Console, seen: Observations, findings: Sequence[Finding]) -> None:
    worst = findings[0].level if findings else None
    color = COLORS[worst] if worst else "green"
    line = Text(f"{safe_url(seen.url)}: {verdict(findings)}", style=f"bold {color}")
    console.print(line)
    if worst is not Level.PROBLEM:
        console.print(Text(closing(seen, findings)))
        return
    first = findings[0]
    console.print(Text(f"{_sentence(first.title)}."))
    console.print(Text(f"Seen: {first.evidence[0]}"))
    console.print(Text(f"Cause: {first.why}."))
    console.print(Text(f"Cure: {first.fix.words}"))
    others = [it.title for it in findings[1:] if it.level is Level.PROBLEM]
    for title in others:
        console.print(Text(f"  also: {title}"))


def _print_question(console: Console, chart: Chart) -> None:
    seen = chart.seen
    _rule(console, "what was asked")
    asked = seen.steps.get(Step.ASK) or next((it.exchange for it in seen.trials.values()), None)
    if asked is not None:
        for line in _question_lines(asked.question):
            console.print(Text(line))
    speaks = f"It speaks: {chart.dialect.name}"
    console.print(Text(f"{speaks}; its terminal is: {chart.terminal}"))
    told = ", ".join(f"{it.stack} (by {it.by})" for it in stacks_of(seen)) or "unknown"
    console.print(Text(f"Stack: {told}"))
    if seen.trials:
        console.print(
            Text(
                f"An exchange without progress was watched for {seconds(seen.window_s)}. With --run"
                " the limits STREAM_IDLE_S, FINALSTOP_IDLE_S and the like are set below that."
            )
        )


def _question_lines(question: Question) -> Iterator[str]:
    yield f"{question.method} {safe_url(question.url)}"
    for name, value in safe_headers(question.headers):
        yield f"  {name}: {value}"
    if question.body:
        yield f"  {size(len(question.body))}: {visible(safe_body(question))}"


def _print_timeline(console: Console, chart: Chart) -> None:
    rows = rows_of(chart)
    if not rows:
        return
    _rule(console, "what came when")
    whole_s = scale(rows)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(max_width=NAME_COLUMNS)
    table.add_column()
    table.add_column(no_wrap=True)
    for row in rows:
        line = drawn(row, whole_s=whole_s, columns=DRAWN_COLUMNS)
        table.add_row(Text(row.name), Text(row.status), Text(line))
    table.add_row(Text(""), Text(""), Text(ruler(whole_s, DRAWN_COLUMNS)))
    console.print(table)
    console.print(Text(LEGEND, style="dim"))


def _print_finding(console: Console, finding: Finding) -> None:
    _rule(console, f"{finding.level}: {finding.name}", style=COLORS[finding.level])
    console.print(Text(f"{_sentence(finding.title)}.", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for place, it in enumerate(finding.evidence):
        table.add_row(Text("" if place else "seen", style="dim"), Text(it))
    table.add_row(Text("why", style="dim"), Text(finding.why))
    table.add_row(Text("hurts", style="dim"), Text(finding.hurts))
    below = "; the diff is below" if finding.fix.diff else ""
    table.add_row(Text("fix", style="dim"), Text(f"{finding.fix.words.rstrip('.')}{below}."))
    console.print(table)


def _print_advice(console: Console, seen: Observations) -> None:
    _rule(console, "what is true of the popular advice")
    table = Table(box=None, pad_edge=False)
    for title in ("advice", "cures", "does not cure"):
        table.add_column(title, ratio=1)
    for it in advice_for(stacks_of(seen)):
        table.add_row(Text(it.says), Text(it.cures), Text(it.leaves))
    console.print(table)


def _print_diffs(console: Console, findings: Sequence[Finding]) -> None:
    for fix, cures in diffs_of(findings):
        yours = "your file: apply it with `patch -p1`"
        _rule(console, f"the diff ({yours if fix.yours else f'for {fix.stack}, as an example'})")
        console.print(Text(f"It cures {', '.join(cures)}."))
        console.print(_colored(fix.diff), soft_wrap=True)


def _colored(diff: str) -> Text:
    """The diff as it is, so that it can be applied; only orders to the terminal are escaped."""
    text = Text(tab_size=4)
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        shown = "\t".join(visible(part, len(part)) for part in line.split("\t"))
        text.append(f"{shown}\n", style=styles.get(line[:1], ""))
    return text


def _print_untold(console: Console, seen: Observations) -> None:
    open_questions = untold(seen)
    if not open_questions:
        return
    _rule(console, f"{counted(len(open_questions), 'thing')} could not be told")
    for it in open_questions:
        console.print(Text(f"{it.what}: {it.why}"))


def _rule(console: Console, title: str, *, style: str = "dim") -> None:
    console.print()
    console.print(Rule(Text(title), align="left", style=style, characters="-"))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"
