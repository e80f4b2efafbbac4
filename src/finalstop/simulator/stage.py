"""Where a fault strikes: a healthy answer, written out as moves and cut in two at the phase.

Fault and form builders get a `Stage` and say what happens between its two halves. The SSE writing
here is the simulator's own, on purpose: it must not share a bug with the codec it tests. This room
may not know about sockets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from finalstop.simulator.answers import PING, Ask, answer, compact, delta_kind
from finalstop.simulator.catalogue import Phase
from finalstop.simulator.moves import Begin, Close, Finish, Framing, Head, Move, Say, Wait
from finalstop.simulator.recipes import Json
from finalstop.simulator.script import Script, ScriptError

# How often something "for ever" is repeated, when the script does not say.
REPEAT_MS: Final = 100
# Shaped as the API's own organisation ids are, and nobody's.
ORGANISATION: Final = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Style:
    """How an event is written as a frame; the default is how the API writes it."""

    newline: str = "\n"
    space: str = " "
    names: bool = True
    spread: bool = False
    extras: bool = False

    def frame(self, event: Json) -> bytes:
        """One event as the bytes of one SSE frame, its blank line included."""
        rows = _spread(event) if self.spread else compact(event)
        return self.frame_of(rows, name=str(event["type"]))

    def frame_of(self, data: str, *, name: str = "") -> bytes:
        """One frame of any data, one `data:` line for each of its lines."""
        lines = [f"event:{self.space}{name}"] if self.names and name else []
        if self.extras:
            lines = [": a comment", "id: 7", "retry: 3000", *lines, "flavour: salt", "lonely"]
        lines += [f"data:{self.space}{row}" for row in data.split("\n")]
        return (self.newline.join(lines) + self.newline * 2).encode()


@dataclass(frozen=True, slots=True)
class Stage:
    """One call's healthy answer, cut at the script's phase. Make it with `set_stage`.

    `before` and `after` are body moves. `next_event` is the first event of `after`, and None where
    the answer is one JSON value; `message` is that value.
    """

    script: Script
    message: object
    events: tuple[Json, ...]
    next_event: Json | None
    style: Style
    head: Head
    before: tuple[Move, ...]
    after: tuple[Move, ...]
    pace_s: float

    def cut(self, ending: Iterable[Move]) -> Iterator[Move]:
        """The answer up to the phase, then `ending` instead of the rest."""
        begin = [] if self.script.phase is Phase.BEFORE_HEAD else [Begin(self.head)]
        return chain(begin, self.before, ending)

    def onward(self, interlude: Iterable[Move] = ()) -> Iterator[Move]:
        """The answer up to the phase, then `interlude`, then the rest and a proper end."""
        late = [Begin(self.head)] if self.script.phase is Phase.BEFORE_HEAD else []
        return chain(self.cut(interlude), late, self.after, [Finish()])

    def instead(self, event: Move) -> Iterator[Move]:
        """The whole answer, with `event` in place of the first one after the phase."""
        return chain(self.cut([event]), self.after[1:], [Finish()])

    def headed(self, head: Head, aftermath: Iterable[Move] = (Finish(),)) -> Iterator[Move]:
        """The whole body under another head, then its proper end or `aftermath`."""
        return chain([Begin(head)], self.before, self.after, aftermath)

    def retold(self, events: Iterable[Json]) -> Iterator[Move]:
        """Other events in place of the answer's, properly ended."""
        return chain([Begin(self.head)], _told(self.style, events, self.pace_s), [Finish()])

    def frame(self, event: Json) -> Say:
        """One event as a body move."""
        return Say(self.style.frame(event))

    def hang(self) -> tuple[Move, ...]:
        """Silence until the simulator itself gives up, and then the connection closes."""
        return (Wait(self.script.held_s()), Close())

    @property
    def repeat_s(self) -> float:
        """Seconds between repetitions of what goes on for ever; never 0."""
        return max(self.script.pace_s(REPEAT_MS), 0.001)

    @property
    def ping(self) -> bytes:
        """One ping event, as body bytes."""
        return self.style.frame(PING)

    @property
    def body_bytes(self) -> int:
        """How many bytes the whole body has, before any coding."""
        return sum(len(move.data) for move in self.before + self.after if isinstance(move, Say))


