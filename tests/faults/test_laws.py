"""The laws of an end, over real sockets: what keeps a stream alive, and what does not.

The matrix says that every fault ends; this file says when, and what the healthy neighbours and the
next request see of it.
"""

import json
import time

import pytest

from finalstop.core.timers import SWEEP_S
from tests.faults.client import MESSAGES, PLAIN, ROUTES, ask, begin, dial, receipt_of, request_bytes
from tests.faults.client import fields as request_fields
from tests.gateway.running import running

# What a busy machine may add to an instant that is kept to within a sweep.
SLACK_S = 0.4


# -- what keeps a stream alive --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["pings-forever", "comments-forever", "spaces-forever"])
@pytest.mark.parametrize(("phase", "reason", "limit_s"), [
    ("after-head", "first_content_timeout", 0.7),
    ("mid-text", "idle_timeout", 0.5),
])  # fmt: skip
async def test_pings_that_never_stop_do_not_keep_a_stalled_stream_alive(
    noise, phase, reason, limit_s
):
    async with running(commit_s=0.0) as gateway:
        answer = await ask(gateway.url, f"{noise}@{phase},pace_ms=20,words=10")
        receipt = await receipt_of(gateway.url, answer.stream_id)
        assert receipt["reason"] == reason
        silent_s = receipt["timings"]["total_s"] - (receipt["timings"]["first_content_s"] or 0.0)
        assert limit_s <= silent_s + 0.05
        assert silent_s <= limit_s + SWEEP_S + SLACK_S


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_a_trickle_of_content_never_trips_the_idle_timer(path):
    async with running(idle_s=0.6, commit_s=0.2, first_content_s=0.6) as gateway:
        answer = await ask(gateway.url, "slow-drip,pace_ms=200,words=20", path=path)
        receipt = await receipt_of(gateway.url, answer.stream_id)
        assert (answer.ended, receipt["reason"]) == ("whole", "complete")
        # It did last longer than the timer, or this would prove nothing.
        assert receipt["timings"]["total_s"] > 0.6 < receipt["usage"]["characters"]


@pytest.mark.slow
async def test_a_trickle_of_content_still_meets_the_deadline():
    async with running(idle_s=5.0, deadline_s=0.8) as gateway:
        answer = await ask(gateway.url, "slow-drip,pace_ms=50,answer=long")
        receipt = await receipt_of(gateway.url, answer.stream_id)
        assert (answer.ended, receipt["reason"]) == ("whole", "deadline")
        assert 0.8 <= receipt["timings"]["total_s"] <= 0.8 + SWEEP_S + SLACK_S


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_a_reader_gets_bytes_at_least_every_keep_alive_s(path):
    async with running(commit_s=0.0, keep_alive_s=0.3, first_content_s=1.5) as gateway:
        wire = await begin(gateway.url, "stall@after-head", path=path)
        answer = await wire.answer()
        assert wire.longest_gap_s <= 0.3 + SLACK_S
        assert len(wire.reads) > 3
        # At event boundaries only: what is left without them is the one terminal.
        assert len([id for id, _, _ in answer.frames if id is not None]) == 1


# -- the end is the end ---------------------------------------------------------------------------

LATE = ["never-closed-events,pace_ms=1", "events-after-stop", "error-after-stop",
        "double-message-stop", "garbage-after-stop"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spec", LATE)
async def test_what_comes_after_the_end_vanishes(spec):
    async with running() as gateway:
        good = await ask(gateway.url, "text")
        late = await ask(gateway.url, spec)
        assert _without_ids(late) == _without_ids(good)
        assert late.frames[-1][1] == "message_stop"


def _without_ids(answer):
    """The frames, less the message id, which the simulator derives from the script's name."""
    frames = [(id, event, json.loads(data)) for id, event, data in answer.frames]
    frames[0][2]["message"].pop("id")
    return frames


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("spec", ["never-closed", "never-closed-pings", "never-closed-events"])
async def test_an_upstream_that_never_closes_ends_at_once_for_the_reader(path, spec):
    async with running() as gateway:
        began = time.monotonic()
        wire = await begin(gateway.url, f"{spec},words=20", path=path)
        answer = await wire.answer()
        assert (answer.status, answer.ended) == (200, "whole")
        assert answer.left_at - began < 0.3


# -- connections ----------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_hundred_healthy_streams_share_one_upstream_connection():
    async with running() as gateway:
        for turn in range(100):
            answer = await ask(gateway.url, "text,words=12", path=ROUTES[turn % 2])
            assert answer.ended == "whole"
        assert {call.connection for call in gateway.calls} == {1}


@pytest.mark.slow
async def test_a_failed_stream_costs_its_own_connection_and_no_other():
    async with running() as gateway:
        for spec in ("text", "stall@mid-text", "text", "error-then-open", "text", "text"):
            await ask(gateway.url, spec)
        assert [call.connection for call in gateway.calls] == [1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["eof@mid-text", "stall@mid-text", "bad-json", "never-closed"])
@pytest.mark.parametrize("path", ROUTES)
async def test_after_any_end_the_client_may_ask_again_on_its_connection(spec, path):
    async with running() as gateway:
        wire = await dial(gateway.url)
        wire.transport.write(_kept(spec, path))
        assert await wire.until(b"0\r\n\r\n")
        assert not wire.over.is_set()
        first_bytes = len(wire.data)
        wire.transport.write(_kept("text", path))
        assert await wire.until(b"\r\n0\r\n\r\n", after=first_bytes)
        assert bytes(wire.data[first_bytes:]).startswith(b"HTTP/1.1 200 OK\r\n")
        wire.leave("fin")


def _kept(spec, path):
    body = json.dumps(request_fields("")).encode()
    own = ("x-api-key: key", f"x-simulator: {spec}")
    whole = request_bytes("POST", path, "127.0.0.1", headers=own, body=body)
    return whole.replace(b"connection: close\r\n", b"")


# -- attempts -------------------------------------------------------------------------------------

PASSING = ["status-529", "status-500", "status-408", "status-409"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault_that_passes_is_retried_on_our_own_route(fault):
    async with running(first_content_s=5.0) as gateway:
        answer = await ask(gateway.url, f"{fault},times=1", path=PLAIN)
        receipt = await receipt_of(gateway.url, answer.stream_id)
        assert (answer.status, receipt["reason"], len(gateway.calls)) == (200, "complete", 2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING)
async def test_it_is_passed_on_where_the_sdk_retries_itself(fault):
    async with running(first_content_s=5.0) as gateway:
        answer = await ask(gateway.url, f"{fault},times=1", path=MESSAGES)
        assert answer.status == int(fault.removeprefix("status-"))
        assert answer.headers["x-should-retry"] == "true"
        assert len(gateway.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_a_retry_after_that_does_not_fit_the_window_is_passed_on_at_once(path):
    async with running(first_content_s=5.0) as gateway:
        began = time.monotonic()
        answer = await ask(gateway.url, "status-429,retry_after=7", path=path)
        assert time.monotonic() - began < 1.0
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert len(gateway.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_a_stream_that_has_begun_is_never_asked_for_again(path):
    async with running() as gateway:
        for spec in ("eof@mid-text", "error-overloaded@mid-text", "error-first", "stall@mid-text"):
            await ask(gateway.url, spec, path=path)
        assert len(gateway.calls) == 4
