"""The report as one HTML file, to attach to a bug report: no script, nothing loaded.

Everything foreign goes through `html.escape` after its control characters were made visible. It
shows what the terminal report shows, with the timeline drawn as SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from finalstop.doctor.advice import HANGS, advice_for
from finalstop.doctor.chart import Chart, chart_of
from finalstop.doctor.finding import Finding
from finalstop.doctor.findings import untold
from finalstop.doctor.observations import Observations, Question, Step
from finalstop.doctor.record import safe_body, safe_headers, safe_url, verdict
from finalstop.doctor.stacks import stacks_of
from finalstop.doctor.timeline import Mark, MarkKind, Row, rows_of, scale
from finalstop.doctor.wording import seconds, size, visible

WIDTH: Final = 640
ROW_HEIGHT: Final = 22

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --quiet: #777; --good: #1a7f37; --bad: #cf222e;
  --mild: #9a6700; --calm: #0969da; }
@media (prefers-color-scheme: dark) { :root { --quiet: #999; --good: #4ac26b; --bad: #ff7b72;
  --mild: #d29922; --calm: #58a6ff; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code, pre, .wire { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow: auto; border: 1px solid var(--line); padding: .6rem; white-space: pre; }
table { border-collapse: collapse; } td, th { text-align: left; vertical-align: top;
  padding: .15rem .8rem .15rem 0; }
article { border-left: 4px solid var(--line); padding-left: 1rem; margin: 1.2rem 0; }
.problem { border-color: var(--bad); } .warning { border-color: var(--mild); }
.note { border-color: var(--calm); } .quiet { color: var(--quiet); }
ins { color: var(--good); text-decoration: none; } del { color: var(--bad); text-decoration: none; }
svg text { font: 11px ui-monospace, monospace; fill: currentColor; } .scroll { overflow-x: auto; }
"""

_PAINT: Final[dict[MarkKind, str]] = {
    MarkKind.KEEP_ALIVE: "var(--quiet)",
    MarkKind.OTHER: "var(--quiet)",
    MarkKind.DELTA: "var(--calm)",
    MarkKind.HEAD: "currentColor",
    MarkKind.SUCCESS: "var(--good)",
    MarkKind.FAILURE: "var(--mild)",
    MarkKind.TAIL: "var(--bad)",
    MarkKind.ENDED: "currentColor",
    MarkKind.BROKE: "var(--bad)",
    MarkKind.LEFT: "var(--quiet)",
    MarkKind.OPEN: "var(--bad)",
}


