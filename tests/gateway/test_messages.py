"""The routes that produce a stream: what they send upstream, and what they answer."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest

from finalstop.gateway.secret import Secret, TokenHash
from finalstop.simulator import CallEnd, key_digest
from tests.gateway.served import ASK, error_of, request, served, until, whole_reply
from tests.simulator.rawclient import connect
from tests.upstream.servers import RawServer

ROUTES = ("/v1/messages", "/stream-claude")
STREAM = ASK | {"stream": True}

# -- what goes upstream ---------------------------------------------------------------------------

STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
BODY = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
    b'"role":"assistant","model":"m","content":[],"usage":{"output_tokens":1}}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":1}}\n\n' + STOP
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    + BODY
)


async def seen_upstream(sent):
    """The head and body that a bare upstream is asked with, and the reply."""
    async with RawServer([ANSWER]) as upstream:
        async with served(settings={"upstream": upstream.url}) as gateway:
            reply = await gateway.say(sent)
        (head,), (body,) = upstream.requests, upstream.bodies
        return head, body, reply


ODD = (
    b'{ "stream" : true,"model":"m",  "max_tokens":1.0e1, "messages":[ {"role":"user",'
    b'"content":"\\u00e9 \xc3\xa9 \\ud83c\\udf0a"} ], "next_years_field":{"a":[ 1 , null ]} }\n'
)


async def test_a_streamed_request_reaches_the_upstream_byte_for_byte():
    head, body, reply = await seen_upstream(request("POST", "/v1/messages", ODD))
    assert body == ODD
    assert head.startswith(b"POST /v1/messages HTTP/1.1")
    assert reply.types[-1] == "message_stop"


@pytest.mark.parametrize("query", ["beta=true", "a=%20b%2F&c=%zz&d", "x=%C3%A9+%2B", "a=1&a=2"])
@pytest.mark.parametrize("path", ROUTES)
async def test_the_query_reaches_the_upstream_as_it_came(path, query):
    sent = request("POST", f"{path}?{query}", b'{"stream":true,"messages":[],"model":"m"}')
    head, _, _ = await seen_upstream(sent)
    assert head.split(b" ")[1] == b"/v1/messages?" + query.encode()


async def test_a_query_that_no_url_may_hold_is_refused():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages?a=b\\c", STREAM)
        assert reply.status == 400
        assert "cannot be passed on" in error_of(reply)[1]
        assert gateway.simulator.calls == []


async def test_what_the_client_says_to_the_api_reaches_it_and_nothing_else_does():
    sent = request(
        "POST", "/v1/messages", ODD,
        "anthropic-version: 2026-10-21", "anthropic-beta: one", "Anthropic-Beta: two",
        "anthropic-next-year: yes", "cookie: a=b", "user-agent: mine", "x-stainless-os: mine",
        "x-forwarded-for: 10.0.0.1", "accept-encoding: gzip", "via: mine",
    )  # fmt: skip
    head, _, _ = await seen_upstream(sent)
    lines = head.lower().split(b"\r\n")
    for said in (b"anthropic-version: 2026-10-21", b"anthropic-beta: one, two",
                 b"anthropic-next-year: yes", b"content-type: application/json",
                 b"accept-encoding: identity"):  # fmt: skip
        assert lines.count(said) == 1
    for word in (b"cookie", b"mine", b"10.0.0.1", b"via:"):
        assert word not in head.lower()


async def test_a_version_is_said_where_the_client_says_none():
    head, _, _ = await seen_upstream(request("POST", "/v1/messages", ODD))
    assert b"anthropic-version: 2023-06-01" in head.lower()


@pytest.mark.parametrize("path", ROUTES)
async def test_the_route_for_plain_text_asks_with_messages_of_its_own(path):
    fields = STREAM if path == "/v1/messages" else {"prompt": "Why?", "top_k": 3}
    async with served(settings={"default_model": "the-default"}) as gateway:
        await gateway.post(path, fields)
        if path == "/v1/messages":
            assert gateway.call.body == STREAM
        else:
            messages = [{"role": "user", "content": "Why?"}]
            assert gateway.call.body == {
                "top_k": 3, "messages": messages, "model": "the-default", "max_tokens": 1024,
                "stream": True,
            }  # fmt: skip


CLIENT, SERVER, TOKEN = "sk-of-the-client", "sk-of-the-server", "a-token-of-the-gateway"
# the settings, the key that the client shows, the key that the upstream is shown
KEYS = [
    ({}, CLIENT, CLIENT),
    ({"api_key": Secret(SERVER)}, CLIENT, SERVER),
    ({"api_key": Secret(SERVER)}, None, SERVER),
    ({"api_key": Secret(SERVER), "tokens": (TokenHash.of(TOKEN),)}, TOKEN, SERVER),
]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(("settings", "shown", "seen"), KEYS)
async def test_a_clients_key_goes_upstream_only_where_the_server_has_none(
    path, settings, shown, seen
):
    body = json.dumps(STREAM).encode()
    async with RawServer([ANSWER]) as upstream:
        async with served(settings={"upstream": upstream.url, **settings}) as gateway:
            assert (await gateway.say(request("POST", path, body, key=shown))).status == 200
        (head,) = upstream.requests
    assert f"x-api-key: {seen}".encode() in head
    assert b"authorization" not in head.lower()
    others = {CLIENT, SERVER, TOKEN} - {seen}
    assert not [other for other in others if other.encode() in head]


async def test_a_bearer_stays_a_bearer():
    sent = request("POST", "/v1/messages", ODD, f"Authorization: bearer {CLIENT}", key=None)
    head, _, _ = await seen_upstream(sent)
    assert f"authorization: Bearer {CLIENT}".encode() in head
    assert b"x-api-key" not in head


async def test_two_different_credentials_are_one_too_many():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", STREAM, f"authorization: Bearer {CLIENT}")
        assert (reply.status, error_of(reply)[0]) == (400, "invalid_request_error")
        assert CLIENT not in error_of(reply)[1]
        assert gateway.simulator.calls == []


async def test_the_digest_of_the_key_is_the_one_that_the_simulator_saw():
    async with served(settings={"api_key": Secret(SERVER)}) as gateway:
        await gateway.post("/v1/messages", STREAM)
        assert gateway.call.key_digest == key_digest(SERVER)


# -- the head -------------------------------------------------------------------------------------


@asynccontextmanager
async def asked(gateway, path, spec, *headers, version="1.1"):
    """A connection on which a stream has been asked for: its reader."""
    reader, writer = await connect(gateway.url)
    body = json.dumps(STREAM).encode()
    writer.write(request("POST", path, body, f"x-simulator: {spec}", *headers, version=version))
    try:
        yield reader
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("path", ROUTES)
async def test_the_head_tells_proxies_to_keep_their_hands_off(path):
    async with served() as gateway:
        reply = await gateway.post(path, STREAM, "x-simulator: text,words=3")
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache, no-transform"
        assert reply.headers["x-accel-buffering"] == "no"
        assert reply.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in reply.headers
        assert reply.ended == "whole"


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_a_silent_upstream_does_not_hold_the_head_longer_than_the_window(path):
    async with served(commit_s=0.3, keep_alive_s=0.4, first_content_s=5) as gateway:
        began = time.monotonic()
        async with asked(gateway, path, "no-head") as reader:
            head = await reader.readuntil(b"\r\n\r\n")
            assert 0.25 < time.monotonic() - began < 1.5
            assert head.startswith(b"HTTP/1.1 200")
            assert b"finalstop-stream-id: " in head.lower()


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
async def test_the_head_goes_out_with_the_first_event_and_not_at_the_end_of_the_window(path):
    async with served() as gateway, asked(gateway, path, "stall@before-first-delta") as reader:
        async with asyncio.timeout(2):  # the window is 5 s
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


# the script, the status, the error type, further headers
REFUSED = [
    ("status-400", 400, "invalid_request_error", {"x-should-retry": "false"}),
    ("status-401", 401, "authentication_error", {"x-should-retry": "false"}),
    ("status-404", 404, "not_found_error", {"x-should-retry": "false"}),
    ("status-429,retry_after=17", 429, "rate_limit_error",
     {"x-should-retry": "true", "retry-after": "17"}),
    ("status-429-spend", 429, "rate_limit_error", {"x-should-retry": "false", "retry-after": None}),
    ("status-529", 529, "overloaded_error", {"x-should-retry": "true"}),
    ("status-503", 503, "api_error", {"x-should-retry": "true"}),
    ("error-first", 529, "overloaded_error", {"x-should-retry": "true"}),
    ("error-rate-limit@after-head", 429, "rate_limit_error", {"x-should-retry": "true"}),
    ("error-invalid-request@after-head", 400, "invalid_request_error", {"x-should-retry": "false"}),
    ("empty-200", 502, "api_error", {"x-should-retry": "true"}),
    ("json-200", 502, "api_error", {"x-should-retry": "false"}),
    ("html-200", 502, "api_error", {"x-should-retry": "false"}),
]  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
async def test_what_fails_before_the_first_event_has_its_true_status(row, stream):
    spec, status, type_, headers = row
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK | {"stream": stream}, f"x-simulator: {spec}")
        assert (reply.status, error_of(reply)[0]) == (status, type_)
        assert {name: reply.headers.get(name) for name in headers} == headers
        assert "finalstop-stream-id" in reply.headers
        assert len(gateway.simulator.calls) == 1


@pytest.mark.slow
async def test_our_own_route_tries_twice_and_the_sdks_route_once():
    for path, count in (("/stream-claude", 2), ("/v1/messages", 1)):
        async with served() as gateway:
            await gateway.post(path, STREAM, "x-simulator: status-529")
            assert len(gateway.simulator.calls) == count


# -- the body -------------------------------------------------------------------------------------

KEEP_ALIVE = {
    "/v1/messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "/stream-claude": b": keep-alive\n\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("spec", ["no-head", "stall@mid-text", "pings-forever@mid-text"])
async def test_a_wire_that_would_be_silent_carries_keep_alives_between_events(path, spec):
    async with served(commit_s=0.1, keep_alive_s=0.2, first_content_s=0.9, idle_s=0.9) as gateway:
        reply = await gateway.post(path, STREAM, f"x-simulator: {spec}")
        blocks = reply.body.split(b"\n\n")
        alive = [block for block in blocks if block + b"\n\n" == KEEP_ALIVE[path]]
        assert 2 <= len(alive) <= 9
        assert all(block == alive[0] or block.startswith(b"id: 1-") for block in blocks if block), (
            "a keep-alive inside an event"
        )
        assert reply.ended == "whole"


@pytest.mark.slow
async def test_a_busy_wire_carries_no_keep_alive():
    async with served(commit_s=0.1, keep_alive_s=0.3) as gateway:
        reply = await gateway.post(
            "/stream-claude", STREAM, "x-simulator: text,words=60,pace_ms=20"
        )
        assert b"keep-alive" not in reply.body


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("spec", ["text,words=9", "fin@mid-text", "error-overloaded@mid-text"])
async def test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection(path, spec):
    async with served() as gateway:
        async with asked(gateway, path, spec, version="1.0") as reader:
            old = await whole_reply(reader)
        async with asked(gateway, path, spec) as reader:
            new = await whole_reply(reader)
        assert "transfer-encoding" not in old.headers
        assert "content-length" not in old.headers
        assert old.ended == "whole"
        assert b"\r" not in old.body  # no chunk sizes
        assert [name for name, _ in old.events] == [name for name, _ in new.events]
        (warning,) = gateway.lines_of("http_1_0_client")
        assert warning["stream"] == old.headers["finalstop-stream-id"]
        assert warning["level"] == "warning"


async def test_a_message_that_is_not_streamed_is_the_sum_of_its_stream():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK, "x-simulator: parallel-tools")
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert reply.json["stop_reason"] == "tool_use"
        assert reply.headers["request-id"].startswith("req_")
        assert gateway.call.body["stream"] is True


async def test_a_delta_that_cannot_be_added_up_is_named():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", ASK, "x-simulator: unknown-events")
        streamed = await gateway.post("/v1/messages", STREAM, "x-simulator: unknown-events")
        known = {"text_delta", "input_json_delta", "thinking_delta", "signature_delta"}
        kinds = [json.loads(data).get("delta", {}).get("type") for _, data in streamed.events]
        unknown = next(kind for kind in kinds if kind and kind not in known)
        assert reply.status == 502
        assert unknown in error_of(reply)[1]
        assert "nonstream_passthrough" in error_of(reply)[1]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("spec", ["no-head", "stall@mid-text"])
async def test_when_the_client_leaves_the_upstream_is_left(spec, stream):
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        body = json.dumps(ASK | {"stream": stream}).encode()
        writer.write(request("POST", "/v1/messages", body, f"x-simulator: {spec}"))
        await until(lambda: gateway.simulator.calls)
        writer.close()
        await until(lambda: gateway.call.ended is not CallEnd.OPEN, within_s=2)
        assert gateway.call.ended is CallEnd.PEER_CLOSED
        assert gateway.lines_of("stream_ended")[0]["reason"] == "abandoned"
        del reader


@pytest.mark.parametrize("path", ROUTES)
async def test_a_bug_of_ours_cuts_the_answer_and_never_ends_it_as_if_it_were_whole(
    path, monkeypatch
):
    class Broken:
        content_type, headers, keep_alive = "text/event-stream", {}, b":\n\n"

        def encode(self, _entry):
            raise ZeroDivisionError

    monkeypatch.setattr("finalstop.gateway.messages.encoder_for", lambda _name: Broken())
    async with served() as gateway:
        reply = await gateway.post(path, STREAM)
        assert reply.status == 200
        assert reply.ended != "whole"
        (line,) = gateway.lines_of("view_failed")
        assert line["error"] == "ZeroDivisionError"
        assert line["stream"] == gateway.lines_of("stream_ended")[0]["stream"]


async def test_a_linger_lets_the_stream_go_on_without_its_client():
    async with served() as gateway:
        async with asked(
            gateway, "/v1/messages", "text,words=30,pace_ms=5", "finalstop-linger-s: 20"
        ) as reader:
            head = await reader.readuntil(b"\r\n\r\n")
        stream = head.lower().split(b"finalstop-stream-id: ")[1][:32].decode()
        reply = await gateway.get(f"/streams/{stream}/receipt?wait=9")
        assert (reply.status, reply.json["reason"]) == (200, "complete")
