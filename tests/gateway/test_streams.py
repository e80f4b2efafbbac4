"""The routes about a stream: its receipt, its Message, its stop; before, at and after its end."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.gateway.served import ASK, error_of, request, served, until
from tests.simulator.rawclient import connect

PROMPT = b'{"prompt": "Why is the sea salty?"}'
PLAIN = {"prompt": "Why?"}


async def ended_stream(gateway, spec, path="/v1/messages"):
    """The id of a stream that has ended."""
    fields = ASK | {"stream": True}
    return (await gateway.post(path, fields, f"x-simulator: {spec}")).headers["finalstop-stream-id"]


@asynccontextmanager
async def live_stream(gateway, spec):
    """The id of a stream that goes on while somebody reads it."""
    reader, writer = await connect(gateway.url)
    try:
        writer.write(request("POST", "/stream-claude", PROMPT, f"x-simulator: {spec}"))
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"data:")
        yield head.lower().split(b"finalstop-stream-id: ")[1][:32].decode()
    finally:
        writer.transport.abort()


# the script, what its receipt says: reason, complete, stop_reason
RECEIPTS = [
    ("text,words=3", "complete", True, "end_turn"),
    ("max-tokens", "complete", True, "max_tokens"),
    ("fin@mid-text", "truncated", False, None),
    ("status-529", "upstream_error", False, None),
    ("bad-json@mid-text", "upstream_invalid", False, None),
]


@pytest.mark.parametrize(("spec", "reason", "complete", "stop_reason"), RECEIPTS)
async def test_the_receipt_says_how_it_ended(spec, reason, complete, stop_reason):
    async with served() as gateway:
        stream = await ended_stream(gateway, spec)
        reply = await gateway.get(f"/streams/{stream}/receipt")
        assert reply.status == 200
        said = reply.json
        assert (said["stream"], said["reason"], said["complete"]) == (stream, reason, complete)
        assert said["stop_reason"] == stop_reason
        assert {"party", "last_seq", "usage", "timings", "retryable", "retry_after_s"} <= set(said)
        assert said["usage"]["status"] == ("final" if complete else said["usage"]["status"])


@pytest.mark.parametrize("what", ["receipt", "message"])
async def test_before_the_end_there_is_a_202_that_says_what_to_do(what):
    async with served() as gateway, live_stream(gateway, "stall") as stream:
        reply = await gateway.get(f"/streams/{stream}/{what}")
        assert reply.status == 202
        assert reply.json["status"] == "live"
        assert "wait" in reply.json["retry"]
        assert reply.headers["finalstop-stream-id"] == stream


@pytest.mark.slow
@pytest.mark.parametrize("what", ["receipt", "message"])
async def test_who_waits_is_told_at_the_end_and_not_later(what):
    async with served() as gateway, live_stream(gateway, "text,words=40,pace_ms=20") as stream:
        async with asyncio.timeout(5):
            reply = await gateway.get(f"/streams/{stream}/{what}?wait=30")
        assert reply.status == 200
        assert reply.json["stop_reason"] == "end_turn"


@pytest.mark.slow
async def test_who_waits_is_told_when_the_wait_is_over():
    async with served() as gateway, live_stream(gateway, "stall") as stream:
        async with asyncio.timeout(5):
            assert (await gateway.get(f"/streams/{stream}/receipt?wait=0.3")).status == 202


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", "", "3601", "1&x=", "%00"])
async def test_any_wait_but_a_number_of_seconds_is_refused(wait):
    async with served() as gateway:
        stream = await ended_stream(gateway, "text,words=3")
        reply = await gateway.get(f"/streams/{stream}/receipt?wait={wait}")
        assert reply.status == (200 if wait == "1&x=" else 400)
        if reply.status == 400:
            assert "0 to 3600 seconds" in error_of(reply)[1]


async def test_waiting_for_a_receipt_is_not_watching():
    async with served() as gateway:
        async with live_stream(gateway, "stall") as stream:
            waits = gateway.get(f"/streams/{stream}/receipt?wait=30")
            waiting = asyncio.create_task(waits)  # noqa: TID251 # held by this test
            await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            assert (await waiting).json["reason"] == "abandoned"


# -- the Message ----------------------------------------------------------------------------------


async def test_the_message_of_a_complete_stream_is_the_one_that_create_gives():
    async with served() as gateway:
        stream = await ended_stream(gateway, "tools")
        direct = await gateway.post("/v1/messages", ASK, "x-simulator: tools")
        assert (await gateway.get(f"/streams/{stream}/message")).json == direct.json


async def test_the_message_of_a_failed_stream_is_its_error_and_what_there_is():
    async with served() as gateway:
        stream = await ended_stream(gateway, "error-overloaded@mid-text")
        reply = await gateway.get(f"/streams/{stream}/message")
        assert (reply.status, error_of(reply)[0]) == (529, "overloaded_error")
        assert reply.json["partial"]["content"][0]["text"]
        assert reply.json["finalstop"]["reason"] == "upstream_error"


async def test_of_a_stream_that_never_began_there_is_no_partial_message():
    async with served() as gateway:
        stream = await ended_stream(gateway, "status-529")
        reply = await gateway.get(f"/streams/{stream}/message")
        assert (reply.status, reply.json["partial"]) == (529, None)


async def test_a_message_that_cannot_be_put_together_is_refused_and_the_reason_named():
    async with served() as gateway:
        stream = await ended_stream(gateway, "unknown-events")
        reply = await gateway.get(f"/streams/{stream}/message")
        assert reply.status == 502
        assert "delta" in error_of(reply)[1]


# -- stopping -------------------------------------------------------------------------------------


async def test_stopping_ends_the_stream_for_its_reader_and_for_the_upstream():
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(request("POST", "/stream-claude", PROMPT, "x-simulator: stall"))
        head = await reader.readuntil(b"data:")
        stream = head.lower().split(b"finalstop-stream-id: ")[1][:32].decode()
        stopped = await gateway.say(request("DELETE", f"/streams/{stream}"))
        assert (stopped.status, stopped.json["reason"]) == (200, "stopped")
        async with asyncio.timeout(2):
            rest = await reader.read()
        assert b'"event":"error","reason":"stopped"' in rest
        assert rest.endswith(b"\r\n0\r\n\r\n")
        writer.transport.abort()


async def test_stopping_again_gives_the_same_receipt():
    async with served() as gateway, live_stream(gateway, "stall") as stream:
        first = await gateway.say(request("DELETE", f"/streams/{stream}"))
        second = await gateway.say(request("DELETE", f"/streams/{stream}"))
        kept = await gateway.get(f"/streams/{stream}/receipt")
        assert first.status == second.status == 200
        assert first.body == second.body == kept.body


async def test_stopping_what_has_ended_changes_nothing():
    async with served() as gateway:
        stream = await ended_stream(gateway, "text,words=3")
        stopped = await gateway.say(request("DELETE", f"/streams/{stream}"))
        assert (stopped.status, stopped.json["reason"]) == (200, "complete")


async def test_a_stream_stopped_before_its_head_is_a_conflict():
    async with served(commit_s=5.0) as gateway:
        asking = asyncio.create_task(  # noqa: TID251 # held by this test
            gateway.post("/stream-claude", PLAIN, "x-simulator: no-head")
        )
        await until(lambda: gateway.relay.live)
        (stream,) = gateway.relay._streams
        assert (await gateway.say(request("DELETE", f"/streams/{stream}"))).status == 200
        refused = await asking
        assert (refused.status, error_of(refused)[0]) == (409, "conflict_error")
        assert refused.headers["x-should-retry"] == "false"


@pytest.mark.slow
async def test_after_the_retention_a_stream_is_unknown():
    async with served(retention_s=0.2) as gateway:
        stream = await ended_stream(gateway, "text,words=3")
        assert (await gateway.get(f"/streams/{stream}/receipt")).status == 200
        await asyncio.sleep(0.6)
        assert (await gateway.get(f"/streams/{stream}/receipt")).status == 404
