"""What is shown: two releases of the SDK, two routes, and the words for what becomes of a fault.

Pure. It may not know how anything is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from examples.faults import Fault

NEWEST: Final = "1.12.0"
MID_2024: Final = "0.24.3"
# Release of the official SDK -> the name under which package.json has it.
SDKS: Final = {NEWEST: "@anthropic-ai/sdk", MID_2024: "anthropic-sdk-2024"}


# Every message of finalstop names its reason like this.
REASON: Final = re.compile(r"\[finalstop: (\w+);")


class Route(StrEnum):
    """Where ANTHROPIC_BASE_URL points."""

    DIRECT = "direct"
    FINALSTOP = "finalstop"


class Verdict(StrEnum):
    """What became of one request to the handler."""

    HANGS = "hangs"
    WHOLE = "ends, whole"
    CAUGHT = "ends, error caught"
    LIE = "ends, but a cut answer passes for whole"
    FALSE_ALARM = "ends, but a whole answer passes for failed"
    BROKEN = "breaks off: `res.end()` never ran"


@dataclass(frozen=True)
class Seen:
    """What a browser saw of one response, and what the handler printed.

    `ended`: the body ended properly; `cut`: its connection broke instead. With neither, it was
    still open when the browser gave up. `said_end`: the handler's own end event was in it.
    """

    ended: bool
    cut: bool
    said_end: bool
    texts: int
    after_s: float
    printed: str = ""


@dataclass(frozen=True)
class Result:
    """One request: what was asked, what was seen, what that amounts to.

    `reason` is the end reason that the handler could read in its error; empty without one.
    """

    fault: Fault
    sdk: str
    route: Route
    seen: Seen
    verdict: Verdict
    reason: str


def result_of(fault: Fault, sdk: str, route: Route, seen: Seen) -> Result:
    """Hold what was seen against what is true of the fault."""
    named = REASON.search(seen.printed)
    return Result(fault, sdk, route, seen, judge(fault, seen), named[1] if named else "")


def judge(fault: Fault, seen: Seen) -> Verdict:
    """What became of a request, given what is true of its fault."""
    if seen.cut:
        return Verdict.BROKEN
    if not seen.ended:
        return Verdict.HANGS
    if seen.said_end:
        return Verdict.WHOLE if fault.whole else Verdict.LIE
    return Verdict.FALSE_ALARM if fault.whole else Verdict.CAUGHT


def promised(fault: Fault) -> Verdict:
    """What finalstop promises: a whole answer is whole, and every failure reaches the handler."""
    return Verdict.WHOLE if fault.whole else Verdict.CAUGHT


def told(fault: Fault, sdk: str) -> str:
    """The end reason that the handler can read in its error; empty if there is none to read.

    SDK 0.24.3 raises at an `error` event but loses what it says: "Connection error."
    """
    if fault.whole or (sdk == MID_2024 and not fault.before_head):
        return ""
    return fault.reason


def is_kept(result: Result) -> bool:
    """Whether the handler was served as promised, and told why."""
    fault = result.fault
    return result.verdict is promised(fault) and result.reason == told(fault, result.sdk)
