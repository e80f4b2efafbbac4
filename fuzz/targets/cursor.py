"""The resume cursor: ids that we write and are sent back, and the cursor of `Stream.attach`.

No route reads `Last-Event-ID` yet. What there is: the id of a frame, which a client keeps and
sends back as text, and the number that `attach` takes. An input's first line is the number, the
second how many entries the stream has when the viewer comes; the rest is an id.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from finalstop.core.events import Event, Unknown
from finalstop.core.limits import Limits
from finalstop.log.memory import MemoryLog
from finalstop.runtime.relay import Relay
from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import SSEDecoder
from fuzz.target import Target, bucket, bytewise, want
from proof.simulation.loop import SimLoop, run
from tests.runtime.fakes import ScriptedSource
from tests.wire.sse_oracle import read_stream

ENTRIES: Final = 6  # events, before the terminal
LIMITS: Final = Limits(write_s=5.0)


def judge(data: bytes) -> str:
    """Attach with the number; write the id and read it back, whole and byte by byte."""
    lines = [*data.split(b"\n", 2), b"", b""]
    try:
        after = int(lines[0])
    except ValueError:
        after = 0
    present = len(lines[1]) % (ENTRIES + 2)
    return f"{_attach(after, present)} | {_id(lines[2])}"


def _attach(after: int, present: int) -> str:
    loop = SimLoop(1, shuffles=False)
    body, error = run(loop, _attached(after, present))
    want(not loop.reported, f"reported: {loop.reported}")
    if error is not None:
        is_refused = isinstance(error, ValueError) and str(error).startswith("after must be")
        want(is_refused and after < 0, f"after={after}: {error!r}")
        return "ValueError"
    frames = read_stream(body, event_bytes_max=1 << 40, event_lines_max=1 << 40).frames
    seqs = [int(frame.id.removeprefix("1-")) for frame in frames]
    want(after >= 0, f"after={after} is taken for a cursor")
    want(seqs == list(range(after + 1, ENTRIES + 2)), f"after={after}, {present} there: {seqs}")
    return f"{len(seqs)} of {ENTRIES + 1}, {present} there"


async def _attached(after: int, present: int) -> tuple[bytes, Exception | None]:
    relay = Relay(MemoryLog(LIMITS), LIMITS)
    source = ScriptedSource()
    stream = relay.open(source)
    moves = [_say(source, number) for number in range(ENTRIES)] + [stream.stop]
    for move in moves[:present]:
        move()
    body = bytearray()
    error: Exception | None = None

    async def view() -> None:
        nonlocal error
        try:
            async for piece in stream.attach("anthropic", after):
                body.extend(piece)
        except Exception as caught:  # noqa: BLE001 - the judge decides which are documented
            error = caught

    with stream.presence():
        async with asyncio.TaskGroup() as group:
            group.create_task(view())
            for move in moves[present:]:
                await asyncio.sleep(0.1)
                move()
    relay.close()
    return bytes(body), error


def _say(source: ScriptedSource, number: int) -> Any:
    event = Event("x", Unknown("x"), b'{"type":"x","n":%d}' % number)
    return lambda: source.producer.receive([event])


def _id(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    try:
        frame = encode_frame(b"{}", id=text)
    except ValueError:
        return "refused"
    for chunks in ([frame], bytewise(frame)):
        decoder = SSEDecoder()
        frames = [it for chunk in chunks for it in decoder.feed(chunk)]
        want([it.id for it in frames] == [text], f"{text!r} is read back as {frames}")
        want(decoder.last_event_id == text, f"{text!r} would be sent as {decoder.last_event_id!r}")
    return f"{bucket(len(text))} characters"


def _feed(data: bytes) -> None:
    _id(data)
    SSEDecoder().feed(b"id: " + data + b"\n\n")


TARGET: Final = Target(
    name="cursor",
    says="ids as they are sent back, and the cursor of Stream.attach",
    judge=judge,
    seeds=lambda: [b"%d\n%b\n1-%d" % (at, b"x" * max(0, at), at) for at in range(-1, ENTRIES + 3)],
    words=(
        b"-1", b"0", b"7", b"8", b"99999999999999999999", b"1-", b"-", b"\n", b"1_0", b" 3", b"+2",
        b"\xd9\xa3", b"1-18446744073709551616", b"\x00", b"\r", b"\xff", b"x" * 7, b":", b".", b"_",
    ),
    worst={
        "a long id": lambda n: b"1-" + b"9" * n,
        "an id of other characters": lambda n: b"\xc3\xa9" * (n // 2),
    },
    feed=_feed,
    worst_size=200_000,
    bytes_max=160,
)  # fmt: skip
