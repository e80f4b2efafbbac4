"""Bytes of an event stream through decoder, validation, lifecycle and log: what a stream becomes.

And the same bytes as the body of a refusal. The driver is the real intake and producer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from finalstop.core.endings import EndReason
from finalstop.core.events import Entry, Event
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, Receipt
from finalstop.log.memory import MemoryLog
from finalstop.runtime.intake import SSEIntake
from finalstop.runtime.producer import Producer
from finalstop.upstream.contract import ResponseHead
from finalstop.wire.formats import FORMATS, encoder_for
from finalstop.wire.message import MessageAccumulator
from fuzz.target import Target, bucket, bytewise, want
from tests.log.followers import one_by_one
from tests.wire.sse_oracle import read_stream

STREAM: Final = "0" * 32
LIMITS: Final = Limits(event_bytes=1024, stream_bytes=1024)
ROOMY: Final = Limits()
HEAD: Final = ResponseHead(200, {"content-type": "text/event-stream", "request-id": "r"})
# What an upstream can do to a stream by what it says and by ending its body.
ENDINGS: Final = {
    EndReason.COMPLETE, EndReason.UPSTREAM_ERROR, EndReason.UPSTREAM_INVALID,
    EndReason.TRUNCATED, EndReason.TOO_LARGE,
}  # fmt: skip
CORPUS: Final = Path(__file__).parents[2] / "tests" / "corpus" / "anthropic"
_NO_LIMITS: Final = {"event_bytes_max": 1 << 40, "event_lines_max": 1 << 40}


class Told:
    """A stream's follower and watcher: keeps what it is told, also with deltas apart."""

    def __init__(self) -> None:
        self.as_told: list[Entry] = []
        self.entries_: list[Entry] = []
        self.ends: list[Ended] = []

    def entries(self, batch: Sequence[Entry]) -> None:
        """Keep a batch."""
        self.as_told += batch
        self.entries_ += one_by_one(batch)

    def broken(self, error: Exception) -> None:
        """A bug."""
        raise error

    def on_begun(self) -> None:
        """Nothing to keep."""

    def on_ended(self, ended: Ended) -> None:
        """Keep the end."""
        self.ends.append(ended)


def _begin(limits: Limits) -> tuple[SSEIntake, Told]:
    told = Told()
    log = MemoryLog(limits)
    producer = Producer(STREAM, log=log, limits=limits, clock=lambda: 100.0, watcher=told)
    log.follow(STREAM, told)
    intake = SSEIntake(producer, limits)
    intake.connected()
    intake.written()
    return intake, told


def _stream(chunks: Sequence[bytes], limits: Limits = LIMITS) -> Told:
    intake, told = _begin(limits)
    intake.responded(HEAD)
    for chunk in chunks:
        intake.data(chunk)
    intake.eof()
    return told


def judge(data: bytes) -> str:
    """Read it as a stream, whole and byte by byte, and as the body of a refusal."""
    told, by_bytes = _stream([data]), _stream(bytewise(data))
    for way in (told, by_bytes):
        _judge_log(way)
    whole, cut = _comparable(told), _comparable(by_bytes)
    want(whole == cut, f"whole: {whole}; byte by byte: {cut}")
    receipt = told.ends[0].receipt
    if receipt.complete:
        frames = read_stream(data, **_NO_LIMITS).frames
        stops = [frame for frame in frames if b"message_stop" in frame.data + frame.event.encode()]
        want(stops, "complete, and nobody sent a message_stop")
    _judge_wire(told)
    return f"{_verdict(told, receipt)} | {_refusal(data)}"


def _judge_log(told: Told) -> None:
    want(len(told.ends) == 1, f"{len(told.ends)} ends")
    ended = [entry for entry in told.entries_ if isinstance(entry.event, Ended)]
    want(ended == told.entries_[-1:], f"{len(ended)} terminals, or not the last")
    seqs = [entry.seq for entry in told.entries_]
    want(seqs == list(range(1, len(seqs) + 1)), f"not dense: {seqs}")
    receipt = told.ends[0].receipt
    want(receipt.reason in ENDINGS, f"{receipt.reason}: {receipt.detail}")
    want(receipt.last_seq == seqs[-1], f"last_seq {receipt.last_seq}, not {seqs[-1]}")


