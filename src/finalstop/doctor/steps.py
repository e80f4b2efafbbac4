"""The requests that need no simulator: a handful, each announced, all of them within a budget.

What cannot be asked within the budget, or would do harm, is left out and named.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from finalstop.doctor.announce import Announce, Notice
from finalstop.doctor.connection import DIRECT, Way
from finalstop.doctor.http import asked_otherwise
from finalstop.doctor.observations import Call, Exchange, Question, Step, Untold
from finalstop.doctor.probe import Watch, after_first_bytes, ask

# Of the whole time, what the question itself may take: the rest is for the small requests.
ASK_SHARE: Final = 0.6
SMALL_S: Final = 2.0
# With less than this left, a request would tell nothing.
LEAST_S: Final = 0.3
LEAVE_EARLY_S: Final = 0.15
LEAVE_AFTER_BODY_S: Final = 0.2
# How long the first byte of an answer may take: models think, and proxies wait longer.
HEAD_S: Final = 10.0
# No answer of a model is so long; and what is kept has to be read in what is left of the time.
ASK_BYTES_MAX: Final = 4 << 20
SMALL_BYTES_MAX: Final = 64 * 1024
RECONNECT_BYTES: Final = 8 * 1024
# A page that is not the endpoint's own asks, as a browser does before it posts JSON.
ORIGIN: Final = "https://app.example"
_ID: Final = re.compile(rb"^id:[ ]?([^\r\n]*)", re.MULTILINE)


# Called when a step begins; what it gives back is called when the step is over.
Hear = Callable[[], Callable[[], tuple[Call, ...]]]


def _deaf() -> Callable[[], tuple[Call, ...]]:
    return lambda: ()


@dataclass(slots=True)
class Round:
    """One round of requests to an endpoint; what came of it is in `steps`, `calls` and `untold`.

    `deadline` is `time.monotonic` seconds. `hear` tells the upstream calls that a step causes,
    where a simulator hears them.
    """

    question: Question
    window_s: float
    deadline: float
    announce: Announce
    way: Way = DIRECT
    hear: Hear = _deaf
    steps: dict[Step, Exchange] = field(default_factory=dict)
    calls: dict[Step, tuple[Call, ...]] = field(default_factory=dict)
    untold: list[Untold] = field(default_factory=list)


async def make_round(visit: Round) -> None:
    """Ask the question, leave it twice, and ask what is asked of every endpoint on the web."""
    most_s = (visit.deadline - time.monotonic()) * ASK_SHARE
    says = f"ask: {visit.question.method} {visit.question.url}"
    watch = Watch(visit.window_s, most_s, bytes_max=ASK_BYTES_MAX, head_s=HEAD_S)
    await _step(visit, Step.ASK, says, visit.question, watch)
    asked = visit.steps[Step.ASK]
    if is_served(asked):
        await _leave_early(visit)
    await ask_around(visit)


async def ask_around(visit: Round) -> None:
    """HEAD, a preflight, and a reconnect, after the question has been asked."""
    asked = visit.steps[Step.ASK]
    if asked.status is None:
        return
    small = [
        (Step.HEAD, "HEAD, as link checkers do", asked_otherwise(visit.question, "HEAD")),
        (Step.PREFLIGHT, "OPTIONS, as a page of another origin does", _preflight(visit.question)),
    ]
    if is_served(asked):
        again = _reconnect(visit.question, asked.body)
        small.append((Step.RECONNECT, "GET, as an EventSource does after the end", again))
    for step, says, question in small:
        watch = Watch(SMALL_S, SMALL_S, leaves=_after_bytes, bytes_max=SMALL_BYTES_MAX)
        await _step(visit, step, f"ask: {says}", question, watch)


def is_served(exchange: Exchange) -> bool:
    """Whether the question was answered with a stream, so that more questions tell more."""
    return exchange.status is not None and 200 <= exchange.status < 300


async def _leave_early(visit: Round) -> None:
    early = Watch(
        SMALL_S, SMALL_S, leaves=lambda at_s, _: at_s >= LEAVE_EARLY_S, bytes_max=SMALL_BYTES_MAX
    )
    says = "ask again, and leave before the answer"
    await _step(visit, Step.LEAVE_BEFORE_HEAD, says, visit.question, early)
    patience_s = visit.window_s + (visit.steps[Step.ASK].head_s or 0.0)
    midway = Watch(
        visit.window_s,
        patience_s,
        leaves=after_first_bytes(LEAVE_AFTER_BODY_S),
        bytes_max=SMALL_BYTES_MAX,
        head_s=patience_s,
    )
    says = "ask again, and leave mid-stream"
    await _step(visit, Step.LEAVE_MID_STREAM, says, visit.question, midway)


async def _step(visit: Round, step: Step, says: str, question: Question, watch: Watch) -> None:
    left_s = visit.deadline - time.monotonic()
    if left_s < LEAST_S:
        visit.untold.append(Untold(str(step), "the time was over: give more with --time"))
        return
    visit.announce(Notice(says, min(watch.total_s, left_s)))
    window_s, total_s = min(watch.window_s, left_s), min(watch.total_s, left_s)
    heard = visit.hear()
    bounded = replace(watch, window_s=window_s, total_s=total_s)
    visit.steps[step] = await ask(question, bounded, way=visit.way)
    if calls := heard():
        visit.calls[step] = calls


def _preflight(question: Question) -> Question:
    return asked_otherwise(
        question,
        "OPTIONS",
        ("origin", ORIGIN),
        ("access-control-request-method", question.method),
        ("access-control-request-headers", "content-type"),
    )


def _reconnect(question: Question, body: bytes) -> Question:
    ids = [name for name in _ID.findall(body) if b"\0" not in name]
    last = ids[-1].decode("latin-1").strip() if ids else ""
    # A browser that has seen no id sends no such header (WHATWG #concept-event-stream-reconnect).
    return asked_otherwise(question, "GET", *([("last-event-id", last)] if last else []))


def _after_bytes(_at_s: float, body_bytes: int) -> bool:
    return body_bytes >= RECONNECT_BYTES
