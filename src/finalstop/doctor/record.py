"""The report as data: one JSON object with a stable schema, and the header values it may show.

The schema grows and never changes its meaning; `docs/reference/findings.md` documents it. Keys are
never in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from finalstop.doctor.chart import chart_of
from finalstop.doctor.finding import Finding, Fix, Level
from finalstop.doctor.findings import untold
from finalstop.doctor.observations import Observations
from finalstop.doctor.stacks import stacks_of
from finalstop.doctor.timeline import Row, rows_of
from finalstop.doctor.wording import SECRET_HEADERS, counted, visible

SCHEMA: Final = 1
HIDDEN: Final = "(hidden)"
_SECRET_ANSWERS: Final = frozenset({"set-cookie", "www-authenticate"})
_SECRET_WORDS: Final = ("key", "token", "secret", "password", "signature", "auth")


def as_json(seen: Observations, findings: Sequence[Finding]) -> str:
    """The report as JSON, indented."""
    return json.dumps(record_of(seen, findings), indent=2, ensure_ascii=False)


def record_of(seen: Observations, findings: Sequence[Finding]) -> dict[str, Any]:
    """The report as plain data."""
    chart = chart_of(seen)
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


def safe_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with the values of keys and cookies taken out."""
    hidden = SECRET_HEADERS | _SECRET_ANSWERS
    return [
        (visible(name), HIDDEN if _is_secret(name, hidden) else visible(value))
        for name, value in headers
    ]


def safe_url(url: str) -> str:
    """The URL without a password, and without the values of what is called a key."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return visible(url.partition("?")[0])
    host = parts.netloc.rpartition("@")[2]
    shown = [(name, HIDDEN if _is_secret(name, frozenset()) else value) for name, value in query]
    asked = urlencode(shown, safe="():/,@=") if query else parts.query
    return visible(SplitResult(parts.scheme, host, parts.path, asked, "").geturl(), 400)


def _is_secret(name: str, hidden: frozenset[str]) -> bool:
    low = name.lower()
    return low in hidden or any(word in low for word in _SECRET_WORDS)


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
