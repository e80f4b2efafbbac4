"""What holds for every framework under a real server, as rows and as steps that check one.

Only what tests/stacks does not ask of each pair: refusals, rarer endings, and clients that reset.
"""

from __future__ import annotations

import json

from finalstop.simulator import CallEnd, SimulatorThread
from tests.adapters.serving import Server, ask, asked
from tests.faults.client import eventually

# How long after a client has left its upstream may still be open: the promise of issue 3.
LEFT_S = 0.2
# What a busy machine may add to it before a test fails.
BUSY_S = 0.3

# script,             reason
ENDINGS = [
    ("rst@mid-text",     "truncated"),
    ("stall@after-head", "first_content_timeout"),
]  # fmt: skip

# script,           status, reason,          the type of the error in the API's words
REFUSALS = [
    ("status-401",  401, "upstream_error", "authentication_error"),
    ("status-429",  429, "upstream_error", "rate_limit_error"),
    ("status-529",  529, "upstream_error", "overloaded_error"),
    ("empty-200",   502, "truncated",      "api_error"),
    ("error-first", 529, "upstream_error", "overloaded_error"),
]  # fmt: skip

# when the client leaves, where the upstream is silent then, what the client has seen
DEPARTURES = [
    ("before the head", "no-head", b""),
    ("before the content", "stall@after-head", b""),
    ("mid-stream", "stall@mid-text", b'data: {"text"'),
]


def names(rows):
    """The first cell of each row, to name its test."""
    return [row[0] for row in rows]


async def check_ending(server: Server, script: str, reason: str) -> None:
    """The stream ends once, properly, with an error for this reason."""
    answer = await ask(server, script)
    assert (answer.status, answer.ended) == (200, "whole"), answer.body
    said = json.loads(answer.frames[-1][2])
    assert (said["event"], said["reason"]) == ("error", reason), said
    assert [json.loads(data).get("event") for _, _, data in answer.frames].count("error") == 1


async def check_refusal(server: Server, script: str, status: int, reason: str, type: str) -> None:
    """What failed before the head is a whole answer with its status."""
    answer = await ask(server, script)
    assert (answer.status, answer.ended) == (status, "whole"), answer.body
    assert answer.json["finalstop"]["reason"] == reason
    assert answer.json["error"]["type"] == type
    assert answer.headers["finalstop-stream-id"]
    if status == 429:
        assert answer.headers["retry-after"]


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
    await eventually(lambda: call.ended is not CallEnd.OPEN)
    assert call.ended is CallEnd.PEER_CLOSED, call
    assert call.ended_at is not None
    return float(call.ended_at - left_at)
