"""The corpus of upstream bodies, and the way from a body to a log: frames, events, entries.

A log is written by the real lifecycle, so that every `Ended` in these tests is one that occurs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.events import Entry, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS
from finalstop.core.receipt import Ended
from finalstop.wire.anthropic import decode_event
from finalstop.wire.sse import Frame, SSEDecoder
from tests.doors import ROOT

FOLDER: Final = ROOT / "tests" / "corpus" / "anthropic"
CORPUS: Final = {
    path.relative_to(FOLDER).as_posix().removesuffix(".sse"): path.read_bytes()
    for path in sorted(FOLDER.rglob("*.sse"))
}
ANSWERS: Final = [name for name in CORPUS if not name.startswith("errors/")]


def frames_of(body: bytes) -> list[Frame]:
    """The frames of a body that is whole."""
    decoder = SSEDecoder()
    frames = decoder.feed(body)
    assert decoder.close() is None
    assert decoder.failure is None
    return frames


def frame(data: bytes, event: str = "") -> Frame:
    """One frame, with the decoder's own word for what is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return Frame(event, data, "", malformed=True)
    return Frame(event, data, "", malformed=False)


def events_of(body: bytes) -> list[Event]:
    """The events of a body in which every frame is one."""
    return [_event(frame) for frame in frames_of(body)]


def ended_of(entry: Entry) -> Ended:
    """The `Ended` of a terminal entry."""
    assert isinstance(entry.event, Ended)
    return entry.event


def log_of(events: Iterable[Event]) -> list[Entry]:
    """What a log holds after these events and the end of the body; the last entry is `Ended`."""
    life = Lifecycle("s-1", DEFAULTS, now=0)
    logged = [*life.receive(list(events), now=1), *life.eof(now=2)]
    return [Entry(3, seq, event) for seq, event in enumerate(logged, start=1)]


def ending(reason: EndReason, events: Sequence[Event] = (), *, detail: str = "") -> Ended:
    """The `Ended` of a stream that ended for `reason` after `events`; any but `complete`."""
    life = Lifecycle("s-1", DEFAULTS, now=0)
    life.receive(events, now=1)
    if reason is EndReason.UPSTREAM_ERROR:
        refusal = Refusal(529, {"type": "overloaded_error", "message": "Overloaded"})
        return life.refused(refusal, now=2)[0]
    return life.end(reason, detail, now=2)[0]


def _event(frame: Frame) -> Event:
    decoded = decode_event(frame)
    assert isinstance(decoded, Event), decoded
    return decoded
