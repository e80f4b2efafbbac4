"""The findings: judged observations. `examine` is pure: the same facts give the same findings.

`KINDS` is the one table: names, levels, words, what hides what. The reference page is written from
it, and causes stand before their consequences. How a thing is seen is in `findings_answer`,
`findings_delivery` and `findings_faults`.
"""

from __future__ import annotations

from typing import Final

from finalstop.doctor import findings_answer as answer
from finalstop.doctor import findings_delivery as delivery
from finalstop.doctor import findings_faults as faults
from finalstop.doctor.chart import Chart, chart_of
from finalstop.doctor.finding import Cure, Finding, Kind, Level, Seen
from finalstop.doctor.findings_words import WORDS
from finalstop.doctor.fixes import fix_for
from finalstop.doctor.observations import Observations, Untold
from finalstop.doctor.stacks import Told, stacks_of

PROBLEM, WARNING, NOTE = Level.PROBLEM, Level.WARNING, Level.NOTE
_ROOMS: Final = (faults, delivery, answer)
_UNASKED: Final = ("unreachable", "status_not_ok")


def _kind(
    name: str,
    level: Level,
    cure: Cure,
    *,
    hidden_by: tuple[str, ...] = (),
    gated: bool = False,
    simulated: bool = False,
) -> Kind:
    words = WORDS[name]
    look = next(it for room in _ROOMS if (it := getattr(room, name, None)))
    return Kind(
        name, level, words.title, words.why, words.hurts, cure, look, hidden_by, gated, simulated
    )


def _fault(name: str, *hidden_by: str, level: Level = PROBLEM) -> Kind:
    """A row that needs the simulator, and an endpoint that answers well without faults."""
    return _kind(name, level, Cure.HANDLER, hidden_by=hidden_by, gated=True, simulated=True)


KINDS: Final[tuple[Kind, ...]] = (
    _kind("unreachable", PROBLEM, Cure.REACH),
    _kind("status_not_ok", PROBLEM, Cure.REACH),
    _kind("process_dies", PROBLEM, Cure.HANDLER, simulated=True),
    _kind("open_after_terminal", PROBLEM, Cure.HANDLER, hidden_by=_UNASKED),
    _kind("still_open", PROBLEM, Cure.HANDLER, hidden_by=(*_UNASKED, "open_after_terminal")),
    _fault("hangs_on_stall"),
    _fault("pings_mask_stall", "hangs_on_stall"),
    _fault("hangs_without_head"),
    _kind("no_terminal", PROBLEM, Cure.HANDLER, hidden_by=_UNASKED),
    _fault("truncation_looks_complete", "no_terminal"),
    _fault("reset_looks_complete", "no_terminal"),
    _fault("error_hidden", "no_terminal"),
    _kind("two_terminals", PROBLEM, Cure.HANDLER),
    _kind("undispatched_tail", PROBLEM, Cure.HANDLER),
    _kind("empty_deltas", PROBLEM, Cure.HANDLER),
    _fault("status_flattened"),
    _fault("upstream_not_cancelled"),
    _fault("upstream_not_cancelled_before_head"),
    _fault("sigterm_hangs"),
    _fault("sigterm_cuts"),
    _kind("wrong_content_type", PROBLEM, Cure.CONTENT_TYPE, hidden_by=_UNASKED),
    _kind("wrong_charset", PROBLEM, Cure.CONTENT_TYPE, hidden_by=_UNASKED),
    _kind("compressed", PROBLEM, Cure.COMPRESSION, hidden_by=_UNASKED),
    _kind("buffered", PROBLEM, Cure.BUFFERING, hidden_by=(*_UNASKED, "compressed")),
    _kind("cut_mid_stream", PROBLEM, Cure.IDLE_LIMIT, hidden_by=_UNASKED),
    _kind("cut_by_idle_limit", PROBLEM, Cure.IDLE_LIMIT),
    _kind("head_withheld", WARNING, Cure.BUFFERING, hidden_by=("buffered", "compressed")),
    _kind(
        "bytes_after_terminal",
        WARNING,
        Cure.HANDLER,
        hidden_by=("two_terminals", "open_after_terminal"),
    ),
    _kind("close_delimited", WARNING, Cure.FRAMING, hidden_by=_UNASKED),
    _kind("no_keep_alive", WARNING, Cure.IDLE_LIMIT),
    _fault("retry_after_lost", "status_flattened", level=WARNING),
    _kind("eventsource_loops", WARNING, Cure.ROUTES),
    _kind("head_asks_the_model", WARNING, Cure.ROUTES),
    _kind("preflight_refused", NOTE, Cure.ROUTES),
)

_LEVELS: Final = tuple(Level)


def examine(seen: Observations) -> tuple[Finding, ...]:
    """What is wrong, worst first and causes before consequences. Never raises."""
    chart = chart_of(seen)
    seen = chart.seen
    found = [(kind, it) for kind in KINDS if (it := _look(kind, chart))]
    problems = {kind.name for kind, it in found if (it.level or kind.level) is PROBLEM}
    stacks = stacks_of(seen)
    findings = [
        _finding(kind, it, seen, stacks)
        for kind, it in found
        if not problems.intersection(kind.hidden_by)
    ]
    return tuple(sorted(findings, key=lambda it: _LEVELS.index(it.level)))


def untold(seen: Observations) -> tuple[Untold, ...]:
    """What could not be told and why: the observer's own list, and what the facts leave open."""
    chart = chart_of(seen)
    said = [Untold(what, why) for what, why in (*faults.unjudged(chart), *faults.unseen(chart))]
    return (*chart.seen.untold, *said)


def all_ended_and_said_how(chart: Chart) -> bool:
    """Whether each answer to which nothing was done ended properly and with a terminal."""
    answers = list(chart.answers)
    faults_tried = bool(chart.seen.trials) or not faults.simulator_was_there(chart.seen)
    return (
        bool(answers)
        and faults_tried
        and all(it.ok and it.ended_properly and it.verdict for it in answers)
    )


def _look(kind: Kind, chart: Chart) -> Seen | None:
    if kind.gated and not chart.sound:
        return None
    return kind.look(chart)


def _finding(kind: Kind, it: Seen, seen: Observations, stacks: tuple[Told, ...]) -> Finding:
    return Finding(
        kind.name,
        it.level or kind.level,
        it.title or kind.title,
        it.evidence,
        kind.why,
        kind.hurts,
        fix_for(kind.name, kind.cure, stacks, seen.sources),
    )
