"""What can be seen in an answer itself, without a simulator: reach, head, framing, frames, end.

One function per finding: a chart in, evidence or None out. None may look at a fault of the upstream
except where a frame on the wire is wrong whatever the upstream did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from finalstop.doctor.chart import Chart
from finalstop.doctor.dialects import Role, is_empty_delta
from finalstop.doctor.finding import Level, Seen
from finalstop.doctor.observations import Case, Ending, Framing, Step
from finalstop.doctor.reading import Carrier
from finalstop.doctor.transcript import Transcript
from finalstop.doctor.wording import counted, ending_said, frame_said, seconds, size, told, visible

# The shortest idle limit that proxies commonly have is 20 to 30 s.
KEEP_ALIVE_S: Final = 20.0
# The shortest first-byte limit of common platforms is 25 s; a head that late is too near.
HEAD_S_MAX: Final = 10.0
EVIDENCE_MAX: Final = 4

_TYPES: Final = {
    Carrier.SSE: "text/event-stream",
    Carrier.JSON_LINES: "application/x-ndjson",
}
_SPLIT_TERMINALS: Final = (Role.SUCCESS, Role.FAILURE)


def each(
    transcripts: Iterable[Transcript], look: Callable[[Transcript], str | None]
) -> Seen | None:
    """The evidence of all exchanges in which something was seen."""
    said = [it for transcript in transcripts if (it := look(transcript))]
    more = len(said) - EVIDENCE_MAX
    if more > 0:
        said = [*said[:EVIDENCE_MAX], f"and {counted(more, 'more exchange')} like it"]
    return Seen(tuple(said)) if said else None


# --- reach and status --------------------------------------------------------------------------


def unreachable(chart: Chart) -> Seen | None:
    """No connection, no HTTP, or a connection that closes before the head."""
    base = chart.baseline
    if base is None or base.exchange.status is not None:
        return None
    ending = base.exchange.ending
    if ending in {Ending.STILL_OPEN, Ending.LEFT}:
        return None
    return Seen((f"{chart.seen.url}: {ending_said(base.exchange)}",))


def status_not_ok(chart: Chart) -> Seen | None:
    """The healthy question is answered with an error: a status, or an error frame."""
    base = chart.baseline
    if base is None or base.exchange.status is None:
        return None
    body = visible(base.exchange.body.decode("utf-8", "replace"))
    if not base.ok:
        return Seen((f"{told(base)}; the body: {body or 'empty'}",))
    verdict = base.verdict
    if verdict and verdict.role is Role.FAILURE:
        return Seen((f"{told(base)}",))
    return None


# --- the head ----------------------------------------------------------------------------------


def wrong_content_type(chart: Chart) -> Seen | None:
    """An event stream under another name, or no stream at all."""
    return each((it for it in [chart.baseline] if it), _wrong_content_type)


def _wrong_content_type(it: Transcript) -> str | None:
    kind = it.exchange.header("content-type")
    media = kind.partition(";")[0].strip().lower()
    carrier = it.reading.carrier
    if not it.ok or carrier in {Carrier.NOTHING, Carrier.TEXT}:
        return None
    if carrier is Carrier.DOCUMENT:
        return f"the body is {carrier}, labelled {visible(kind) or 'nothing'}: no stream"
    if carrier is Carrier.SSE and media != _TYPES[carrier]:
        return f"the body is an {carrier}, labelled {visible(kind) or 'nothing'}"
    return None


def wrong_charset(chart: Chart) -> Seen | None:
    """Another charset than UTF-8 is named, or the bytes are not UTF-8."""
    return each((it for it in [chart.baseline] if it), _wrong_charset)


def _wrong_charset(it: Transcript) -> str | None:
    kind = it.exchange.header("content-type")
    _, found, charset = kind.lower().partition("charset=")
    named = charset.partition(";")[0].strip().strip("\"'")
    if found and named not in {"utf-8", "utf8"} and it.reading.carrier is Carrier.SSE:
        return f"content-type: {visible(kind)}"
    if it.reading.carrier is not Carrier.NOTHING and not it.reading.valid_utf8:
        return "the body holds bytes that are no UTF-8"
    return None


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
    held = buffered(chart)
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


def close_delimited(chart: Chart) -> Seen | None:
    """Nothing but the closing of the connection says where the body ends."""
    return each((it for it in [chart.baseline] if it), _close_delimited)


def _close_delimited(it: Transcript) -> str | None:
    exchange = it.exchange
    if exchange.status is None or exchange.framing is not Framing.UNTIL_CLOSE:
        return None
    asked = visible(exchange.version) or "an unknown version"
    return f"HTTP {asked.removeprefix('HTTP/')}, neither chunked nor with a length"


# --- the frames --------------------------------------------------------------------------------


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


def _burst_said(it: Transcript) -> str:
    bursts = it.bursts
    if len(bursts) == 1:
        return f"all at once, at {seconds(bursts[0].at_s)}"
    most = max(bursts, key=lambda burst: burst.frames)
    return f"in {len(bursts)} bursts, {most.frames} at once at {seconds(most.at_s)}"


def empty_deltas(chart: Chart) -> Seen | None:
    """Frames that pretend to be deltas and hold no text."""
    return each(chart.everything, _empty_deltas)


def _empty_deltas(it: Transcript) -> str | None:
    if not it.dialect.strict_deltas or not it.ok:
        return None
    empty = [frame for frame in it.reading.frames if is_empty_delta(frame)]
    if not empty:
        return None
    first = f"`{frame_said(empty[0])}` at {seconds(empty[0].at_s)}"
    return f"{it.name}: {counted(len(empty), 'empty delta')}, the first {first}"


def undispatched_tail(chart: Chart) -> Seen | None:
    """Text after the last blank line of a body that ended properly."""
    return each(chart.everything, _undispatched_tail)


def _undispatched_tail(it: Transcript) -> str | None:
    tail = it.reading.tail
    if (
        it.reading.carrier is not Carrier.SSE
        or not tail.strip()
        or not it.ended_properly
        or not it.ok
    ):
        return None
    return f"{it.name}: `{visible(tail)}` ({size(len(tail.encode()))}) and no blank line after it"


# --- the end -----------------------------------------------------------------------------------


def no_terminal(chart: Chart) -> Seen | None:
    """A whole answer whose body ends without a terminal."""
    return each((it for it in [chart.baseline] if it), _no_terminal)


def _no_terminal(it: Transcript) -> str | None:
    streams = it.reading.carrier in {Carrier.SSE, Carrier.JSON_LINES}
    if not it.ok or not streams or not it.ended_properly or it.verdict:
        return None
    last = it.reading.frames[-1] if it.reading.frames else None
    ending = f"; the last frame was `{frame_said(last)}`" if last else "; it had no frame at all"
    return f"{told(it)}{ending}"


def two_terminals(chart: Chart) -> Seen | None:
    """A client is told twice, or told both."""
    return each(chart.everything, _two_terminals)


def _two_terminals(it: Transcript) -> str | None:
    ends = [said for said in it.terminals if said.role in _SPLIT_TERMINALS]
    closes = [said for said in it.terminals if said.role is Role.CLOSE]
    if it.dialect.repeats and ends and ends[0].role is Role.FAILURE:
        ends = [ends[0], *(said for said in ends[1:] if said.role is Role.SUCCESS)]
    twice = ends if len(ends) > 1 else closes
    if len(twice) < 2:
        return None
    said = ", then ".join(
        f"`{frame_said(it.frame)}` at {seconds(it.frame.at_s)}" for it in twice[:3]
    )
    return f"{it.name}: {said}"


def bytes_after_terminal(chart: Chart) -> Seen | None:
    """The terminal was not the last word."""
    return each(chart.everything, _bytes_after_terminal)


def _bytes_after_terminal(it: Transcript) -> str | None:
    verdict = it.verdict
    if verdict is None or (it.dialect.repeats and verdict.role is Role.FAILURE):
        return None
    after = [said for said in it.after_verdict if said.role is not Role.KEEP_ALIVE]
    if not after:
        return None
    first = after[0].frame
    return (
        f"{it.name}: {counted(len(after), 'frame')} after the terminal at "
        f"{seconds(verdict.frame.at_s)}, the first `{frame_said(first)}` at {seconds(first.at_s)}"
    )


def cut_mid_stream(chart: Chart) -> Seen | None:
    """A connection that breaks although the upstream did nothing wrong."""
    return each(chart.answers, _cut_mid_stream)


def _cut_mid_stream(it: Transcript) -> str | None:
    if it.exchange.status is None or not it.broken:
        return None
    from_s, to_s = it.longest_silence
    silence = f"; the longest silence was {seconds(to_s - from_s)}, until {seconds(to_s)}"
    return f"{told(it)}{silence}"


def still_open(chart: Chart) -> Seen | None:
    """No end within the window, and nothing that explains it."""
    return each((it for it in [chart.baseline] if it), _still_open)


def _still_open(it: Transcript) -> str | None:
    if not it.hangs or it.verdict:
        return None
    return f"{told(it)}; the last progress was at {seconds(it.progress_s)}"


# --- time and routes ---------------------------------------------------------------------------


def no_keep_alive(chart: Chart) -> Seen | None:
    """A wire that is silent for longer than proxies bear."""
    asked = (chart.steps.get(Step.IDLE), chart.steps.get(Step.ASK), chart.trials.get(Case.SLOW))
    return each((it for it in asked if it), _no_keep_alive)


def _no_keep_alive(it: Transcript) -> str | None:
    from_s, to_s = it.longest_silence
    if not it.ok or it.hangs or to_s - from_s < KEEP_ALIVE_S:
        return None
    return f"{it.name}: no byte from {seconds(from_s)} to {seconds(to_s)}"


def cut_by_idle_limit(chart: Chart) -> Seen | None:
    """Something between us and the upstream cuts a silent stream."""
    limit, it = chart.seen.idle_limit_s, chart.steps.get(Step.IDLE)
    if limit is None or limit[1] == float("inf") or (it and it.verdict):
        return None
    survived, cut = limit
    said = f"a silence of {seconds(survived)} was survived, one of {seconds(cut)} was cut"
    return Seen((said, *([told(it)] if it else [])))


def eventsource_loops(chart: Chart) -> Seen | None:
    """An EventSource reconnects after the end, and the answer starts again."""
    it = chart.steps.get(Step.RECONNECT)
    if it is None or not it.ok or it.reading.carrier is not Carrier.SSE or not it.deltas:
        return None
    ask = chart.baseline
    # An EventSource can only GET: where the question is asked by POST, it is nobody's loop yet.
    posted = ask is not None and ask.exchange.question.method != "GET"
    level = Level.NOTE if posted else None
    return Seen((f"{told(it)}; a 204 would have stopped it",), level)


def preflight_refused(chart: Chart) -> Seen | None:
    """A page of another origin may not ask."""
    it = chart.steps.get(Step.PREFLIGHT)
    if it is None or it.exchange.status is None:
        return None
    if it.ok and it.exchange.header("access-control-allow-origin"):
        return None
    return Seen((f"OPTIONS with an Origin: status {it.exchange.status}, no permission",))


def head_asks_the_model(chart: Chart) -> Seen | None:
    """A HEAD request is answered by asking the model."""
    calls, it = chart.seen.calls.get(Step.HEAD, ()), chart.steps.get(Step.HEAD)
    if calls:
        return Seen((f"a HEAD request made {counted(len(calls), 'call')} to the upstream",))
    if it is None or not it.ok or it.exchange.ending is not Ending.STILL_OPEN:
        return None
    return Seen((f"{told(it)}: it waits for an answer that HEAD does not have",))