def _comparable(told: Told) -> tuple[Any, ...]:
    receipt = msgspec.to_builtins(told.ends[0].receipt)
    del receipt["detail"]  # says how far a read had come
    events = [entry.event for entry in told.entries_[:-1]]
    return receipt, [(it.type, it.json) for it in events if isinstance(it, Event)]


def _judge_wire(told: Told) -> None:
    """Every format can say it, each frame under its own id, and the end is the last."""
    entries = told.entries_
    for name in FORMATS:
        body, apart = (
            b"".join(map(encoder_for(name).encode, it)) for it in (told.as_told, entries)
        )
        want(body == apart, f"{name}: {body!r}; deltas apart: {apart!r}")
        frames = read_stream(body, **_NO_LIMITS).frames
        ids = [int(frame.id.removeprefix("1-")) for frame in frames]
        want(ids == sorted(set(ids)) and ids[-1] == len(entries), f"{name}: ids {ids}")
        last = json.loads(frames[-1].data)
        want(last.get("event", last.get("type")) in {"end", "error", "message_stop"}, f"{last}")
    accumulator = MessageAccumulator()
    for entry in entries:
        if isinstance(entry.event, Event):
            accumulator.add(entry.event)
    msgspec.json.encode(accumulator.message())


def _verdict(told: Told, receipt: Receipt) -> str:
    kinds = {entry.event.type for entry in told.entries_[:-1] if isinstance(entry.event, Event)}
    known = sorted(kind[:20] if kind.startswith(("message", "content")) else "?" for kind in kinds)
    detail = receipt.detail.partition(":")[2][:24] if receipt.reason != "complete" else ""
    words = [receipt.reason, f"{bucket(receipt.last_seq)}", *dict.fromkeys(known), detail]
    return " ".join([*words, f"open={len(receipt.open)}", str(receipt.usage.status)])


def _refusal(data: bytes) -> str:
    intake, told = _begin(ROOMY)
    intake.refused(ResponseHead(529, {"content-type": "application/json"}), data)
    _judge_log(told)
    want(told.ends[0].receipt.reason == EndReason.UPSTREAM_ERROR, "a refusal is none")
    _judge_wire(told)
    return str(told.ends[0].error["type"])[:24]


def _seeds() -> list[bytes]:
    texts = [path.read_bytes() for path in sorted(CORPUS.rglob("*.sse"))]
    bodies = [b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}', b"<html>", b""]
    return [text[:1024] for text in texts] + bodies


_START: Final = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
_OPEN: Final = (
    b'data: {"type":"content_block_start","index":%d,"content_block":{"type":"text"}}\n\n'
)
_GROW: Final = (
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n'
)
_STOP: Final = b'data: {"type":"message_stop"}\n\n'
_REPORT: Final = b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'


def _feed(data: bytes) -> None:
    _stream([data], ROOMY)
    _stream([data[at : at + 997] for at in range(0, len(data), 997)], ROOMY)


TARGET: Final = Target(
    name="events",
    says="frames, events, lifecycle and log; and the body of a refusal",
    judge=judge,
    seeds=_seeds,
    words=(
        _START, _OPEN % 0, _OPEN % 1, _GROW, _STOP, _REPORT, b"\n\n", b"data: ",
        b'data: {"type":"ping"}\n\n', b'data: {"type":"content_block_stop","index":0}\n\n',
        b'data: {"type":"error","error":{"type":"api_error","message":"m"}}\n\n',
        b'data: {"type":"new_event"}\n\n', b'"usage":{"output_tokens":5}', b"null", b"{}", b"[",
        b'"input_json_delta","partial_json":"{"', b"\\ud800", b"\xff", b"-1", b"1e999", b'"',
        b"9" * 30, b'"signature_delta"', b'"citations_delta"', b'"tool_use"', b'"id":"t"', b"\\",
    ),
    worst={
        "deltas": lambda n: _START + _OPEN % 0 + _GROW * (n // len(_GROW)),
        "blocks that stay open": lambda n: _START
        + b"".join(_OPEN % it for it in range(n // len(_OPEN))),
        "unknown events": lambda n: b'data: {"type":"x"}\n\n' * (n // 20),
        "deep nesting": lambda n: b"data: " + b"[" * n + b"\n\n",
        "a long string": lambda n: b'data: {"type":"x","y":"' + b"\\u00e9" * (n // 6) + b'"}\n\n',
    },
    feed=_feed,
    worst_size=100_000,
    bytes_max=1024,
    traced=False,
)  # fmt: skip