def as_html(seen: Observations, findings: Sequence[Finding]) -> str:
    """One self-contained HTML document."""
    chart = chart_of(seen)
    seen = chart.seen
    title = f"{safe_url(seen.url)}: {verdict(findings)}"
    body = "\n".join(
        [
            f"<h1>{_said(title)}</h1>",
            *_question(chart),
            *_timeline(rows_of(chart)),
            *(_finding(it) for it in findings),
            *_advice(seen, findings),
            *_diffs(findings),
            *_untold(seen),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>finalstop doctor: {_said(title)}</title>\n<style>{_STYLE}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _said(text: str, limit: int = 2000) -> str:
    return escape(visible(text, limit))


def _code(text: str) -> str:
    return f"<code>{_said(text)}</code>"


def _question(chart: Chart) -> Iterator[str]:
    seen = chart.seen
    asked = seen.steps.get(Step.ASK) or next((it.exchange for it in seen.trials.values()), None)
    yield "<h2>What was asked</h2>"
    if asked is not None:
        lines = "\n".join(_said(line) for line in _question_lines(asked.question))
        yield f"<pre>{lines}</pre>"
    stacks = ", ".join(f"{it.stack} (by {it.by})" for it in stacks_of(seen)) or "unknown"
    yield (
        f"<p>It speaks {_said(chart.dialect.name)}; its terminal is: {_code(chart.terminal)}.<br>"
        f"Stack: {_said(stacks)}.<br>An exchange without progress was watched for "
        f"{seconds(seen.window_s)}.</p>"
    )


def _question_lines(question: Question) -> Iterator[str]:
    yield f"{question.method} {safe_url(question.url)}"
    yield from (f"{name}: {value}" for name, value in safe_headers(question.headers))
    if question.body:
        yield f"{size(len(question.body))}: {safe_body(question)}"


def _timeline(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    whole_s = scale(rows) or 1.0
    yield "<h2>What came when</h2>\n<div class='scroll'><table>"
    for row in rows:
        ended = seconds(row.exchange.ended_s)
        yield (
            f"<tr><td>{_said(row.name)}</td><td class='wire'>{_said(row.status)}</td>"
            f"<td>{_line(row, whole_s)}</td><td class='wire'>{ended}</td></tr>"
        )
    yield "</table></div>"
    keys = " ".join(f"<span style='color:{_PAINT[it]}'>■</span> {escape(it)}" for it in MarkKind)
    yield f"<p class='quiet'>{keys}. Point at a mark to read it.</p>"


def _line(row: Row, whole_s: float) -> str:
    end = row.exchange.ended_s / whole_s * WIDTH
    shapes = "".join(_shape(mark, whole_s) for mark in row.marks)
    middle = ROW_HEIGHT / 2
    return (
        f"<svg width='{WIDTH + 12}' height='{ROW_HEIGHT}' role='img' "
        f"aria-label='{escape(row.name, quote=True)}'>"
        f"<line x1='0' y1='{middle}' x2='{end:.1f}' y2='{middle}' stroke='var(--line)'/>"
        f"{shapes}</svg>"
    )


def _shape(mark: Mark, whole_s: float) -> str:
    x = mark.at_s / whole_s * WIDTH
    says = _said(f"{seconds(mark.at_s)}, {mark.kind}: {mark.says}", 300)
    thin = mark.kind in {MarkKind.DELTA, MarkKind.KEEP_ALIVE, MarkKind.OTHER}
    width, height = (2, 10) if thin else (5, 18)
    return (
        f"<rect x='{x:.1f}' y='{(ROW_HEIGHT - height) / 2}' width='{width}' height='{height}' "
        f"fill='{_PAINT[mark.kind]}'><title>{says}</title></rect>"
    )


def _finding(it: Finding) -> str:
    evidence = "".join(f"<li class='wire'>{_said(said)}</li>" for said in it.evidence)
    below = " The diff is below." if it.fix.diff else ""
    return (
        f"<article class='{it.level}' id='{escape(it.name, quote=True)}'>"
        f"<h2>{_said(it.title)}</h2><p class='quiet'>{it.level}: <code>{_said(it.name)}</code></p>"
        f"<ul>{evidence}</ul>"
        f"<p><b>Why</b>: {_said(it.why)}.<br><b>Hurts</b>: {_said(it.hurts)}.<br>"
        f"<b>Fix</b>: {_said(it.fix.words)}{below}</p></article>"
    )


def _advice(seen: Observations, findings: Iterable[Finding]) -> Iterator[str]:
    if not HANGS.intersection(it.name for it in findings):
        return
    yield "<h2>What is true of the popular advice</h2>\n<table>"
    yield "<tr><th>advice</th><th>cures</th><th>does not cure</th></tr>"
    for it in advice_for(stacks_of(seen)):
        cells = "".join(f"<td>{_said(text)}</td>" for text in (it.says, it.cures, it.leaves))
        yield f"<tr>{cells}</tr>"
    yield "</table>"


def _diffs(findings: Iterable[Finding]) -> Iterator[str]:
    for diff in dict.fromkeys(it.fix.diff for it in findings if it.fix.diff):
        yield "<h2>The diff</h2>"
        yield f"<pre>{''.join(_diff_line(line) for line in diff.splitlines())}</pre>"


def _diff_line(line: str) -> str:
    shown = _said(line.replace("\t", "    "), 400)
    tag = {"+": "ins", "-": "del"}.get(line[:1])
    return f"<{tag}>{shown}</{tag}>\n" if tag else f"{shown}\n"


def _untold(seen: Observations) -> Iterator[str]:
    said = untold(seen)
    if said:
        items = "".join(f"<li>{_said(it.what)}: {_said(it.why)}</li>" for it in said)
        yield f"<h2>What could not be told</h2>\n<ul>{items}</ul>"
