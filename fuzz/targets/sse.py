"""The SSE decoder against the second reader of tests/wire/sse_oracle.py.

Whole, byte by byte and in halves, with the limits of service and with tiny ones.
"""

from __future__ import annotations

from typing import Final

from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import EVENT_BYTES_MAX, EVENT_LINES_MAX, SSEDecoder
from fuzz.target import Target, bucket, bytewise, want
from tests.wire.sse_corpus import Outcome, cases, decode_chunks
from tests.wire.sse_oracle import read_stream

LIMITS: Final = (
    {"event_bytes_max": EVENT_BYTES_MAX, "event_lines_max": EVENT_LINES_MAX},
    {"event_bytes_max": 24, "event_lines_max": 3},
)


def judge(data: bytes) -> str:
    """Read it in every way; all must tell the same."""
    verdicts = " / ".join(_judge_with(data, limits) for limits in LIMITS)
    ends = [bucket(data.count(end)) for end in (b"\r\n", b"\r", b"\n")]
    return f"{verdicts}, line ends {ends}"


def _judge_with(data: bytes, limits: dict[str, int]) -> str:
    expected = read_stream(data, **limits)
    half = len(data) // 2
    ways = {"whole": [data], "by bytes": bytewise(data), "in halves": [data[:half], data[half:]]}
    for way, chunks in ways.items():
        seen = decode_chunks(chunks, **limits)
        if expected.failure is not None:
            # What the block that failed would have said of times is nobody's news.
            seen = seen._replace(retry_ms=expected.retry_ms)
        want(seen == expected, f"{way}, {limits}: {seen} is not {expected}")
    for frame in expected.frames:
        again = decode_chunks([encode_frame(frame.data)]).frames if not frame.malformed else None
        want(again is None or again[0].data == frame.data, f"{frame} is not read back: {again}")
    return _verdict(expected)


def _verdict(outcome: Outcome) -> str:
    frames = outcome.frames
    return (
        f"{bucket(len(frames))} frames"
        f" {bucket(sum(frame.malformed for frame in frames))} malformed"
        f" {bucket(sum(bool(frame.event) for frame in frames))} named"
        f" {bucket(max((frame.data.count(10) for frame in frames), default=0))} lines"
        f" id={bool(outcome.last_event_id)} retry={outcome.retry_ms is not None}"
        f" leftover={outcome.leftover is not None} {outcome.failure}"
    )


def _feed(data: bytes) -> None:
    decoder = SSEDecoder()
    for at in range(0, len(data), 61):
        decoder.feed(data[at : at + 61])
    decoder.close()
    SSEDecoder().feed(data)


TARGET: Final = Target(
    name="sse",
    says="the SSE decoder, differential against a second reader",
    judge=judge,
    seeds=lambda: [case.stream for case in cases() if len(case.stream) <= 512],
    words=(
        b"data: ", b"data", b"event: ", b"event: ping", b"id: ", b"id", b"retry: ", b"retry: 10",
        b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b": ", b":", b" ", b"\xef\xbb\xbf",
        b"\xef\xbb", b"\x00", b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"9007199254740993", b"{}",
    ),
    worst={
        "empty lines": lambda n: b"\n" * n,
        "carriage returns": lambda n: b"\r" * n,
        "data lines without an end": lambda n: b"data:\n" * (n // 6),
        "one line without an end": lambda n: b"data: " + b"a" * n,
        "comments": lambda n: b":\n\n" * (n // 3),
        "ids": lambda n: b"id: 1\n\n" * (n // 7),
        "names that are new each time": lambda n: b"".join(
            b"event: %d\ndata: x\n\n" % it for it in range(n // 20)
        ),
        "a retry of many digits": lambda n: b"retry: " + b"0" * n + b"\n\n",
    },
    feed=_feed,
    worst_size=200_000,
)  # fmt: skip
