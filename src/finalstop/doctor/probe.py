"""One question, one exchange: what was sent, and all that came of it, with times.

It watches and judges nothing but progress: it gives up when no byte has come for a window, or when
the whole exchange has lasted too long, because pings for ever are bytes, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from finalstop.doctor.coding import Decoder
from finalstop.doctor.connection import (
    CONNECT_S,
    DIRECT,
    Came,
    Line,
    NoConnectionError,
    Way,
    connect,
    is_absolute,
    proxy_credentials,
)
from finalstop.doctor.http import Head, ResponseReader, request_bytes
from finalstop.doctor.observations import Arrival, Ending, Exchange, Framing, Question

BODY_BYTES_MAX: Final = 16 << 20
TOO_MUCH: Final = "we stopped reading"
# How often we ask whether it is time to leave or to give up; arrivals are noted at once.
TICK_S: Final = 0.02


def never(at_s: float, body_bytes: int) -> bool:
    """Leaves never: what came is looked at to its end."""
    del at_s, body_bytes
    return False


def _nothing_else() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Watch:
    """How long one exchange is watched. Seconds.

    `window_s` is how long nothing may come, `total_s` how long all may last. `leaves` is asked
    again and again with the seconds since the beginning and the body bytes so far: True leaves, by
    FIN or with `resets` by RST. `stirred` is the `time.monotonic` of what else counts as progress.
    `head_s` is how long the head may take where that is longer than the window. Of the body at most
    `bytes_max` are kept; with them the exchange ends, and `failure` begins with TOO_MUCH
    unless it was to be left anyway.
    """

    window_s: float
    total_s: float
    leaves: Callable[[float, int], bool] = never
    resets: bool = False
    stirred: Callable[[], float] = _nothing_else
    bytes_max: int = BODY_BYTES_MAX
    head_s: float = 0.0


def after_first_bytes(more_s: float) -> Callable[[float, int], bool]:
    """Leaves so many seconds after the first bytes of the body. For one exchange."""
    first_s: list[float] = []

    def leaves(at_s: float, body_bytes: int) -> bool:
        if body_bytes and not first_s:
            first_s.append(at_s)
        return bool(first_s) and at_s - first_s[0] >= more_s

    return leaves


async def ask(
    question: Question, watch: Watch, *, way: Way = DIRECT, began: float | None = None
) -> Exchange:
    """Ask, and watch the answer until it ends, we leave, or the watch is over. Never raises.

    `began` is the `time.monotonic` that the exchange's times count from; by default now.
    """
    began = time.monotonic() if began is None else began
    asking = _Asking(question, watch, began)
    try:
        line = await connect(question.url, way, within_s=min(watch.total_s, CONNECT_S))
    except NoConnectionError as none:
        asking.end(Ending.NO_CONNECTION, time.monotonic(), str(none))
        return asking.exchange()
    asking.connected()
    try:
        line.send(_request(question, way))
        await asking.follow(line)
    finally:
        line.leave(reset=watch.resets and asking.ending is Ending.LEFT)
    return asking.exchange()


def _request(question: Question, way: Way) -> bytes:
    absolute = is_absolute(question.url, way)
    if absolute and (credentials := proxy_credentials(urlsplit(way.proxies[-1]))):
        headers = (*question.headers, ("proxy-authorization", credentials))
        question = Question(question.method, question.url, headers, question.body)
    return request_bytes(question, version=way.version, absolute=absolute)


class _Asking:
    """An exchange in the making. Absolute times are `time.monotonic`."""

    def __init__(self, question: Question, watch: Watch, began: float) -> None:
        self.ending: Ending | None = None
        self._question = question
        self._watch = watch
        self._began = self._progress = began
        self._reader = ResponseReader(question)
        self._decoder: Decoder | None = None
        self._arrivals: list[Arrival] = []
        self._body_bytes = 0
        self._connected_s: float | None = None
        self._head_s: float | None = None
        self._ended_s = 0.0
        self._failure = ""

    @property
    def is_over(self) -> bool:
        return self.ending is not None

    def connected(self) -> None:
        self._progress = time.monotonic()
        self._connected_s = self._progress - self._began

    async def follow(self, line: Line) -> None:
        """Take what comes, until there is an ending."""
        while not self.is_over:
            for came in line.take():
                if not self.is_over:
                    self._take(came)
            if not self.is_over:
                self._look_at_the_clock(time.monotonic())
                await line.wait(TICK_S)

    def end(self, how: Ending, at: float, failure: str = "") -> None:
        self.ending = how
        self._ended_s = at - self._began
        self._failure = self._failure or failure

    def exchange(self) -> Exchange:
        assert self.ending is not None
        head = self._reader.head or Head(0, "", (), Framing.NONE)
        return Exchange(
            question=self._question,
            connected_s=self._connected_s,
            head_s=self._head_s,
            status=head.status or None,
            version=head.version,
            headers=head.headers,
            framing=head.framing,
            arrivals=tuple(self._arrivals),
            ending=self.ending,
            ended_s=self._ended_s,
            failure=self._failure,
        )

    def _take(self, came: Came) -> None:
        if not came.data:
            self._take_end(came)
            return
        self._progress = came.at_s
        data = self._reader.receive(came.data)
        if self._reader.head is not None and self._head_s is None:
            self._head_s = came.at_s - self._began
            encoding = self._reader.head.header("content-encoding")
            self._decoder = Decoder(encoding, bytes_max=self._watch.bytes_max)
        if data:
            self._take_body(data, came.at_s)
        if self.is_over:
            return
        if self._reader.whole:
            self._end_body(Ending.WHOLE, came.at_s)
        elif self._reader.failure:
            self.end(Ending.NOT_HTTP, came.at_s, self._reader.failure)

    def _take_body(self, data: bytes, at: float) -> None:
        assert self._decoder is not None
        plain = self._decoder.decode(data)
        self._body_bytes += len(data)
        self._arrivals.append(Arrival(at - self._began, plain, len(data)))
        if self._decoder.full:
            self._end_full(at)

    def _end_full(self, at: float) -> None:
        # Who meant to leave anyway leaves now.
        if self._watch.leaves is never:
            told = f"{TOO_MUCH} at {self._watch.bytes_max:,} bytes of body"
            self.end(Ending.STILL_OPEN, at, told)
        else:
            self.end(Ending.LEFT, at)

    def _take_end(self, came: Came) -> None:
        if came.failure is not None:
            self._end_body(Ending.RESET, came.at_s, str(came.failure))
        else:
            self._end_body(*_swapped(came.at_s, self._reader.receive_eof()))

    def _end_body(self, how: Ending, at: float, failure: str = "") -> None:
        if self._decoder is not None and self._body_bytes:
            self._decoder.finish()
            self._failure = self._decoder.failure
        self.end(how, at, failure)

    def _look_at_the_clock(self, now: float) -> None:
        watch, elapsed = self._watch, now - self._began
        if watch.leaves(elapsed, self._body_bytes):
            self.end(Ending.LEFT, now)
        elif self._silent_s(now) >= self._patience_s or elapsed >= watch.total_s:
            self.end(Ending.STILL_OPEN, now)

    @property
    def _patience_s(self) -> float:
        watch = self._watch
        return watch.window_s if self._head_s is not None else max(watch.window_s, watch.head_s)

    def _silent_s(self, now: float) -> float:
        return now - max(self._progress, self._watch.stirred())


def _swapped(at: float, said: tuple[Ending, str]) -> tuple[Ending, float, str]:
    return said[0], at, said[1]
