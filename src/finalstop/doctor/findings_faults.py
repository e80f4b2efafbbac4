"""What becomes of the upstream's faults, of those who leave, and of SIGTERM: the simulator's part.

One function per finding: a chart in, evidence or None out. All of them take it as given that the
endpoint answers well when nothing is wrong; the table says so (`gated`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from finalstop.doctor.chart import Chart
from finalstop.doctor.dialects import NONE, Role
from finalstop.doctor.finding import Seen
from finalstop.doctor.findings_answer import each
from finalstop.doctor.findings_words import OPEN_UPSTREAM
from finalstop.doctor.observations import Call, Case, Ending, Observations, Step, Trial
from finalstop.doctor.reading import Carrier
from finalstop.doctor.transcript import Transcript
from finalstop.doctor.wording import frame_said, seconds, size, story, told, visible

# A departure is noticed in milliseconds; a busy machine gets so long.
CANCEL_S: Final = 2.0

_NEVER_CLOSED: Final = (Case.NEVER_CLOSED, Case.NEVER_CLOSED_PINGS)
_SILENT: Final = (Case.STALL, Case.PINGS_ONLY, Case.NO_HEAD)
_BROKEN_OFF: Final = (Case.TRUNCATED, *_SILENT)
_ERRORS: Final = (Case.ERROR_FIRST, Case.ERROR_MIDWAY)
# 529 is no status of HTTP's: who says 503 in its place has not hidden anything.
_STATUSES: Final = {Case.RATE_LIMITED: {429}, Case.OVERLOADED: {529, 503}}


def _made(chart: Chart, cases: Iterable[Case]) -> Iterator[Transcript]:
    return (chart.trials[case] for case in cases if case in chart.trials)


# --- what hangs --------------------------------------------------------------------------------


def open_after_terminal(chart: Chart) -> Seen | None:
    """The response is open although the answer is over: the endpoint's own doing, or upstream's."""
    base = chart.baseline
    if base and base.verdict and base.hangs:
        return Seen((told(base),))
    waits = each(_made(chart, _NEVER_CLOSED), _waits_for_the_end) if chart.sound else None
    return replace(waits, title=OPEN_UPSTREAM) if waits else None


def _waits_for_the_end(it: Transcript) -> str | None:
    if it.hangs:
        idle_s = it.exchange.ended_s - it.progress_s
        return f"{told(it)}: {seconds(idle_s)} after the last of the answer"
    if it.failed and it.exchange.ending is not Ending.STILL_OPEN:
        return f"{told(it)}: a whole answer passes for a failed one"
    return None


def hangs_on_stall(chart: Chart) -> Seen | None:
    """Silence mid-answer is waited out."""
    return each(_made(chart, [Case.STALL]), _hangs)


def pings_mask_stall(chart: Chart) -> Seen | None:
    """Pings pass for progress."""
    return each(_made(chart, [Case.PINGS_ONLY]), _hangs)


def hangs_without_head(chart: Chart) -> Seen | None:
    """An upstream that never answers is waited for."""
    return each(_made(chart, [Case.NO_HEAD]), _hangs)


def _hangs(it: Transcript) -> str | None:
    if not it.hangs:
        return None
    idle_s = it.exchange.ended_s - it.progress_s
    return f"{told(it)}: {seconds(idle_s)} without progress"


# --- what lies ---------------------------------------------------------------------------------


def truncation_looks_complete(chart: Chart) -> Seen | None:
    """Half an answer ends as a whole one does."""
    return each(_made(chart, _BROKEN_OFF), _looks_complete)


def reset_looks_complete(chart: Chart) -> Seen | None:
    """A broken upstream connection ends as a whole answer does."""
    return each(_made(chart, [Case.RESET]), _looks_complete)


def _looks_complete(it: Transcript) -> str | None:
    if not it.ok or it.failed or not it.ended_properly:
        return None
    if it.succeeded:
        return f"{told(it)}: it looks like a whole answer"
    return f"{told(it)}: whoever goes by the end of the body takes it for whole{_tail(it)}"


def error_hidden(chart: Chart) -> Seen | None:
    """An `error` event of the upstream that no client can read: a clean end, or none."""
    return each(_made(chart, _ERRORS), _hidden_error)


def _hidden_error(it: Transcript) -> str | None:
    if it.failed or it.exchange.status is None:
        return None
    if it.hangs:
        return f"{told(it)}: it stays open"
    if not it.ended_properly:
        return None
    like = "it looks like a whole answer" if it.succeeded else "the body just ends"
    return f"{told(it)}: {like}{_tail(it)}"


def _tail(it: Transcript) -> str:
    tail = it.reading.tail.strip()
    return f", after `{visible(tail)}`, which no browser shows" if tail else ""


def status_flattened(chart: Chart) -> Seen | None:
    """A 429 or 529 reaches the client as another status."""
    said = [
        told(it)
        for case, right in _STATUSES.items()
        if (it := chart.trials.get(case)) and it.exchange.status not in {None, *right}
    ]
    first = chart.trials.get(Case.ERROR_FIRST)
    status = first.exchange.status if first else None
    # It came with a 200: any 5xx, or the error in a 200, is honest. Not that it is the client's.
    if first and status is not None and 400 <= status < 500 and status != 429:
        said.append(told(first))
    return Seen(tuple(said)) if said else None


def retry_after_lost(chart: Chart) -> Seen | None:
    """The client is not told when to come back."""
    it = chart.trials.get(Case.RATE_LIMITED)
    if it is None or it.exchange.status != 429 or it.exchange.header("retry-after"):
        return None
    return Seen((f"{it.name}: status 429 without retry-after",))


# --- who leaves --------------------------------------------------------------------------------


def upstream_not_cancelled(chart: Chart) -> Seen | None:
    """The call goes on, and is paid, after the reader has left."""
    return _not_cancelled(chart, Case.LEAVE_MID_STREAM)


def upstream_not_cancelled_before_head(chart: Chart) -> Seen | None:
    """The same, before the first byte."""
    return _not_cancelled(chart, Case.LEAVE_BEFORE_HEAD)


def _not_cancelled(chart: Chart, case: Case) -> Seen | None:
    found = chart.trial(case)
    if found is None or found[0].left_s is None:
        return None
    trial, it = found
    left_s = found[0].left_s
    said = next((words for call in trial.calls if (words := _went_on(call, left_s))), None)
    return Seen((f"{it.name} at {seconds(left_s)}: {said}",)) if said else None


def _went_on(call: Call, left_s: float) -> str | None:
    if call.closed_s is None:
        return "the upstream call was still open when we stopped looking"
    after_s = call.closed_s - left_s
    if call.finished:
        ran = f"the upstream call ran to its end, {seconds(after_s)} later"
        return ran if after_s > CANCEL_S else None
    if after_s > CANCEL_S:
        return f"the upstream call was closed only {seconds(after_s)} later"
    return None


# --- the process -------------------------------------------------------------------------------


def process_dies(chart: Chart) -> Seen | None:
    """A fault of the upstream takes the server down, and every other stream with it."""
    dead = [
        (trial, chart.trials[case])
        for case, trial in chart.seen.trials.items()
        if trial.survived is False
    ]
    return Seen(tuple(_died(trial, it) for trial, it in dead[:3])) if dead else None


def _died(trial: Trial, it: Transcript) -> str:
    last = trial.said.strip()[-400:]
    printed = f"; it printed: {visible(last, 400)}" if last else ""
    return f"{it.name}: the server's process was gone afterwards{printed}"


def sigterm_hangs(chart: Chart) -> Seen | None:
    """The process does not exit while a stream is open."""
    shutdown, it = chart.seen.shutdown, chart.shutdown
    if shutdown is None or it is None or shutdown.exited_s is not None:
        return None
    return Seen((f"SIGTERM at {seconds(shutdown.signalled_s)}: {story(it)}; had to be killed",))


def sigterm_cuts(chart: Chart) -> Seen | None:
    """The process exits and the stream breaks off without a word."""
    shutdown, it = chart.seen.shutdown, chart.shutdown
    if shutdown is None or it is None or shutdown.exited_s is None or not it.ok:
        return None
    said_why = it.verdict is not None and it.verdict.role is Role.FAILURE
    mute = it.broken or (it.ended_properly and not said_why)
    # Plain text has no word for it: a broken connection is all that it can say.
    if said_why or not mute or (it.reading.carrier is Carrier.TEXT and it.broken):
        return None
    at = f"SIGTERM at {seconds(shutdown.signalled_s)}, exit at {seconds(shutdown.exited_s)}"
    return Seen((f"{at}: {story(it)}",))


# --- what could not be told --------------------------------------------------------------------

NO_CALLS: Final = "the endpoint made no call to the simulator: set its base URL to the one printed"


def unjudged(chart: Chart) -> Iterator[tuple[str, str]]:
    """What the trials leave open, and why."""
    if not chart.seen.trials:
        return
    if not any(trial.calls for trial in chart.seen.trials.values()):
        yield "what becomes of the upstream's faults", NO_CALLS
    elif not chart.sound:
        yield "what becomes of the upstream's faults", "the healthy answer itself is not in order"
    for case in (Case.RATE_LIMITED, Case.OVERLOADED):
        it = chart.trials.get(case)
        if (
            it is not None
            and it.exchange.status is None
            and it.exchange.ending
            in {
                Ending.STILL_OPEN,
                Ending.LEFT,
            }
        ):
            yield f"the status when {it.name}", "no head came in time: retries, probably"


def simulator_was_there(seen: Observations) -> bool:
    """Whether there was a simulator, called or not; the observer names its own disappointments."""
    return bool(seen.trials or seen.command or any("upstream" in it.what for it in seen.untold))


def unseen(chart: Chart) -> Iterator[tuple[str, str]]:
    """What no exchange showed, and how to see it."""
    if not simulator_was_there(chart.seen):
        yield "what becomes of the upstream's faults", "no simulator: --run or --simulator"
    if chart.seen.idle_limit_s is None and Step.IDLE not in chart.steps:
        yield "how long a silence the way bears", "takes long, so only on request: --idle"
    base = chart.baseline
    if base is None or not base.ok:
        return
    if chart.dialect is NONE:
        yield "whether an answer ended whole", "no dialect was recognised"
    elif base.speaks_unknown:
        first = frame_said(base.reading.frames[0])
        why = f"the dialect is unknown: no frame is a delta or a terminal; the first was `{first}`"
        yield "whether an answer ended whole", why
    if base.exchange.ending is Ending.STILL_OPEN and not base.hangs:
        why = base.exchange.failure or "it was still coming when our time was over: --time"
        yield "how the answer ends", why
    if skipped := base.reading.skipped_bytes:
        yield "the middle of the answer", f"it is too much: {size(skipped)} of it were not read"
