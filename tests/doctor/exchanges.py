"""Observations built by hand: an exchange from what came when, an endpoint from its exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finalstop.doctor.observations import (
    Arrival,
    Call,
    Case,
    Ending,
    Exchange,
    Framing,
    Observations,
    Question,
    Shutdown,
    Step,
    Trial,
)

URL = "http://127.0.0.1:3000/stream-claude"
ASKED = Question("POST", URL, (("content-type", "application/json"),), b'{"prompt":"hi"}')
EVENTS = "text/event-stream"
WINDOW_S = 3.0

A, B, C = (f'data: {{"text":"{it}"}}\n\n' for it in "abc")
END = 'data: {"event":"end"}\n\n'
ERROR = 'data: {"event":"error","reason":"truncated"}\n\n'
NEVER = Ending.STILL_OPEN


def exchange(
    *pieces: str | bytes,
    status: int | None = 200,
    ending: Ending = Ending.WHOLE,
    kind: str = EVENTS,
    framing: Framing = Framing.CHUNKED,
    head_s: float | None = 0.1,
    every_s: float = 0.1,
    ended_s: float | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    question: Question = ASKED,
) -> Exchange:
    """An exchange whose pieces arrive one by one, `every_s` apart, the first with the head."""
    arrivals = tuple(
        Arrival((head_s or 0.0) + place * every_s, data, len(data))
        for place, data in enumerate(it.encode() if isinstance(it, str) else it for it in pieces)
    )
    last_s = arrivals[-1].at_s if arrivals else head_s or 0.0
    if ended_s is None:
        ended_s = last_s + (WINDOW_S if ending is NEVER else 0.0)
    return Exchange(
        question,
        0.01,
        head_s if status is not None else None,
        status,
        "HTTP/1.1",
        (("content-type", kind), *headers),
        framing,
        arrivals,
        ending,
        ended_s,
        "refused" if ending is Ending.NO_CONNECTION else "",
    )


GOOD = exchange(A, B, C, END)
FAILED = exchange(A, B, ERROR)
REFUSED = exchange('{"error":"x"}', status=529, kind="application/json")
SLOW = exchange(*([A] * 8), END, every_s=0.5)
LEFT = exchange(A, B, ending=Ending.LEFT, ended_s=0.5)
SILENT = exchange(status=None, ending=NEVER, ended_s=3.0)

# What a good endpoint does in each case.
HEALTHY: Mapping[Case, Exchange] = {
    Case.HEALTHY: GOOD,
    Case.NEVER_CLOSED: GOOD,
    Case.NEVER_CLOSED_PINGS: GOOD,
    Case.STALL: FAILED,
    Case.PINGS_ONLY: FAILED,
    Case.NO_HEAD: exchange('{"error":"x"}', status=504, kind="application/json"),
    Case.TRUNCATED: FAILED,
    Case.RESET: FAILED,
    Case.ERROR_FIRST: REFUSED,
    Case.ERROR_MIDWAY: FAILED,
    Case.RATE_LIMITED: exchange(
        "{}", status=429, kind="application/json", headers=(("retry-after", "7"),)
    ),
    Case.OVERLOADED: REFUSED,
    Case.SLOW: SLOW,
    Case.TOOLS_AND_THINKING: GOOD,
    Case.LEAVE_MID_STREAM: LEFT,
    Case.LEAVE_BEFORE_HEAD: exchange(status=None, ending=Ending.LEFT, ended_s=0.5),
}
_LEAVES = {Case.LEAVE_MID_STREAM, Case.LEAVE_BEFORE_HEAD}


def trial(case: Case, it: Exchange, **changes) -> Trial:
    """A trial of a good endpoint, but for the changes."""
    left_s = it.ended_s if case in _LEAVES else None
    call = Call(0.02, it.ended_s + (0.01 if left_s else 0.0), finished=left_s is None)
    usual: dict[str, Any] = {"calls": (call,), "left_s": left_s, "survived": True}
    return Trial(case, it, **(usual | changes))


def treated(changes: Mapping[Case, Exchange | Trial] | None = None, **more) -> Observations:
    """A good endpoint under every fault, but for the changes."""
    trials: dict[Case, Trial] = {}
    for case, it in {**HEALTHY, **(changes or {})}.items():
        trials[case] = it if isinstance(it, Trial) else trial(case, it)
    shutdown = Shutdown(FAILED, 0.2, 0.6, 0)
    usual: dict[str, Any] = {
        "steps": {Step.ASK: trials[Case.HEALTHY].exchange},
        "shutdown": shutdown,
    }
    return Observations(URL, WINDOW_S, trials=trials, **(usual | more))


def asked(it: Exchange, **more) -> Observations:
    """An endpoint that was only asked, without a simulator."""
    steps = {Step.ASK: it} | more.pop("steps", {})
    return Observations(URL, WINDOW_S, steps, **more)
