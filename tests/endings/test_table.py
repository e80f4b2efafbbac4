"""The table of endings on the real wire: what a client reads is the cell of the reference page.

An upstream of bare bytes says exactly what the page's example says, and then does what brings the
ending about. The last frame that comes over the socket, or the whole body where the failure is
before the head, must be the page's own bytes. Only what differs from run to run is evened out: ids,
instants, and the sentence for a person.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from finalstop.core.endings import EndReason as R
from finalstop.runtime import intake
from finalstop.wire.anthropic import decode_event, error_body
from finalstop.wire.formats import FORMATS
from tests.faults.client import MESSAGES, PLAIN, begin, eventually, get
from tests.gateway.running import running
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk, whole
from tools.endings_page import (
    CLOSING,
    NO_CONTENT_BEFORE,
    OPENING,
    OVERLOADED,
    REQUEST_ID,
    ended_by,
    last_bytes,
)

ROUTE_OF = {"anthropic": MESSAGES, "text": PLAIN}
HEAD = CHUNKED.replace(b"\r\n\r\n", b"\r\nrequest-id: %s\r\n\r\n" % REQUEST_ID.encode())
FOR_EVER_S = 30.0

# Reasons that no client can read off a wire of its own, and why.
UNREAD = {
    R.ABANDONED: "its last viewer has gone: only the receipt tells it",
    R.OWNER_LOST: "it needs a log that several processes share",
}
# Reasons that cannot come before the first entry, and why.
NEVER_FIRST = UNREAD | {
    R.COMPLETE: "message_stop is never the first event of a well-formed sequence",
    R.IDLE_TIMEOUT: "it counts from content, which is an entry",
    R.TOO_LARGE: "no first event is over stream_bytes that is not over event_bytes as well",
}


def said(*events):
    return chunk(b"".join(_frame(json.dumps(event).encode(), event["type"]) for event in events))


def _frame(data, event):
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


async def nothing(_gateway, _stream_id):
    """The upstream or a timer of ours does it."""


async def stop(gateway, stream_id):
    answer = await get(gateway.url, f"/streams/{stream_id}", method="DELETE")
    assert answer.status == 200


async def cut(gateway, _stream_id):
    gateway.relay.cut("")


@dataclass(frozen=True)
class Way:
    """What brings an ending about: what the upstream does (after the opening), and our bounds."""

    moves: list
    limits: dict[str, object] = field(default_factory=dict)
    act: Callable[..., Awaitable[None]] = nothing


HANG = [FOR_EVER_S]
# What a bug's message may hold, and no client may see.
SECRET = "a piece of a prompt"
# An entry of its own, so that the opening is in the log before it comes.
PAUSE_S = 0.1
UNKNOWN = {"type": "message_note", "note": "x" * 400}
BUG = {"type": "message_note", "note": "bug"}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}
MORE = {**DELTA, "delta": {"type": "text_delta", "text": "x" * 800}}

AFTER_THE_HEAD = {
    R.COMPLETE: Way([said(*CLOSING), LAST_CHUNK]),
    R.UPSTREAM_ERROR: Way([said({"type": "error", "error": OVERLOADED}), LAST_CHUNK]),
    R.UPSTREAM_INVALID: Way([chunk(b"data: {\n\n"), *HANG]),
    R.TRUNCATED: Way([LAST_CHUNK]),
    R.UNREACHABLE: Way([], {"commit_s": 0.0, "connect_s": 0.3}),
    R.FIRST_CONTENT_TIMEOUT: Way(HANG, {"commit_s": 0.0, "first_content_s": 0.2}),
    R.IDLE_TIMEOUT: Way(HANG, {"idle_s": 0.2}),
    R.DEADLINE: Way(HANG, {"deadline_s": 0.3}),
    R.TOO_LARGE: Way([said(MORE), *HANG], {"stream_bytes": 1024, "event_bytes": 1024}),
    R.STOPPED: Way(HANG, act=stop),
    R.DRAINING: Way(HANG, act=cut),
    R.LOG_FAILED: Way([PAUSE_S, said(UNKNOWN), *HANG], {"log_bytes_total": 8192}),
    R.INTERNAL_ERROR: Way([PAUSE_S, said(BUG), *HANG]),
}


async def stop_unseen(gateway, _stream_id):
    """Before the head the client does not know the id yet; the one who stops it does."""
    (stream,) = gateway.relay._live
    stream.end(R.STOPPED)


BEFORE_THE_HEAD = {
    R.UPSTREAM_ERROR: Way([
        whole(json.dumps({"type": "error", "error": OVERLOADED}).encode(), status="529 Overloaded",
              headers=b"request-id: %s\r\n" % REQUEST_ID.encode()),
    ]),
    R.UPSTREAM_INVALID: Way([HEAD, chunk(b"data: {\n\n"), *HANG]),
    R.TRUNCATED: Way([HEAD, LAST_CHUNK]),
    R.UNREACHABLE: Way([]),
    R.FIRST_CONTENT_TIMEOUT: Way([HEAD, *HANG], {"first_content_s": 0.2}),
    R.DEADLINE: Way([HEAD, *HANG], {"deadline_s": 0.2}),
    R.STOPPED: Way([HEAD, *HANG], act=stop_unseen),
    R.DRAINING: Way([HEAD, *HANG], act=cut),
    R.LOG_FAILED: Way([HEAD, said(UNKNOWN), *HANG], {"log_bytes_total": 6500}),
    R.INTERNAL_ERROR: Way([HEAD, said(BUG), *HANG]),
}  # fmt: skip

LONG = {"first_content_s": 20.0, "idle_s": 20.0}


def test_every_reason_is_shown_or_it_is_said_why_not():
    assert AFTER_THE_HEAD.keys() | UNREAD.keys() == set(R)
    assert BEFORE_THE_HEAD.keys() | NEVER_FIRST.keys() == set(R)
    assert ROUTE_OF.keys() == FORMATS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("reason", AFTER_THE_HEAD)
async def test_after_the_head_the_last_frame_is_the_cell_of_the_page(reason, monkeypatch):
    way = AFTER_THE_HEAD[reason]
    opening = [HEAD, said(*OPENING)] if reason not in NO_CONTENT_BEFORE else [HEAD]
    for name, answer in (await played(reason, way, [*opening, *way.moves], monkeypatch)).items():
        assert (answer.status, answer.ended) == (200, "whole")
        frames = answer.body.decode().removesuffix("\n\n").split("\n\n")
        assert evened(frames[-1]) == evened(last_bytes(reason, name).decode())


@pytest.mark.slow
@pytest.mark.parametrize("reason", BEFORE_THE_HEAD)
async def test_before_the_head_the_body_is_the_cell_of_the_page(reason, monkeypatch):
    way = BEFORE_THE_HEAD[reason]
    for answer in (await played(reason, way, way.moves, monkeypatch)).values():
        ended = ended_by(reason, after_head=False)
        assert (answer.status, answer.ended) == (ended.status, "whole")
        assert evened(f"data: {answer.body.decode()}") == evened(
            f"data: {error_body(ended).decode()}"
        )


async def played(reason, way, moves, monkeypatch):
    """The same upstream read in every format, each on a gateway of its own."""
    monkeypatch.setattr(intake, "decode_event", _stumbling(decode_event))
    answers = {}
    for name, path in ROUTE_OF.items():
        async with RawServer(moves) as server:
            url = server.url
            if reason is R.UNREACHABLE:
                await server.__aexit__()  # its port is then nobody's
            async with running(upstream=url, **{**LONG, **way.limits}) as gateway:
                wire = await begin(gateway.url, "", path=path)
                await _act(way, gateway, wire, server)
                answers[name] = await wire.answer()
                assert SECRET.encode() not in wire.data
    return answers


async def _act(way, gateway, wire, server):
    """Do what somebody does, once the upstream's words have come as far as they will."""
    if way.act is nothing:
        return
    await eventually(lambda: server.requests)
    if way in BEFORE_THE_HEAD.values():
        await asyncio.sleep(PAUSE_S)
    else:
        assert await wire.until(b"Because rivers")
    head = bytes(wire.data).decode("latin-1").lower()
    await way.act(gateway, head.partition("finalstop-stream-id: ")[2].partition("\r\n")[0])


def _stumbling(decode):
    """A decoder with a bug in it."""

    def stumble(frame):
        if b'"bug"' in frame.data:
            raise ZeroDivisionError(SECRET)
        return decode(frame)

    return stumble


def evened(frame):
    """A frame's lines with what differs from run to run evened out; the order of keys stays."""
    lines = frame.rstrip("\n").split("\n")
    return [_evened(line) if line.startswith("data: ") else line for line in lines]


def _evened(line):
    fields = json.loads(line.removeprefix("data: "))
    receipt = fields.get("finalstop", fields)
    if "timings" not in receipt:
        return line
    holder = fields["error"] if "finalstop" in fields else fields
    if "message" in holder:
        holder["message"] = holder["message"].replace(f" {receipt['detail']} [", " [")
    receipt["stream"], receipt["detail"] = "", ""
    receipt["timings"] = {name: at is not None for name, at in receipt["timings"].items()}
    return json.dumps(fields)
