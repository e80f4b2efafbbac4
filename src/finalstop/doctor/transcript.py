"""One exchange, read in its dialect: where it progressed, where it ended, and how it was left.

The words that findings and timelines share. It judges single facts (this is a terminal, this was
silence) and never whether they are bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from finalstop.doctor.dialects import NONE, Dialect, Role
from finalstop.doctor.observations import Ending, Exchange
from finalstop.doctor.reading import Carrier, Frame, Reading, read

# Frames that arrive within so long of each other came in one burst.
BURST_S: Final = 0.05
_SPACE: Final = 0x20
_LAYOUT: Final = b"\t\n\f\r\x1b"
_SAMPLE_BYTES: Final = 4096
# Of random bytes an eighth are control characters; of text in any charset next to none.
_BINARY_SHARE: Final = 0.02

_TERMINALS: Final = frozenset({Role.SUCCESS, Role.FAILURE, Role.CLOSE})
_PROPER: Final = frozenset({Ending.WHOLE, Ending.CLOSED})
_BROKEN: Final = frozenset({Ending.CUT, Ending.RESET})


@dataclass(frozen=True, slots=True)
class Said:
    """A frame and its role."""

    frame: Frame
    role: Role


@dataclass(frozen=True, slots=True)
class Burst:
    """Frames that arrived together."""

    at_s: float
    frames: int
    size: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """One exchange with its frames judged. `window_s` is how long silence was watched."""

    name: str
    exchange: Exchange
    reading: Reading
    dialect: Dialect
    said: tuple[Said, ...]
    window_s: float

    @property
    def deltas(self) -> tuple[Frame, ...]:
        """The frames that carry the answer on."""
        return tuple(it.frame for it in self.said if it.role is Role.DELTA)

    @property
    def terminals(self) -> tuple[Said, ...]:
        """Every frame that says that it is over."""
        return tuple(it for it in self.said if it.role in _TERMINALS)

    @property
    def verdict(self) -> Said | None:
        """The frame that a correct client ends on: the first terminal."""
        return self.terminals[0] if self.terminals else None

    @property
    def succeeded(self) -> bool:
        """Whether a client takes the answer for whole."""
        if self.dialect.judge is NONE.judge or self.reading.carrier is Carrier.TEXT:
            return self.ended_properly and self.ok and not self.verdict
        return self.verdict is not None and self.verdict.role is not Role.FAILURE

    @property
    def failed(self) -> bool:
        """Whether a client can tell that the answer failed: by a frame, a status, or a break."""
        if self.exchange.status is not None and self.exchange.status >= 400:
            return True
        return self.broken or (self.verdict is not None and self.verdict.role is Role.FAILURE)

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return self.exchange.status is not None and 200 <= self.exchange.status < 300

    @property
    def speaks_unknown(self) -> bool:
        """Whether there are events with data, and none is a delta or a terminal to us."""
        known = any(it.role in _TERMINALS or it.role is Role.DELTA for it in self.said)
        streams = self.reading.carrier in {Carrier.SSE, Carrier.JSON_LINES}
        return streams and not known and any(it.data is not None for it in self.reading.frames)

    @property
    def is_binary(self) -> bool:
        """Whether the body is no text in any charset: many control characters."""
        sample = self.exchange.body[:_SAMPLE_BYTES]
        controls = sum(byte < _SPACE and byte not in _LAYOUT for byte in sample)
        return controls > len(sample) * _BINARY_SHARE

    @property
    def ended_properly(self) -> bool:
        """Whether the body ended as its framing says."""
        return self.exchange.ending in _PROPER

    @property
    def broken(self) -> bool:
        """Whether the connection, or the framing of the body, broke in the middle."""
        ending = self.exchange.ending
        return ending in _BROKEN or (ending is Ending.NOT_HTTP and self.exchange.status is not None)

    @property
    def progress_s(self) -> float:
        """When the last delta or terminal came; else the head; else 0."""
        told = [it.frame.at_s for it in self.said if it.role in _TERMINALS or it.role is Role.DELTA]
        return max(told) if told else self.exchange.head_s or 0.0

    @property
    def hangs(self) -> bool:
        """Whether it was open, and without progress for (nearly) the whole window."""
        idle_s = self.exchange.ended_s - self.progress_s
        return self.exchange.ending is Ending.STILL_OPEN and idle_s >= 0.8 * self.window_s

    @property
    def after_verdict(self) -> tuple[Said, ...]:
        """What came after the terminal and is no closing mark of it."""
        verdict = self.verdict
        if verdict is None:
            return ()
        place = self.said.index(verdict)
        return tuple(it for it in self.said[place + 1 :] if it.role is not Role.CLOSE)

    @property
    def bursts(self) -> tuple[Burst, ...]:
        """The deltas by when they arrived."""
        return tuple(_bursts(self.deltas))

    @property
    def longest_silence(self) -> tuple[float, float]:
        """From when to when the wire was silent for longest, before the end."""
        ended_s = self.exchange.ended_s
        came = [it.at_s for it in self.exchange.arrivals if it.data]
        times = [self.exchange.head_s or 0.0, *came, ended_s]
        return max(pairwise(times), key=lambda gap: gap[1] - gap[0])


def transcribe(name: str, exchange: Exchange, dialect: Dialect, window_s: float) -> Transcript:
    """Read an exchange in a dialect."""
    reading = read(exchange)
    # A page that says what went wrong is no answer, and a document is none that was streamed.
    page = reading.carrier is Carrier.DOCUMENT or (
        reading.carrier is Carrier.TEXT and exchange.status is not None and exchange.status >= 300
    )
    said = tuple(
        Said(frame, Role.OTHER if page else dialect.judge(frame)) for frame in reading.frames
    )
    return Transcript(name, exchange, reading, dialect, said, window_s)


def _bursts(frames: tuple[Frame, ...]) -> Iterator[Burst]:
    first_s, last_s, count, size = 0.0, 0.0, 0, 0
    for frame in frames:
        if count and frame.at_s - last_s > BURST_S:
            yield Burst(first_s, count, size)
            count = size = 0
        first_s = first_s if count else frame.at_s
        last_s, count, size = frame.at_s, count + 1, size + frame.end - frame.start
    if count:
        yield Burst(first_s, count, size)
