"""Every refusal has the API's shape, its true status, and what a client needs to go on."""

import json
from dataclasses import dataclass, field
from typing import cast

import pytest
from aiohttp import web

from finalstop.core.endings import ENDINGS, EndReason, Refusal
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.gateway.errors import RequestError, ended_response, error_response, errors
from finalstop.log.contract import UnknownStreamError
from finalstop.runtime.relay import NotAcceptingError
from finalstop.runtime.stream import Stream, TooManyViewersError
from tests.gateway.served import ASK, error_of, logged, request, served, whole_reply
from tests.simulator.rawclient import connect
from tests.upstream.servers import RawServer


def ended_with(reason, refusal=None):
    life = Lifecycle("s", Limits(), now=0.0)
    batch = life.refused(refusal, now=1.0) if refusal else life.end(reason, "Seen.", now=1.0)
    return batch[-1]


@dataclass
class KnownStream:
    """As much of a stream as an answer about it needs."""

    upstream_headers: dict[str, str] = field(default_factory=dict)
    id: str = "s"


def answer_to(ended, **upstream_headers):
    named = {name.replace("_", "-"): value for name, value in upstream_headers.items()}
    return ended_response(cast("Stream", KnownStream(named)), ended)


@pytest.mark.parametrize("reason", [it for it in EndReason if it is not EndReason.COMPLETE])
def test_a_stream_that_failed_before_its_head_is_answered_with_its_true_status(reason):
    refusal = Refusal(529, {"type": "overloaded_error", "message": "Overloaded"})
    ended = ended_with(reason, refusal if reason is EndReason.UPSTREAM_ERROR else None)
    response = answer_to(ended)
    said = json.loads(response.text or "")
    is_refused = reason is EndReason.UPSTREAM_ERROR
    assert response.status == (529 if is_refused else ENDINGS[reason].status)
    assert said["error"]["type"] == (
        "overloaded_error" if is_refused else ENDINGS[reason].error_type
    )
    assert reason in said["error"]["message"]
    assert said["finalstop"]["reason"] == reason
    assert response.headers["x-should-retry"] == str(ended.receipt.retryable).lower()
    assert response.headers["finalstop-stream-id"] == "s"
    assert ("retry-after" in response.headers) is (ended.receipt.retry_after_s is not None)


# seconds that the upstream asked for, its own header beside them, what the client is told
WAITS = [
    (7.0, None, "7"),
    (0.4, None, "1"),  # whole seconds (RFC 9110), and never too few
    (1_234_567.0, None, "1234567"),
    (7.0, "7", "7"),
    (None, "Fri, 31 Dec 2027 23:59:59 GMT", "Fri, 31 Dec 2027 23:59:59 GMT"),
    (None, None, None),
]


@pytest.mark.parametrize(("seconds", "header", "told"), WAITS)
def test_the_wait_that_the_upstream_asks_for_is_passed_on(seconds, header, told):
    refusal = Refusal(429, {"type": "rate_limit_error", "message": "m"}, retry_after_s=seconds)
    passed = {"retry_after": header} if header else {}
    response = answer_to(ended_with(EndReason.UPSTREAM_ERROR, refusal), **passed)
    assert response.headers.get("retry-after") == told


async def test_a_date_to_retry_after_survives_the_way_through_the_gateway():
    date = "Fri, 31 Dec 2027 23:59:59 GMT"
    refusal = b"HTTP/1.1 429 x\r\nretry-after: %b\r\ncontent-length: 0\r\n\r\n" % date.encode()
    async with (
        RawServer([refusal]) as upstream,
        served(settings={"upstream": upstream.url}) as gateway,
    ):
        reply = await gateway.post("/v1/messages", ASK | {"stream": True})
    assert (reply.status, reply.headers["retry-after"]) == (429, date)


def test_an_error_without_a_type_has_the_one_that_its_status_means():
    for status, type_ in (
        (404, "not_found_error"),
        (418, "invalid_request_error"),
        (599, "api_error"),
    ):
        said = json.loads(error_response(status, "m").text or "")
        assert said == {"type": "error", "error": {"type": type_, "message": "m"}}


# what a handler raises: status, type, words, a header that must be there
RAISED = [
    (RequestError(422, "do this", headers={"x-more": "1"}), 422, "invalid_request_error", "do this",
     "x-more"),
    (UnknownStreamError("abc"), 404, "not_found_error", "No such stream", None),
    (NotAcceptingError("leave", draining=True), 503, "overloaded_error", "leave", "retry-after"),
    (NotAcceptingError("full", draining=False), 529, "overloaded_error", "full", "retry-after"),
    (TooManyViewersError("too many"), 429, "rate_limit_error", "retry later", None),
    (web.HTTPGone(), 410, "invalid_request_error", "gone", None),
    (ZeroDivisionError("with a PROMPT in it"), 500, "api_error", "ZeroDivisionError", None),
]  # fmt: skip


@pytest.mark.parametrize("row", RAISED, ids=[type(row[0]).__name__ for row in RAISED])
async def test_whatever_a_handler_raises_has_one_shape(row):
    raised, status, type_, words, header = row
    reply, log = await answer_of(raised)
    assert reply.status == status
    said_type, message = error_of(reply)
    assert said_type == type_
    assert words.lower() in message.lower()
    assert header is None or header in reply.headers
    assert "PROMPT" not in message + log


async def test_a_bug_is_logged_by_its_type_and_place_and_by_nothing_that_it_says():
    _, log = await answer_of(ZeroDivisionError("with a PROMPT in it"))
    (line,) = [json.loads(line) for line in log.splitlines()]
    assert (line["event"], line["error"], line["path"]) == (
        "handler_failed",
        "ZeroDivisionError",
        "/",
    )
    assert "test_errors.py" in line["where"]


async def test_to_a_client_that_has_gone_nothing_is_said():
    reply, log = await answer_of(ConnectionResetError("gone"))
    assert reply.status != 200
    assert "handler_failed" not in log


async def answer_of(raised):
    """What a client hears, and what is logged, when a handler raises this."""

    async def fails(_request):
        raise raised

    app = web.Application(middlewares=[errors])
    app.router.add_get("/", fails)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    with logged() as log:
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await connect(f"http://127.0.0.1:{runner.addresses[0][1]}")
            writer.write(request("GET", "/"))
            reply = await whole_reply(reader)
            writer.transport.abort()
        finally:
            await runner.cleanup()
        return reply, log.getvalue()


async def test_one_stream_too_many_is_refused_like_the_api_refuses_it():
    async with served(max_streams=1) as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(request("POST", "/stream-claude", b'{"prompt": "x"}', "x-simulator: stall"))
        await reader.readuntil(b"data:")
        refused = await gateway.post("/stream-claude", {"prompt": "x"})
        assert (refused.status, error_of(refused)[0]) == (529, "overloaded_error")
        assert "max_streams" in error_of(refused)[1]
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("2", "true")
        assert len(gateway.simulator.calls) == 1
        writer.transport.abort()


async def test_a_server_that_goes_away_takes_no_new_stream():
    async with served() as gateway:
        await gateway.relay.drain()
        refused = await gateway.post("/v1/messages", ASK)
        assert (refused.status, error_of(refused)[0]) == (503, "overloaded_error")
        assert refused.headers["retry-after"] == "2"
        assert gateway.simulator.calls == []
