"""What holds for every framework, asked of a real server with the real SDK behind it.

Each framework's tests call these with the server that runs its app. The whole table of frameworks,
servers and faults is another's; here is what must be seen to believe a framework at all.
"""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from finalstop.simulator import CallEnd, SimulatorThread
from tests.adapters.fake_asgi import FakeClient
from tests.adapters.serving import Server, ask, asked
from tests.faults.client import eventually

# From the client's leaving to the upstream's seeing it: the promise of issue 3.
CLOSED_S = 0.2

# script,               event,   reason
ENDINGS = [
    ("text,words=5", "end", "complete"),
    ("never-closed", "end", "complete"),
    ("fin@mid-text", "error", "truncated"),
    ("stall@mid-text", "error", "idle_timeout"),
    ("pings-forever@mid-text", "error", "idle_timeout"),
]
endings = pytest.mark.parametrize(
    ("script", "event", "reason"), ENDINGS, ids=[row[0] for row in ENDINGS]
)

# when the client leaves, what plays then, the bytes it has seen by then; b"" for none
MOMENTS = [
    ("before the head", "no-head", b""),
    ("before the first content", "stall@after-head", b"\r\n\r\n"),
    ("mid-stream", "text,words=2000,pace_ms=5", b'"text'),
]
moments = pytest.mark.parametrize(
    ("script", "seen"), [row[1:] for row in MOMENTS], ids=[row[0] for row in MOMENTS]
)


async def ends_and_says_why(server: Server, script: str, event: str, reason: str) -> None:
    """The stream ends once, properly, with this reason."""
    answer = await ask(server, script)
    assert (answer.status, answer.ended) == (200, "whole"), answer.body
    said = json.loads(answer.frames[-1][2])
    assert (said["event"], said["reason"]) == (event, reason)


async def has_its_true_status(server: Server) -> None:
    """What the upstream refused is refused with the same status, and is no stream."""
    answer = await ask(server, "status-429")
    assert (answer.status, answer.ended) == (429, "whole")
    assert answer.json["error"]["type"] == "rate_limit_error"
    assert "retry-after" in answer.headers


async def takes_its_call_with_it(
    server: Server, simulator: SimulatorThread, script: str, seen: bytes
) -> None:
    """A client leaves; the simulator sees its upstream call closed in time."""
    simulator.forget()
    wire = await asked(server, script)
    await eventually(lambda: simulator.calls)
    assert await wire.until(seen)
    left_at = wire.leave("fin")
    (call,) = simulator.calls
    await eventually(lambda: call.ended is not CallEnd.OPEN)
    assert call.ended is CallEnd.PEER_CLOSED
    assert call.ended_at is not None
    assert call.ended_at - left_at < CLOSED_S


async def drains(server: Server) -> None:
    """Told to end, the server lets the stream end, and then goes. The last thing to ask of it."""
    wire = await asked(server, "text,words=40,pace_ms=20")
    assert await wire.until(b'"text')
    told_at = server.told_to_end()
    answer = await wire.answer(10)
    assert json.loads(answer.frames[-1][2])["reason"] == "complete"
    await eventually(lambda: server.process.poll() is not None, within_s=10)
    assert time.monotonic() - told_at < 10


async def asked_in_process(app, client: FakeClient, body: object = None) -> asyncio.Task[None]:
    """One request to an ASGI application in this process; its task, under way."""
    payload = json.dumps(body or {}).encode()
    client.request_body(payload)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "POST", "scheme": "http", "path": "/stream-claude", "query_string": b"",
        "raw_path": b"/stream-claude", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2), "extensions": {}, "state": {},
        "headers": [(b"host", b"x"), (b"content-type", b"application/json"),
                    (b"content-length", str(len(payload)).encode())],
    }  # fmt: skip
    return asyncio.get_running_loop().create_task(app(scope, client.receive, client.send))