def set_stage(script: Script, ask: Ask, request_id: str, *, style: Style, pace_ms: int) -> Stage:
    """Write out the script's answer and cut it at the script's phase.

    Raises:
        ScriptError: the answer has no such place, e.g. no text to stand in the middle of.
    """
    dish = answer(script, ask)
    if not ask.stream:
        return plain_stage(script, dish.message, request_id)
    head = Head(200, "OK", (("content-type", EVENT_STREAM), *api_headers(request_id)))
    pace_s = script.pace_s(pace_ms)
    at = _cut_index(script, dish.events)
    halves = (dish.events[:at], dish.events[at:])
    before, after = (tuple(_told(style, half, pace_s)) for half in halves)
    next_event = dish.events[at]
    return Stage(
        script, dish.message, dish.events, next_event, style, head, before, after, pace_s
    )  # fmt: skip


def plain_stage(script: Script, message: object, request_id: str) -> Stage:
    """The stage of an answer that is one JSON value; every phase in a body is its middle."""
    body = compact(message).encode()
    half = 0 if script.phase in {None, Phase.BEFORE_HEAD, Phase.AFTER_HEAD} else len(body) // 2
    headers = (("content-type", "application/json"), *api_headers(request_id))
    # A whole JSON value states its length; one that will be cut short is chunked.
    framing = Framing.LENGTH if script.entry.whole else Framing.CHUNKED
    head = Head(200, "OK", headers, framing, len(body))
    before = (Say(body[:half]),) if half else ()
    return Stage(script, message, (), None, Style(), head, before, (Say(body[half:]),), 0.0)


def api_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """The headers that the API puts onto every response."""
    limits = [
        (f"anthropic-ratelimit-{what}-{name}", value)
        for what, limit, left in _RATE_LIMITS
        for name, value in (("limit", limit), ("remaining", left), ("reset", _RESET))
    ]
    return (("request-id", request_id), ("anthropic-organization-id", ORGANISATION), *limits)


def _told(style: Style, events: Iterable[Json], pace_s: float) -> Iterator[Move]:
    for event in events:
        yield Say(style.frame(event))
        if pace_s and delta_kind(event):
            yield Wait(pace_s)


def _cut_index(script: Script, events: tuple[Json, ...]) -> int:
    """How many events come before the phase."""
    kinds = [delta_kind(event) for event in events]
    match script.phase:
        case Phase.BEFORE_FIRST_DELTA:
            places = [at for at, kind in enumerate(kinds) if kind][:1]
        case Phase.BEFORE_MESSAGE_STOP:
            return len(events) - 1
        case Phase.MID_TEXT | Phase.MID_THINKING | Phase.MID_TOOL_JSON as phase:
            places = [at for at, kind in enumerate(kinds) if kind == _DELTA_OF_PHASE[phase]][1:]
        case _:
            return 0
    if not places:
        message = f"simulator script: answer {script.answer!r} has no {script.phase.value}; "
        raise ScriptError(message + "name another with answer=, or another phase")
    return places[len(places) // 2]


def _spread(event: Json) -> str:
    """The event's JSON over several lines, broken only where JSON allows white space."""
    return "{\n" + ",\n".join(f'"{key}":{compact(value)}' for key, value in event.items()) + "\n}"


EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
# A date, not a clock: the same seed must give the same bytes.
_RESET: Final = "2026-12-01T00:00:00Z"
_RATE_LIMITS: Final = (
    ("requests", "4000", "3999"),
    ("tokens", "480000", "479000"),
    ("input-tokens", "400000", "399000"),
    ("output-tokens", "80000", "80000"),
)
_DELTA_OF_PHASE: Final = {
    Phase.MID_TEXT: "text_delta",
    Phase.MID_THINKING: "thinking_delta",
    Phase.MID_TOOL_JSON: "input_json_delta",
}
