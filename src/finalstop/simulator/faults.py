"""Faults that strike inside the stream or after it: silence, cuts, nonsense, too much, too late.

Each builder gets a `Stage` and returns the moves; `FAULTS` has exactly the catalogue's names,
together with `HEADS`. What each does in one line is in `catalogue.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import Final, cast

from finalstop.simulator.answers import delta_event, delta_kind
from finalstop.simulator.moves import (
    PIECE_BYTES,
    Close,
    Finish,
    Framing,
    Move,
    Raw,
    Reset,
    Say,
    compressed,
    filled,
    repeated,
)
from finalstop.simulator.recipes import Json, text_block
from finalstop.simulator.stage import Stage

Builder = Callable[[Stage], Iterable[Move]]

MIB: Final = 1 << 20
# One more than the largest event the relay allows by default (16 MiB).
HUGE_EVENT_BYTES: Final = 17 * MIB
ENDLESS_BYTES: Final = 64 * MIB
# More than the largest stream the relay allows by default (64 MiB).
FLOOD_BYTES: Final = 80 * MIB
BOMB_BYTES: Final = 128 * MIB
# Stands in an event where bytes are to be spoilt, cut or blown up: four bytes, used nowhere else.
MARK: Final = "\N{SALT SHAKER}"


# Silence.


def _stall(stage: Stage) -> Iterable[Move]:
    return stage.cut(stage.hang())


def _for_ever(data: bytes | None, stage: Stage) -> Iterable[Move]:
    return stage.cut(_endless(stage, stage.ping if data is None else data))


def _endless(stage: Stage, data: bytes) -> Iterator[Move]:
    seconds = stage.script.held_s()
    return chain(repeated(data, every_s=stage.repeat_s, seconds=seconds), [Close()])


# Cuts.


def _ended(ending: Move, stage: Stage) -> Iterable[Move]:
    return stage.cut([ending])


def _cut_chunk(stage: Stage) -> Iterable[Move]:
    data = _next_bytes(stage)
    return stage.cut([Raw(b"%x\r\n%s" % (len(data), data[: len(data) // 2])), Close()])


def _cut_mid_event(stage: Stage) -> Iterable[Move]:
    data = _next_bytes(stage)
    return stage.cut([Say(data[: len(data) // 2]), Finish()])


def _cut_mid_utf8(stage: Stage) -> Iterable[Move]:
    upto, _ = _around_mark(stage)
    return stage.cut([Say(upto + MARK.encode()[:2]), Finish()])


def _cut_gzip(stage: Stage) -> Iterable[Move]:
    *whole, last = compressed(stage.cut([Say(_next_bytes(stage))]))
    packed = cast("Say", last).data
    return [*whole, Say(packed[: len(packed) // 2]), Finish()]


def _content_length_short(stage: Stage) -> Iterable[Move]:
    head = replace(stage.head, framing=Framing.LENGTH, length=stage.body_bytes)
    return replace(stage, head=head).cut([Close()])


def _bad_chunk_size(stage: Stage) -> Iterable[Move]:
    return stage.cut([Raw(b"salt\r\n"), *stage.hang()])


# Errors said in the stream.


def _error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}}


OVERLOADED: Final = _error("overloaded_error", "Overloaded")


def _error_event(event: Json, stage: Stage) -> Iterable[Move]:
    return stage.cut([stage.frame(event), Finish()])


def _error_then_open(stage: Stage) -> Iterable[Move]:
    return stage.cut([stage.frame(OVERLOADED), *stage.hang()])


def _error_then_events(stage: Stage) -> Iterable[Move]:
    return stage.onward([stage.frame(OVERLOADED)])


# Nonsense in the stream.


def _inserted(data: str, stage: Stage) -> Iterable[Move]:
    return stage.onward([Say(stage.style.frame_of(data, name="content_block_delta"))])


def _spoilt(bad: bytes, stage: Stage) -> Iterable[Move]:
    upto, onward = _around_mark(stage)
    return stage.instead(Say(upto + bad + onward))


def _duplicate_message_start(stage: Stage) -> Iterable[Move]:
    return stage.onward([stage.frame(stage.events[0])])


def _delta_before_start(stage: Stage) -> Iterable[Move]:
    return stage.retold([delta_event(0, "text_delta", "text", "early"), *stage.events])


def _delta_unknown_index(stage: Stage) -> Iterable[Move]:
    return stage.onward([stage.frame(delta_event(99, "text_delta", "text", "lost"))])


def _duplicate_block_start(stage: Stage) -> Iterable[Move]:
    index = cast("Json", stage.next_event)["index"]
    starts = [e for e in stage.events if e["type"] == "content_block_start"]
    return stage.onward([stage.frame(e) for e in starts if e["index"] == index])


def _early_message_stop(stage: Stage) -> Iterable[Move]:
    return stage.cut([stage.frame({"type": "message_stop"}), Finish()])


def _without(kind: str, stage: Stage) -> Iterable[Move]:
    return stage.retold(event for event in stage.events if event["type"] != kind)


def _block_after_stop_reason(stage: Stage) -> Iterable[Move]:
    *events, stop = stage.events
    return stage.retold([*events, *_late_block(stage), stop])


# After message_stop.


def _after_stop(aftermath: Callable[[Stage], Iterable[Move]], stage: Stage) -> Iterable[Move]:
    return stage.headed(stage.head, aftermath(stage))


def _late_pings(stage: Stage) -> Iterable[Move]:
    return _endless(stage, stage.ping)


def _late_deltas(stage: Stage) -> Iterable[Move]:
    delta = delta_event(0, "text_delta", "text", " and on")
    return _endless(stage, stage.style.frame(delta))


def _late_events(stage: Stage) -> Iterable[Move]:
    return [*(stage.frame(event) for event in _late_block(stage)), Finish()]


def _late_error(stage: Stage) -> Iterable[Move]:
    return [stage.frame(OVERLOADED), Finish()]


def _second_stop(stage: Stage) -> Iterable[Move]:
    return [stage.frame({"type": "message_stop"}), Finish()]


def _late_garbage(stage: Stage) -> Iterable[Move]:
    del stage
    return [Say(b"\x00\xff garbage \xc3\x28\n\ndata: {not json\n\n"), Finish()]


def _late_block(stage: Stage) -> list[Json]:
    index = sum(event["type"] == "content_block_start" for event in stage.events)
    start: Json = {
        "type": "content_block_start",
        "index": index,
        "content_block": text_block(""),
    }
    delta = delta_event(index, "text_delta", "text", "too late")
    return [start, delta, {"type": "content_block_stop", "index": index}]


# Too much.


def _huge_event(size: int, stage: Stage) -> Iterable[Move]:
    upto, onward = _around_mark(stage)
    body = filled(b"salt ", _size(stage, size))
    return stage.onward(chain([Say(upto)], body, [Say(onward)]))


def _gzip_bomb(stage: Stage) -> Iterable[Move]:
    return compressed(_huge_event(BOMB_BYTES, stage))


def _endless_bytes(first: bytes, pattern: bytes, stage: Stage) -> Iterable[Move]:
    body = filled(pattern, _size(stage, ENDLESS_BYTES))
    return stage.cut(chain([Say(first)], body, stage.hang()))


def _flood(stage: Stage) -> Iterable[Move]:
    frame = stage.style.frame(cast("Json", stage.next_event))
    piece = frame * (PIECE_BYTES // len(frame))
    return stage.onward(repeat(Say(piece), _size(stage, FLOOD_BYTES) // len(piece) + 1))


def _size(stage: Stage, default: int) -> int:
    return default if stage.script.bytes is None else stage.script.bytes


def _next_bytes(stage: Stage) -> bytes:
    return cast("Say", stage.after[0]).data


def _around_mark(stage: Stage) -> tuple[bytes, bytes]:
    """The next event with MARK put into it, as the bytes before and after the mark."""
    event = cast("Json", stage.next_event)
    delta = event.get("delta")
    if delta_kind(event) and isinstance(delta, dict):
        *_, field = delta
        marked: Json = event | {"delta": delta | {field: MARK}}
    else:
        marked = event | {"note": MARK}
    upto, _, onward = stage.style.frame(marked).partition(MARK.encode())
    return upto, onward


FAULTS: Final[dict[str, Builder]] = {
    "stall": _stall,
    "pings-forever": partial(_for_ever, None),
    "comments-forever": partial(_for_ever, b": still here\n\n"),
    "spaces-forever": partial(_for_ever, b"\n"),
    "fin": partial(_ended, Finish()),
    "eof": partial(_ended, Close()),
    "rst": partial(_ended, Reset()),
    "cut-chunk": _cut_chunk,
    "cut-mid-event": _cut_mid_event,
    "cut-mid-utf8": _cut_mid_utf8,
    "cut-gzip": _cut_gzip,
    "content-length-short": _content_length_short,
    "bad-chunk-size": _bad_chunk_size,
    "missing-message-stop": partial(_without, "message_stop"),
    "error-overloaded": partial(_error_event, OVERLOADED),
    "error-api": partial(_error_event, _error("api_error", "Internal server error")),
    "error-rate-limit": partial(_error_event, _error("rate_limit_error", "Rate limited")),
    "error-timeout": partial(_error_event, _error("timeout_error", "Request timed out")),
    "error-invalid-request": partial(
        _error_event, _error("invalid_request_error", "Prompt is too long")
    ),
    "error-unknown-type": partial(_error_event, _error("tide_error", "The tide is out")),
    "error-no-body": partial(_error_event, {"type": "error"}),
    "error-then-open": _error_then_open,
    "error-then-events": _error_then_events,
    "error-first": partial(_error_event, OVERLOADED),
    "bad-json": partial(_inserted, '{"type":"content_block_delta","index":0,"delta":{"type":"te'),
    "wrong-shape": partial(_inserted, '{"type":"content_block_delta","index":0}'),
    "not-object": partial(_inserted, '["content_block_delta",0]'),
    "invalid-utf8": partial(_spoilt, b"\xff\xc0\x80"),
    "nul-byte": partial(_spoilt, b"\x00"),
    "duplicate-message-start": _duplicate_message_start,
    "delta-before-start": _delta_before_start,
    "no-message-start": partial(_without, "message_start"),
    "delta-unknown-index": _delta_unknown_index,
    "duplicate-block-start": _duplicate_block_start,
    "early-message-stop": _early_message_stop,
    "missing-block-stop": partial(_without, "content_block_stop"),
    "missing-message-delta": partial(_without, "message_delta"),
    "block-after-stop-reason": _block_after_stop_reason,
    "never-closed": partial(_after_stop, Stage.hang),
    "never-closed-pings": partial(_after_stop, _late_pings),
    "never-closed-events": partial(_after_stop, _late_deltas),
    "events-after-stop": partial(_after_stop, _late_events),
    "error-after-stop": partial(_after_stop, _late_error),
    "double-message-stop": partial(_after_stop, _second_stop),
    "garbage-after-stop": partial(_after_stop, _late_garbage),
    "rst-after-stop": partial(_after_stop, lambda _: [Reset()]),
    "eof-after-stop": partial(_after_stop, lambda _: [Close()]),
    "huge-event": partial(_huge_event, HUGE_EVENT_BYTES),
    "huge-line-no-newline": partial(_endless_bytes, b"data: ", b"salt "),
    "endless-comment": partial(_endless_bytes, b": ", b"salt "),
    "endless-fields": partial(_endless_bytes, b"", b"data: salt\n"),
    "flood": _flood,
    "gzip-bomb": _gzip_bomb,
}
