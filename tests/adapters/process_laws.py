"""What holds for Flask and aiohttp under every server, as rows and as steps that check one.

The twin of `laws`, which is asked of ASGI frameworks; here departures are timed, and drains cut.
"""

from __future__ import annotations

import json
import time

from finalstop.simulator import SimulatorThread
from tests.adapters.serving import Server, ask, asked
from tests.faults.client import eventually

# How long after a client has left its upstream may still be open.
LEFT_S = 0.2
# What a busy machine may add to it before a test fails.
BUSY_S = 0.3
# With `drain_s` 1.5: the streams get 1.125 of it.
DRAINED_S = 3.0

# script,                     event,   reason
ENDINGS = [
    ("text,words=5",              "end",   "complete"),
    ("never-closed",              "end",   "complete"),
    ("fin@mid-text",              "error", "truncated"),
    ("rst@mid-text",              "error", "truncated"),
    ("stall@mid-text",            "error", "idle_timeout"),
    ("pings-forever@mid-text",    "error", "idle_timeout"),
    ("stall@after-head",          "error", "first_content_timeout"),
    ("error-overloaded@mid-text", "error", "upstream_error"),
]  # fmt: skip

# script,           status, reason
REFUSALS = [
    ("status-401",  401, "upstream_error"),
    ("status-429",  429, "upstream_error"),
    ("status-529",  529, "upstream_error"),
    ("empty-200",   502, "truncated"),
    ("error-first", 529, "upstream_error"),
]  # fmt: skip

# When the client leaves, where the upstream is silent then, and what the client has seen.
DEPARTURES = [
    ("before the head", "no-head", b""),
    ("before the content", "stall@after-head", b""),
    ("mid-stream", "stall@mid-text", b'data: {"text"'),
]


def names(rows):
    """The first cell of each row, to name its test."""
    return [row[0] for row in rows]


async def check_ending(server: Server, script: str, event: str, reason: str) -> None:
    """The stream ends once, properly, with this reason."""
    answer = await ask(server, script)
    assert (answer.status, answer.ended) == (200, "whole"), answer.body
    said = json.loads(answer.frames[-1][2])
    assert (said["event"], said["reason"]) == (event, reason), said
    assert [json.loads(data).get("event") for _, _, data in answer.frames].count(event) == 1


async def check_refusal(server: Server, script: str, status: int, reason: str) -> None:
    """What failed before the head is a whole answer with its status."""
    answer = await ask(server, script)
    assert (answer.status, answer.ended) == (status, "whole"), answer.body
    assert answer.json["finalstop"]["reason"] == reason
    assert answer.headers["finalstop-stream-id"]


async def seconds_to_cancel(
    server: Server, simulator: SimulatorThread, script: str, seen: bytes, how: str, **more: object
) -> float:
    """Leave once `seen` has come; how long the upstream stayed open after that."""
    before = len(simulator.calls)
    wire = await asked(server, script, **more)
    await eventually(lambda: len(simulator.calls) > before)
    call = simulator.calls[before]
    if seen:
        assert await wire.until(seen)
    left_at = wire.leave(how)
    await eventually(lambda: call.ended != "open")
    assert call.ended == "peer-closed", call
    assert call.ended_at is not None
    return float(call.ended_at - left_at)


async def check_drain(server: Server) -> float:
    """A live stream when the server is told to end; how long after that it was over."""
    wire = await asked(server, "text,pace_ms=50,words=2000")
    assert await wire.until(b'data: {"text"')
    told_at = server.told_to_end()
    answer = await wire.answer(30.0)
    over_at = time.monotonic()
    assert answer.ended == "whole", answer.ended
    said = json.loads(answer.frames[-1][2])
    assert (said["event"], said["reason"]) == ("error", "draining"), said
    return over_at - told_at
