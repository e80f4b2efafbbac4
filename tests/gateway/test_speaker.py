"""Clients that speak HTTP oddly, or not at all: answered, or refused in the API's shape."""

import asyncio
import json
import logging
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.test_utils import make_mocked_request

from finalstop.gateway.speaker import Speakers
from tests.gateway.served import ASK, Log, error_of, logged, request, served
from tests.simulator.rawclient import connect, read_reply

GET = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n"
SECRET = b"sk-ant-CANARY"
ASKING = json.dumps(ASK | {"stream": True}).encode()

# what is wrong, the bytes, the status
NO_REQUESTS = [
    ("an unknown method", b"BREW /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("no host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("a space before the colon", b"GET / HTTP/1.1\r\nhost : 127.0.0.1\r\n\r\n", 400),
    ("a NUL in a header", GET + b"x-api-key: " + SECRET + b"\0\r\n\r\n", 400),
    ("a line break in a header", GET + b"x-a: b\nx-api-key " + SECRET + b"\r\n\r\n", 400),
    ("a header without end", GET + b"x-api-key: " + SECRET * 900 + b"\r\n\r\n", 431),
    ("a target without end", GET.replace(b"healthz", SECRET * 900) + b"\r\n", 431),
    ("too many headers", GET + b"".join(b"x-%d: 1\r\n" % n for n in range(999)) + b"\r\n", 400),
    ("two lengths", GET + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
    ("a length and chunks", GET + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
    ("a length that is no number", GET + b"content-length: five\r\n\r\n", 400),
    ("a negative length", GET + b"content-length: -5\r\n\r\n", 400),
    ("a broken chunk", GET.replace(b"GET /healthz", b"POST /v1/messages")
     + b"transfer-encoding: chunked\r\n\r\n{" + SECRET + b"}\r\n", 400),
]  # fmt: skip


@pytest.mark.parametrize("row", NO_REQUESTS, ids=[row[0] for row in NO_REQUESTS])
async def test_what_is_no_request_is_refused_in_the_apis_shape(row, caplog):
    _, sent, status = row
    async with served() as gateway:
        with caplog.at_level(logging.DEBUG):
            reply = await gateway.say(sent)
        assert reply.status == status
        type_, message = error_of(reply)
        assert type_ == "invalid_request_error"
        # Not a byte of what came: it may have been a key or a prompt.
        assert "CANARY" not in message
        assert "CANARY" not in gateway.log.getvalue() + caplog.text
        (line,) = gateway.lines_of("request_failed")
        assert line["error"]


async def test_a_refusal_says_what_the_parser_says():
    async with served() as gateway:
        reply = await gateway.say(GET + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello")
        assert "Content-Length" in error_of(reply)[1]


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue", "200-ok", ""])
async def test_a_client_that_waits_to_be_asked_is_asked(expect):
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        sent = request(
            "POST", "/v1/messages", ASKING, f"expect: {expect}", "x-simulator: text,words=3"
        )
        head, body = sent[: -len(ASKING)], sent[-len(ASKING) :]
        writer.write(head)
        if expect.lower() == "100-continue":
            asked = await reader.readuntil(b"\r\n\r\n")
            assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        reply = read_reply(await reader.read(), "eof")
        assert (reply.status, reply.types[-1], reply.ended) == (200, "message_stop", "whole")
        writer.transport.abort()


async def test_requests_sent_at_once_are_answered_in_order_each_to_its_end():
    one, two = (
        request("POST", "/v1/messages", ASKING, f"x-simulator: text,words={words}").replace(
            b"connection: close", b"connection: keep-alive"
        )
        for words in (3, 9)
    )
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(one + two + request("GET", "/healthz"))
        async with asyncio.timeout(5):
            wire = await reader.read(-1)
        replies = wire.split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert len(replies) == 3
        assert all(reply.endswith(b'message_stop"}\n\n\r\n0\r\n\r\n') for reply in replies[:2])
        assert replies[2].endswith(b'{"status": "ok"}')
        first, second = gateway.lines_of("stream_ended")
        assert first["usage"]["characters"] < second["usage"]["characters"]
        writer.transport.abort()


async def test_a_connection_is_kept_for_the_next_question():
    sent = request("POST", "/stream-claude", b'{"prompt": "x"}', "x-simulator: text,words=3")
    sent = sent.replace(b"connection: close\r\n", b"")
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        async with asyncio.timeout(5):
            for _ in range(3):
                writer.write(sent)
                answer = await reader.readuntil(b"\r\n0\r\n\r\n")
                assert b'"event":"end"' in answer
        writer.transport.abort()


async def test_a_client_that_leaves_in_the_middle_of_its_request_leaves_nothing_behind():
    async with served() as gateway:
        for cut in (1, 10, 60, 120):
            _, writer = await connect(gateway.url)
            writer.write(request("POST", "/v1/messages", ASKING)[:cut])
            writer.close()
        assert (await gateway.get("/healthz")).status == 200
        assert gateway.relay.live == 0
        assert gateway.simulator.calls == []


async def test_a_header_given_twice_is_one_list_for_the_api():
    async with served() as gateway:
        beta = ["anthropic-beta: a", "ANTHROPIC-BETA: b", "anthropic-beta: c"]
        await gateway.say(request("POST", "/v1/messages", ASKING, *beta))
        assert gateway.call.headers["anthropic-beta"] == "a, b, c"


# what went wrong, the status that aiohttp would give, the status and the log of ours
BROKEN = [
    (ZeroDivisionError("CANARY"), 500, 500, ["ZeroDivisionError"]),
    (ConnectionResetError("CANARY"), 500, 500, []),
    (LineTooLong("CANARY", 8190), 400, 431, ["LineTooLong"]),
]


@pytest.mark.parametrize(("error", "status", "ours", "logged_as"), BROKEN)
async def test_what_goes_wrong_around_an_answer_is_told_and_logged_by_its_type(
    error, status, ours, logged_as
):
    with logged() as log:
        response = speaker().handle_error(a_request(sent_bytes=0), status, error, "CANARY")
        assert isinstance(response, web.Response)
        assert response.status == ours
        assert "CANARY" not in (response.text or "") + log.getvalue()
        assert [line["error"] for line in Log(log).lines] == logged_as


async def test_an_answer_under_way_is_cut_and_not_followed_by_another():
    with logged(), pytest.raises(ConnectionError):
        speaker().handle_error(a_request(sent_bytes=9), 500, ZeroDivisionError())


def speaker():
    async def handler(_request):
        raise AssertionError("nobody asks")

    return Speakers(web.Server(handler), write_s=30)()


def a_request(*, sent_bytes):
    writer = SimpleNamespace(output_size=sent_bytes)
    return make_mocked_request("GET", "/", writer=writer)
