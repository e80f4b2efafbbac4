"""What the guarantees cost: CPU time per event of the whole push chain, beside a bare pass-through.

Both take the same chunks of the same stream and hand bytes to the same outlet. The bare one only
cuts chunks into frames and writes them; the relay also decodes, judges, logs and encodes. They run
in turn, in one process, several times over; the figures are medians, and the ratio is the point.
Run it with `python -m bench chain`. It times no socket: `make bench` does.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Final

from finalstop import Limits, MemoryLog, Relay
from finalstop.runtime.intake import SSEIntake
from finalstop.runtime.producer import Producer
from finalstop.wire import sse
from finalstop.wire.formats import FORMATS, encoder_for
from finalstop.wire.sse import SSEDecoder

try:
    from finalstop.wire.frames import encode_frame
except ImportError:  # earlier versions are measured, too
    encode_frame = sse.encode_frame  # type: ignore[attr-defined]

EVENTS: Final = 20_000
ROUNDS: Final = 7
BATCHES: Final = (1, 16)


def frame(fields: dict[str, object]) -> bytes:
    """An event as the API sends it."""
    return encode_frame(json.dumps(fields).encode(), event=str(fields["type"]))


HEAD: Final = {"id": "msg_1", "model": "claude-sonnet-5-5", "usage": {"input_tokens": 9}}
OPENING: Final = frame({"type": "message_start", "message": HEAD}) + frame(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
)
DELTA: Final = frame(
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Rivers carry salt"},
    }
)


class Counter:
    """An outlet that counts. Keeps `runtime.viewer.Outlet`."""

    backlog = 0
    direct = True  # earlier versions ask for it; they are measured, too

    def __init__(self) -> None:
        self.writes = 0

    def write(self, data: bytes) -> int:
        """Count a write."""
        del data
        self.writes += 1
        return 0

    def end(self, data: bytes) -> int:
        """Count the last write."""
        return self.write(data)

    async def drain(self) -> None:
        """There is always room."""

    async def flush(self) -> None:
        """Nothing is held back."""

    def abort(self) -> None:
        """There is nothing to cut."""


class Tap:
    """A source that hands its intake out. Keeps `runtime.stream.Source` and the call's contract."""

    intake: SSEIntake

    def start(self, producer: Producer) -> Tap:
        """Begin."""
        self.intake = SSEIntake(producer, Limits())
        return self

    def release(self) -> None:
        """Nothing is held."""

    def cancel(self) -> None:
        """Nothing is under way."""


def timed(feed: Callable[[bytes], None], chunks: Sequence[bytes]) -> float:
    """CPU microseconds per event."""
    began = time.process_time()
    for chunk in chunks:
        feed(chunk)
    return (time.process_time() - began) / EVENTS * 1e6


def bare(chunks: Sequence[bytes]) -> float:
    """Cut and write, nothing else."""
    decoder, outlet = SSEDecoder(), Counter()

    def feed(chunk: bytes) -> None:
        frames = decoder.feed(chunk)
        outlet.write(b"".join([encode_frame(it.data, event=it.event) for it in frames]))

    spent = timed(feed, chunks)
    assert outlet.writes == len(chunks)
    return spent


async def relayed(
    chunks: Sequence[bytes], wire_format: str, profiler: cProfile.Profile | None = None
) -> float:
    """The whole chain, to one viewer that has caught up."""
    limits = Limits()
    relay, tap, outlet = Relay(MemoryLog(limits), limits), Tap(), Counter()
    stream = relay.open(tap)
    with stream.presence():
        view = asyncio.get_running_loop().create_task(stream.view(encoder_for(wire_format), outlet))
        tap.intake.data(OPENING)
        for _ in range(5):
            await asyncio.sleep(0)
        before = outlet.writes
        with profiler or nullcontext():
            spent = timed(tap.intake.data, chunks)
        assert outlet.writes - before == len(chunks), "a batch was not written in its dispatch"
        view.cancel()
        with suppress(asyncio.CancelledError):
            await view
    relay.close()
    return spent


def main() -> None:
    """Print a row per batch size and format."""
    print(f"CPU us per event, median of {ROUNDS} rounds of {EVENTS} events, min to max")
    for batch in BATCHES:
        chunks = [DELTA * batch] * (EVENTS // batch)
        rows: dict[str, list[float]] = {"bare": [], **{name: [] for name in FORMATS}}
        for _ in range(ROUNDS):
            rows["bare"].append(bare(chunks))
            for name in FORMATS:
                rows[name].append(asyncio.run(relayed(chunks, name)))
        floor = statistics.median(rows["bare"])
        for name, times in rows.items():
            middle = statistics.median(times)
            span = f"{min(times):.2f} to {max(times):.2f}"
            ratio = f"{middle / floor:.1f} x bare"
            print(f"{batch:3} per read  {name:10} {middle:6.2f}  ({span})  {ratio}")


if __name__ == "__main__":
    main()
