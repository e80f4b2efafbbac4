"""The report as data: one JSON object with a stable schema, and the header values it may show.

The schema grows and never changes its meaning; `docs/reference/findings.md` documents it. Keys are
never in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from finalstop.doctor.chart import chart_of
from finalstop.doctor.finding import Finding, Fix, Level
from finalstop.doctor.findings import all_ended_and_said_how, untold
from finalstop.doctor.masking import HIDDEN, safe_body, safe_headers, safe_url
from finalstop.doctor.observations import Observations
from finalstop.doctor.stacks import stacks_of
from finalstop.doctor.timeline import Row, rows_of
from finalstop.doctor.wording import counted

__all__ = [
    "HIDDEN",
    "SCHEMA",
    "as_json",
    "closing",
    "diffs_of",
    "record_of",
    "safe_body",
    "safe_headers",
    "safe_url",
    "verdict",
]

SCHEMA: Final = 1


def as_json(seen: Observations, findings: Sequence[Finding]) -> str:
    """The report as JSON, indented."""
    return json.dumps(record_of(seen, findings), indent=2, ensure_ascii=False)


def record_of(seen: Observations, findings: Sequence[Finding]) -> dict[str, Any]:
    """The report as plain data."""
    chart = chart_of(seen)
    seen = chart.seen
    return {
        "schema": SCHEMA,
        "url": safe_url(seen.url),
        "verdict": verdict(findings),
        "problems": sum(it.level is Level.PROBLEM for it in findings),
        "window_s": seen.window_s,
        "dialect": {
            "name": chart.dialect.name,
            "terminal": chart.terminal,
            "success": chart.dialect.success,
            "failure": chart.dialect.failure,
        },
        "stacks": [{"name": it.stack, "by": it.by} for it in stacks_of(seen)],
        "findings": [_finding(it) for it in findings],
        "diffs": [_diff(fix, cures) for fix, cures in diffs_of(findings)],
        "exchanges": [_exchange(row) for row in rows_of(chart)],
        "untold": [{"what": it.what, "why": it.why} for it in untold(seen)],
    }


def verdict(findings: Iterable[Finding]) -> str:
    """`3 problems, 1 warning`, or `no finding`."""
    counts = Counter(it.level for it in findings)
    said = [counted(counts[level], level) for level in Level if counts[level]]
    return ", ".join(said) or "no finding"


def closing(seen: Observations, findings: Sequence[Finding]) -> str:
    """The sentence of a report without a problem: no more than what was seen."""
    open_questions = len(untold(seen))
    if all_ended_and_said_how(chart_of(seen)):
        return "Every answer that we asked for ended, once, and said how."
    more = f"; {counted(open_questions, 'thing')} could not be told, see below"
    other = " else" if findings else ""
    return f"Nothing{other} wrong was seen{more if open_questions else ''}."


def diffs_of(findings: Iterable[Finding]) -> list[tuple[Fix, list[str]]]:
    """Each diff once, with the names of the findings that it cures."""
    cures: dict[str, tuple[Fix, list[str]]] = {}
    for it in findings:
        if it.fix.diff:
            cures.setdefault(it.fix.diff, (it.fix, []))[1].append(it.name)
    return list(cures.values())


def _finding(it: Finding) -> dict[str, Any]:
    return {
        "name": it.name,
        "level": it.level,
        "title": it.title,
        "evidence": list(it.evidence),
        "why": it.why,
        "hurts": it.hurts,
        "fix": it.fix.words,
    }


def _diff(fix: Fix, cures: list[str]) -> dict[str, Any]:
    return {"cures": cures, "stack": fix.stack, "for_your_file": fix.yours, "diff": fix.diff}


def _exchange(row: Row) -> dict[str, Any]:
    exchange = row.exchange
    return {
        "key": row.key,
        "name": row.name,
        "method": exchange.question.method,
        "status": exchange.status,
        "headers": [list(it) for it in safe_headers(exchange.headers)],
        "framing": exchange.framing,
        "head_s": exchange.head_s,
        "body_bytes": len(exchange.body),
        "ending": exchange.ending,
        "ended_s": exchange.ended_s,
        "timeline": [{"at_s": it.at_s, "kind": it.kind, "says": it.says} for it in row.marks],
    }
