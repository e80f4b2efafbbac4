"""What a stream is made of: events that carry their own bytes.

Two unions keep the one door out narrow. A decoder may only produce an `Event`, whose payload is
one of the `Payload` views below, or `Deltas`, which are a run of them. A log may only hold an
`Entry`, whose event is one of these or an `Ended`. Nobody but the lifecycle makes an `Ended`.

The views are small on purpose: they hold what a relay needs to decide something. What the upstream
sent beyond that is not lost, because an event keeps its JSON exactly as it came, and pass-through
writes that, never the view.

Source of the shapes: the Messages API streaming reference, version 2026-10-21 (the same
event set as 2023-06-01). New event, block and delta types may appear under one version at any
time; they arrive here as `Unknown`, or as a `Block` or `Delta` with an unfamiliar `type`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast, final

from msgspec import Struct
from msgspec.json import Decoder

if TYPE_CHECKING:
    from finalstop.core.receipt import Ended


class UsageView(Struct, frozen=True, gc=False):
    """Token counts as the upstream states them. In `message_delta` they are cumulative."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class MessageHead(Struct, frozen=True, gc=False):
    """The `message` of a `message_start`. Its `output_tokens` is a placeholder."""

    id: str = ""
    model: str = ""
    usage: UsageView | None = None


class Block(Struct, frozen=True, gc=False):
    """A `content_block`: its `type` is an open set, so it is a string and not an enum."""

    type: str
    id: str | None = None
    name: str | None = None
    text: str | None = None


class Delta(Struct, frozen=True, gc=False):
    """A `delta` of a content block. At most one of the optional fields is set by known types."""

    type: str
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class StopView(Struct, frozen=True, gc=False):
    """The `delta` of a `message_delta`: how the model stopped, once it says so."""

    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageStart(Struct, frozen=True, gc=False, tag_field="type", tag="message_start"):
    """The answer begins."""

    message: MessageHead


class BlockStart(Struct, frozen=True, gc=False, tag_field="type", tag="content_block_start"):
    """A content block opens."""

    index: int
    content_block: Block


class BlockDelta(Struct, frozen=True, gc=False, tag_field="type", tag="content_block_delta"):
    """A content block grows."""

    index: int
    delta: Delta


class BlockStop(Struct, frozen=True, gc=False, tag_field="type", tag="content_block_stop"):
    """A content block is whole."""

    index: int


class MessageDelta(Struct, frozen=True, gc=False, tag_field="type", tag="message_delta"):
    """The stop reason and the cumulative usage."""

    delta: StopView
    usage: UsageView | None = None


class MessageStop(Struct, frozen=True, gc=False, tag_field="type", tag="message_stop"):
    """The model is done. The only event that makes a stream `complete`."""


class Ping(Struct, frozen=True, gc=False, tag_field="type", tag="ping"):
    """The transport lives. Says nothing of the answer; neither logged nor relayed."""


class UpstreamError(Struct, frozen=True, gc=False, tag_field="type", tag="error"):
    """The upstream gives up, in the stream. The whole `error` object is kept."""

    error: dict[str, Any]
    request_id: str | None = None


class Unknown(Struct, frozen=True, gc=False):
    """An event type this version has no name for: passed through untouched."""

    type: str


Known = (
    MessageStart
    | BlockStart
    | BlockDelta
    | BlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | UpstreamError
)
Payload = Known | Unknown

# Every `type` that has a view above. A known type of the wrong shape is invalid; an unknown one
# is not.
KNOWN_TYPES: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)


# What nests deeper is not lean: it might be too deep to be read again, from further down the stack.
# Python goes four times as deep; JSON of twice as many bytes goes no deeper, and is not looked at.
LEAN_NESTING_MAX: Final = 256
SHORT_BYTES: Final = 2 * LEAN_NESTING_MAX

view_of: Final = Decoder(Known).decode
"""The view of an event's JSON, in one look. Raises what msgspec raises, for odd JSON too."""


class Event(Struct, frozen=True, gc=False):
    """One fact from the upstream.

    Args:
        type: the JSON `type`, also for unknown ones; it is the SSE event name downstream.
        payload: the typed view, from one decode.
        json: the JSON exactly as it came (UTF-8; may hold line ends, which the SSE encoder
            splits again).
        lean: a delta whose JSON alone gives it again, through `delta_of`: of one line, and not
            nested deep. Who keeps many events need not keep its view.
    """

    type: str
    payload: Payload
    json: bytes
    lean: bool = False


def is_lean(json: bytes) -> bool:
    """Whether the delta of this JSON is lean."""
    if b"\n" in json:
        return False
    return len(json) <= SHORT_BYTES or json.count(b"[") + json.count(b"{") <= LEAN_NESTING_MAX


def delta_of(json: bytes) -> Event:
    """The lean event that had this JSON."""
    return Event("content_block_delta", view_of(json), json, lean=True)


@final
class Deltas(Struct, frozen=True, gc=False):
    """Lean deltas that came in one read with nothing between them: one or more events, as one.

    Nearly all of every answer is these. Their number does not show in what is done for them: they
    are judged, kept and told of together, and each has its own sequence number all the same.

    Args:
        views: the typed view of each.
        jsons: the JSON of each, exactly as it came.
        size_bytes: of all the JSON.
    """

    views: list[BlockDelta]
    jsons: list[bytes]
    size_bytes: int

    def events(self) -> list[Event]:
        """The same, one by one."""
        pairs = zip(self.views, self.jsons, strict=True)
        return [Event("content_block_delta", view, json, lean=True) for view, json in pairs]


def together(events: Iterable[Event]) -> list[Event | Deltas]:
    """The same events in the same order, each run of lean ones as `Deltas`."""
    facts: list[Event | Deltas] = []
    for lean, run in groupby(events, attrgetter("lean")):
        if lean:
            facts.append(_deltas_of(list(run)))
        else:
            facts += run
    return facts


def _deltas_of(run: list[Event]) -> Deltas:
    jsons = [event.json for event in run]
    views = [cast("BlockDelta", event.payload) for event in run]
    return Deltas(views, jsons, sum(map(len, jsons)))


class Entry(Struct, frozen=True, gc=False):
    """What a log has accepted, under its dense sequence number (the first is 1).

    `Deltas` stand under the number of their first event.
    """

    epoch: int
    seq: int
    event: Event | Deltas | Ended

    @property
    def last(self) -> int:
        """The number of the last event in it."""
        event = self.event
        return self.seq + len(event.jsons) - 1 if type(event) is Deltas else self.seq
