"""Healthy answers in unusual bytes: what a correct reader must take without noticing.

Each builder gets a `Stage` and returns the moves; the tables have exactly the catalogue's names.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from finalstop.simulator.moves import (
    Close,
    Finish,
    Framing,
    Move,
    NextRequest,
    Raw,
    Reset,
    Say,
    Wait,
    chunk,
    compressed,
    repeated,
)
from finalstop.simulator.stage import Stage, Style

Builder = Callable[[Stage], Iterable[Move]]

# A pause is meant to be noticed by a test, not waited out like a hang.
PAUSE_S: Final = 2.0
SLOW_DRIP_MS: Final = 250


def _whole(stage: Stage) -> Iterable[Move]:
    return stage.onward()


def _pause(stage: Stage) -> Iterable[Move]:
    return stage.onward([Wait(stage.script.held_s(PAUSE_S))])


def _pause_pings(stage: Stage) -> Iterable[Move]:
    seconds = stage.script.held_s(PAUSE_S)
    return stage.onward(repeated(stage.ping, every_s=stage.repeat_s, seconds=seconds))


def _unknown_event(stage: Stage) -> Iterable[Move]:
    return stage.onward([stage.frame({"type": "weather_report", "wind": {"from": "NW"}})])


def _gzip(stage: Stage) -> Iterable[Move]:
    return compressed(stage.onward())


def _gzip_no_trailer(stage: Stage) -> Iterable[Move]:
    return chain(compressed(stage.headed(stage.head, ())), [Finish()])


def _bom(stage: Stage) -> Iterable[Move]:
    return chain(stage.cut([Say(b"\xef\xbb\xbf")]), stage.after, [Finish()])


def _one_write(stage: Stage) -> Iterable[Move]:
    body = b"".join(move.data for move in stage.after if isinstance(move, Say))
    return stage.cut([Say(body), Finish()])


def _chunk_extensions(stage: Stage) -> Iterator[Move]:
    for move in stage.onward():
        yield Raw(chunk(move.data, b';grain="coarse"')) if isinstance(move, Say) else move


def _trailers(stage: Stage) -> Iterable[Move]:
    return stage.headed(stage.head, [Finish(b"x-checksum: none\r\nx-taste: salt\r\n")])


def _close_delimited(stage: Stage) -> Iterable[Move]:
    return stage.headed(replace(stage.head, framing=Framing.CONNECTION_END))


def _http_1_0(stage: Stage) -> Iterable[Move]:
    head = replace(stage.head, framing=Framing.CONNECTION_END, version="HTTP/1.0")
    return stage.headed(head)


def _informational(stage: Stage) -> Iterable[Move]:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
    return chain([Raw(b"HTTP/1.1 100 Continue\r\n\r\n" + hint)], stage.onward())


def _refuse_keepalive(stage: Stage) -> Iterable[Move]:
    return stage.headed(replace(stage.head, keep_alive=False))


def _close_while_idle(stage: Stage) -> Iterable[Move]:
    return stage.headed(stage.head, [Finish(), Wait(0.02), Close()])


def _reset_on_reuse(stage: Stage) -> Iterable[Move]:
    return stage.headed(stage.head, [Finish(), NextRequest(), Reset()])


STYLES: Final = {
    "crlf": Style(newline="\r\n"),
    "cr-only": Style(newline="\r"),
    "no-space": Style(space=""),
    "no-event-names": Style(names=False),
    "multi-line-data": Style(spread=True),
    "extra-fields": Style(extras=True),
}
FORMS: Final[dict[str, Builder]] = {
    "slow-drip": _whole,
    "pause": _pause,
    "pause-pings": _pause_pings,
    "unknown-event": _unknown_event,
    "gzip": _gzip,
    "gzip-no-trailer": _gzip_no_trailer,
    **dict.fromkeys(STYLES, _whole),
    "bom": _bom,
    "split-everywhere": _whole,
    "one-write": _one_write,
    "chunk-extensions": _chunk_extensions,
    "trailers": _trailers,
    "close-delimited": _close_delimited,
    "http-1.0": _http_1_0,
    "informational-1xx": _informational,
    "refuse-keepalive": _refuse_keepalive,
    "close-while-idle": _close_while_idle,
    "reset-on-reuse": _reset_on_reuse,
}
