"""How facts are put: seconds, bytes, bodies with their control characters made visible, stories.

Every sentence of evidence is built from these, so that the same fact reads the same everywhere. It
may not judge.
"""

from __future__ import annotations

from typing import Final

from finalstop.doctor.observations import Case, Ending, Exchange, Step
from finalstop.doctor.reading import Frame
from finalstop.doctor.transcript import Transcript

SHOWN_CHARACTERS: Final = 120

# Never shown, nor kept in a report: they are keys.
SECRET_HEADERS: Final = frozenset(
    {"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization", "x-goog-api-key"}
)

UPSTREAM: Final[dict[Case, str]] = {
    Case.HEALTHY: "the upstream does everything right",
    Case.NEVER_CLOSED: "the upstream leaves its body open after `message_stop`",
    Case.NEVER_CLOSED_PINGS: "the upstream sends pings for ever after `message_stop`",
    Case.STALL: "the upstream falls silent mid-answer",
    Case.PINGS_ONLY: "the upstream sends only pings, from mid-answer on",
    Case.NO_HEAD: "the upstream takes the request and says nothing",
    Case.TRUNCATED: "the upstream's body ends mid-answer, properly",
    Case.RESET: "the upstream resets the connection mid-answer",
    Case.ERROR_FIRST: "the upstream sends an `error` event before any content",
    Case.ERROR_MIDWAY: "the upstream sends an `error` event mid-answer",
    Case.RATE_LIMITED: "the upstream answers 429 with retry-after",
    Case.OVERLOADED: "the upstream answers 529",
    Case.SLOW: "the upstream answers slowly, and whole",
    Case.TOOLS_AND_THINKING: "the answer has thinking and a tool call",
    Case.LEAVE_MID_STREAM: "we leave mid-stream",
    Case.LEAVE_BEFORE_HEAD: "we leave before the head",
}

STEPS: Final[dict[Step, str]] = {
    Step.ASK: "the question",
    Step.HEAD: "HEAD",
    Step.PREFLIGHT: "OPTIONS with an Origin",
    Step.LEAVE_BEFORE_HEAD: "we leave before the head",
    Step.LEAVE_MID_STREAM: "we leave mid-stream",
    Step.RECONNECT: "GET with Last-Event-ID",
    Step.IDLE: "a long silence",
}

_ENDINGS: Final[dict[Ending, str]] = {
    Ending.WHOLE: "the body ended properly at {at}",
    Ending.CLOSED: "the connection closed at {at}, which ended the body",
    Ending.CUT: "the connection closed at {at}, before the body's end",
    Ending.RESET: "the connection was reset at {at}",
    Ending.STILL_OPEN: "still open at {at}, when we stopped looking",
    Ending.LEFT: "we left at {at}",
    Ending.NO_CONNECTION: "no connection ({failure})",
    Ending.NOT_HTTP: "no HTTP response ({failure})",
}


def seconds(value: float) -> str:
    """`0.52 s`, `12.0 s`."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def size(count: int) -> str:
    """`1 byte`, `14,000 bytes`."""
    return f"{count:,} byte{'' if count == 1 else 's'}"


def counted(count: int, noun: str) -> str:
    """`1 delta`, `12 deltas`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text on one line: control characters escaped, the rest cut off at `limit`."""
    shown = text[: limit + 1]
    line = "".join(_shown(it) for it in shown[:limit])
    return f"{line}… ({len(text):,} characters)" if len(shown) > limit else line


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "replace").decode()


def frame_said(frame: Frame) -> str:
    """A frame as it stood on the wire."""
    name = f"event: {visible(frame.event)}, " if frame.event else ""
    if frame.data is None:
        return f"{name}no data"
    return f"{name}data: {visible(frame.data)}"


def ending_said(exchange: Exchange) -> str:
    """How an exchange ended, and when."""
    failure = visible(exchange.failure) or "no reason given"
    if exchange.ending is Ending.NOT_HTTP and exchange.status is not None:
        return f"the framing of the body broke at {seconds(exchange.ended_s)} ({failure})"
    return _ENDINGS[exchange.ending].format(at=seconds(exchange.ended_s), failure=failure)


def story(transcript: Transcript) -> str:
    """One exchange in a sentence: status, deltas, terminal, how it ended."""
    exchange = transcript.exchange
    parts: list[str] = []
    if exchange.status is not None and exchange.head_s is not None:
        parts.append(f"status {exchange.status} after {seconds(exchange.head_s)}")
    elif exchange.ending not in {Ending.NO_CONNECTION, Ending.NOT_HTTP}:
        parts.append("no response head")
    if deltas := transcript.deltas:
        parts.append(f"{counted(len(deltas), 'delta')}, the last at {seconds(deltas[-1].at_s)}")
    if verdict := transcript.verdict:
        at = seconds(verdict.frame.at_s)
        parts.append(f"then at {at} `{frame_said(verdict.frame)}`")
    elif deltas:
        parts.append("no terminal")
    return "; ".join([*parts, ending_said(exchange)])


def told(transcript: Transcript) -> str:
    """What was going on, and the story of what came of it."""
    return f"{transcript.name}: {story(transcript)}"
