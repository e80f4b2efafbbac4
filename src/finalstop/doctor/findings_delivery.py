"""How an answer is delivered: compressed, in bursts, or with a head that comes late.

One function per finding: a chart in, evidence or None out. With the simulator the slow answer tells
when each delta was made; without it only what is late and comes at once can be told.
"""

from __future__ import annotations

from typing import Final

from finalstop.doctor.chart import Chart
from finalstop.doctor.finding import Level, Seen
from finalstop.doctor.observations import Case, Ending
from finalstop.doctor.transcript import Transcript
from finalstop.doctor.wording import counted, seconds, size, visible

# The shortest first-byte limit of common platforms is 25 s; a head that late is too near.
HEAD_S_MAX: Final = 10.0
# Where head, deltas and end come in one instant, something collected them, if they took so long.
HELD_S_MIN: Final = 0.2
HELD_DELTAS_MIN: Final = 4


def compressed(chart: Chart) -> Seen | None:
    """The body has a content coding. A problem only if it holds frames back."""
    # A compressor that holds back everything gives no head in the slow case: then the other tells.
    asked = [it for it in (chart.trials.get(Case.SLOW), chart.baseline) if it]
    it = next((it for it in asked if it.exchange.header("content-encoding")), None)
    coding = it.exchange.header("content-encoding") if it else ""
    if it is None or coding.lower() == "identity":
        return None
    wire = sum(arrival.wire_bytes for arrival in it.exchange.arrivals)
    said = f"content-encoding: {visible(coding)} ({size(len(it.exchange.body))} as {size(wire)})"
    held = buffered(chart) or _held_to_the_end(chart)
    if held is None:
        return Seen((said, "it holds nothing back: frames come one by one"), Level.NOTE)
    return Seen((said, *held.evidence), Level.PROBLEM)


def head_withheld(chart: Chart) -> Seen | None:
    """The response head comes long after it could have."""
    if slow := chart.trial(Case.SLOW):
        trial, it = slow
        head_s, whole_s = it.exchange.head_s, it.exchange.ended_s
        if head_s is not None and trial.calls and whole_s >= 1.5 and head_s > 0.5 * whole_s:
            return Seen(
                (f"{it.name}: the head came after {seconds(head_s)} of {seconds(whole_s)}",)
            )
    base = chart.baseline
    late_s = base.exchange.head_s if base else None
    if base and late_s is not None and late_s > HEAD_S_MAX:
        return Seen((f"{base.name}: the head came after {seconds(late_s)}",))
    return None


def buffered(chart: Chart) -> Seen | None:
    """The frames come in bursts although they were made one by one."""
    if slow := chart.trial(Case.SLOW):
        trial, it = slow
        call = trial.calls[-1] if trial.calls else None
        if call is None:
            return None
        span_s = (call.closed_s or it.exchange.ended_s) - call.began_s
        return _held_back(it, span_s) if span_s >= 1.0 else None
    base = chart.baseline
    if base is None or chart.seen.trials or not base.ok:
        return None
    return _burst_of_its_own(base)


def _held_back(it: Transcript, span_s: float) -> Seen | None:
    """Against the simulator we know that the deltas were made with gaps between them."""
    deltas, bursts = it.deltas, it.bursts
    if not deltas:
        silent = it.ok and it.exchange.ending is Ending.STILL_OPEN and not it.exchange.body
        late = f"no delta came in the {seconds(span_s)} in which the upstream sent some"
        return Seen((f"{it.name}: {late}",)) if silent or it.exchange.status is None else None
    if len(deltas) < 4 or len(deltas) < 3 * len(bursts):
        return None
    made = f"made one by one in {seconds(span_s)}"
    return Seen((f"{it.name}: {counted(len(deltas), 'delta')}, {made}, came {_burst_said(it)}",))


def _burst_of_its_own(it: Transcript) -> Seen | None:
    """Without a simulator: much, late and at once; or blocks of one size."""
    deltas, bursts = it.deltas, it.bursts
    if len(deltas) < 12:
        return None
    if len(bursts) == 1 and deltas[0].at_s >= 1.0 and deltas[-1].at_s >= 0.9 * it.exchange.ended_s:
        return Seen((f"{it.name}: {counted(len(deltas), 'delta')} came {_burst_said(it)}",))
    blocks = [burst.size for burst in bursts[:-1]]
    if len(blocks) >= 2 and min(blocks) >= 2048 and max(blocks) <= 1.15 * min(blocks):
        return Seen((f"{it.name}: the deltas came in blocks of about {size(max(blocks))}",))
    return None


def _held_to_the_end(chart: Chart) -> Seen | None:
    """Without a simulator: head, deltas and end in one instant, after a wait."""
    it = chart.baseline
    if it is None or chart.seen.trials or not it.ok or not it.ended_properly:
        return None
    head_s, ended_s = it.exchange.head_s, it.exchange.ended_s
    if head_s is None or len(it.deltas) < HELD_DELTAS_MIN or len(it.bursts) > 1:
        return None
    if head_s < HELD_S_MIN or head_s < 0.9 * ended_s:
        return None
    deltas = counted(len(it.deltas), "delta")
    return Seen((f"{it.name}: the head and {deltas} came at the very end, {seconds(ended_s)}",))


def _burst_said(it: Transcript) -> str:
    bursts = it.bursts
    if len(bursts) == 1:
        return f"all at once, at {seconds(bursts[0].at_s)}"
    most = max(bursts, key=lambda burst: burst.frames)
    return f"in {len(bursts)} bursts, {most.frames} at once at {seconds(most.at_s)}"
