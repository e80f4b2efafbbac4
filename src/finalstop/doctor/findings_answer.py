"""What can be seen in an answer itself, without a simulator: reach, head, framing, frames, end.

One function per finding: a chart in, evidence or None out. None may look at a fault of the upstream
except where a frame on the wire is wrong whatever the upstream did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from finalstop.doctor.chart import Chart
from finalstop.doctor.clues import clue_of
from finalstop.doctor.dialects import Role, is_empty_delta
from finalstop.doctor.finding import Level, Seen
from finalstop.doctor.masking import safe_url
from finalstop.doctor.observations import Case, Ending, Framing, Step
from finalstop.doctor.reading import Carrier
from finalstop.doctor.transcript import Transcript
from finalstop.doctor.wording import counted, ending_said, frame_said, seconds, size, told, visible

# The shortest idle limit that proxies commonly have is 20 to 30 s.
KEEP_ALIVE_S: Final = 20.0
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
    clue = clue_of(base.exchange)
    return Seen((f"{safe_url(chart.seen.url)}: {ending_said(base.exchange)}{clue}",))


def status_not_ok(chart: Chart) -> Seen | None:
    """The healthy question is answered with an error: a status, or an error frame."""
    base = chart.baseline
    if base is None or base.exchange.status is None:
        return None
    body = visible(base.exchange.body.decode("utf-8", "replace"))
    if not base.ok:
        said = f"{told(base)}{clue_of(base.exchange)}; the body: {body or 'empty'}"
        return Seen((said,))
    if base.reading.carrier is Carrier.NOTHING and base.ended_properly:
        return Seen((f"{told(base)}; the body: empty, so there was nothing to examine",))
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
    if it.ok and it.is_binary:
        return f"the body is binary, labelled {visible(kind) or 'nothing'}: no stream of text"
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
    if it.is_binary:
        return None
    kind = it.exchange.header("content-type")
    _, found, charset = kind.lower().partition("charset=")
    named = charset.partition(";")[0].strip().strip("\"'")
    if found and named not in {"utf-8", "utf8"} and it.reading.carrier is Carrier.SSE:
        return f"content-type: {visible(kind)}"
    if it.reading.carrier is not Carrier.NOTHING and not it.reading.valid_utf8:
        return "the body holds bytes that are no UTF-8"
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
        or it.is_binary
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
    if it.is_binary or it.speaks_unknown:
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
    it = chart.baseline
    said = each([it], _still_open) if it else None
    if it is None or said is None:
        return None
    # Without one delta it may be a channel that waits for news: only its owner knows.
    streams = it.ok and it.reading.carrier is Carrier.SSE
    quiet = not chart.seen.trials and streams and not it.deltas
    return Seen(said.evidence, Level.WARNING if quiet else None)


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
    if ask is None or not ask.ended_properly:
        return None
    # An EventSource can only GET: where the question is asked by POST, it is nobody's loop yet.
    level = Level.NOTE if ask.exchange.question.method != "GET" else None
    first = it.deltas[0]
    again = f"status {it.exchange.status}, then `{frame_said(first)}` at {seconds(first.at_s)}"
    ended = f"{ask.name} ended at {seconds(ask.exchange.ended_s)}"
    return Seen((f"{ended}; after that {it.name}: {again}; a 204 would have stopped it",), level)


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
