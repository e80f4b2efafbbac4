"""What is not a stream goes through as it is, in both directions."""

import json

import pytest

from finalstop.gateway.secret import Secret
from finalstop.simulator import key_digest
from tests.gateway.served import ASK, error_of, request, served
from tests.upstream.servers import RawServer

COUNT = {"model": "m", "messages": ASK["messages"]}


async def test_tokens_are_counted_upstream():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages/count_tokens", COUNT)
        direct = gateway.simulator.calls[0]
        assert reply.json["input_tokens"] > 5
        assert reply.headers["request-id"].startswith("req_")
        assert (direct.method, direct.path, direct.body) == (
            "POST",
            "/v1/messages/count_tokens",
            COUNT,
        )


async def test_models_are_listed_upstream():
    async with served() as gateway:
        assert (await gateway.get("/v1/models")).json["data"]
        one = await gateway.get("/v1/models/claude-sonnet-5")
        assert one.json["display_name"] == "Claude Sonnet 5"
        assert (await gateway.get("/v1/models/unheard-of")).status == 404


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


async def seen_upstream(sent):
    """The head and the body that the upstream is asked with, and the reply to the client."""
    async with RawServer([OK]) as upstream:
        async with served(settings={"upstream": upstream.url}) as gateway:
            reply = await gateway.say(sent)
        return upstream.requests, upstream.bodies, reply


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models?limit=3&after_id=a%20b%2Fc&x=%zz",
        "/v1/models?",
        "/v1/models/a-b_c~d",
        "/v1/models?q=%C3%A9+%2B",
    ],
)
async def test_path_and_query_reach_the_upstream_as_they_came(target):
    (head,), _, reply = await seen_upstream(request("GET", target))
    # A bare `?` says nothing; all else is byte for byte the same.
    assert reply.status == 200
    assert head.split(b" ")[1] == target.removesuffix("?").encode()


async def test_a_request_as_to_a_proxy_is_taken_as_what_it_means():
    (head,), _, reply = await seen_upstream(request("GET", "http://127.0.0.1/v1/models?limit=1"))
    assert reply.status == 200
    assert head.split(b" ")[1] == b"/v1/models?limit=1"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1"])
async def test_no_request_chooses_its_upstream(host):
    (head,), _, _ = await seen_upstream(request("GET", f"http://{host}/v1/models"))
    assert head.startswith(b"GET /v1/models HTTP/1.1")
    assert host.encode() not in head


@pytest.mark.parametrize("model", ["..%2f..%2fadmin", "%2e%2e", "a%2Eb", "a%5cb", "a;b"])
async def test_a_path_that_leads_elsewhere_is_refused(model):
    async with served() as gateway:
        reply = await gateway.get(f"/v1/models/{model}")
        assert reply.status in {400, 404}
        assert error_of(reply)[0] in {"invalid_request_error", "not_found_error"}
        assert gateway.simulator.calls == []


async def test_the_body_reaches_the_upstream_byte_for_byte():
    body = b'{ "model":"m",\n "messages":[{"role":"user","content":"\\u00e9\xc3\xa9"}], "n":1.0 }'
    sent = request("POST", "/v1/messages/count_tokens?beta=true", body)
    (head,), bodies, _ = await seen_upstream(sent)
    assert head.startswith(b"POST /v1/messages/count_tokens?beta=true HTTP/1.1")
    assert bodies == [body]


# the upstream's answer, the status and type that the client sees
ANSWERS = [
    ("status-401", 401, "authentication_error"),
    ("status-429,retry_after=9", 429, "rate_limit_error"),
    ("status-529", 529, "overloaded_error"),
]


@pytest.mark.parametrize(("spec", "status", "type_"), ANSWERS)
async def test_a_refusal_goes_through_as_it_is(spec, status, type_):
    async with served() as gateway:
        reply = await gateway.post("/v1/messages/count_tokens", COUNT, f"x-simulator: {spec}")
        assert (reply.status, error_of(reply)[0]) == (status, type_)
        assert reply.headers.get("retry-after") == ("9" if status == 429 else None)
        assert len(gateway.simulator.calls) == 1


@pytest.mark.parametrize("wish", ["true", "false"])
async def test_the_upstreams_own_word_about_retries_is_passed_on(wish):
    refusal = b"HTTP/1.1 500 x\r\nx-should-retry: %b\r\ncontent-length: 0\r\n\r\n"
    async with (
        RawServer([refusal % wish.encode()]) as upstream,
        served(settings={"upstream": upstream.url}) as gateway,
    ):
        reply = await gateway.get("/v1/models")
    assert (reply.status, reply.headers["x-should-retry"]) == (500, wish)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "status", "reason"),
    [
        ("eof@before-head", 502, "truncated"),
        ("no-head", 504, "deadline"),
        ("not-http", 502, "upstream_invalid"),
    ],
)
async def test_no_answer_is_an_error_that_says_why(spec, status, reason):
    async with served(first_content_s=0.3) as gateway:
        reply = await gateway.post("/v1/messages/count_tokens", COUNT, f"x-simulator: {spec}")
        assert reply.status == status
        assert f"[finalstop: {reason}" in error_of(reply)[1]


async def test_an_upstream_that_is_not_there_is_an_error_that_says_so():
    async with served(settings={"upstream": "http://127.0.0.1:9"}) as gateway:
        reply = await gateway.get("/v1/models")
        assert reply.status == 502
        assert "unreachable" in error_of(reply)[1]


async def test_the_servers_key_replaces_the_clients():
    async with served(settings={"api_key": Secret("sk-of-the-server")}) as gateway:
        await gateway.say(request("GET", "/v1/models", key="sk-of-the-client"))
        assert gateway.call.key_digest == key_digest("sk-of-the-server")


async def test_with_the_switch_a_message_is_passed_through_and_left_as_it_is():
    switch = {"nonstream_passthrough": True}
    ask = ASK | {"model": "sim:unknown-events"}
    async with served(settings=switch) as gateway:
        through = await gateway.post("/v1/messages", ask)
        assert (through.status, through.json["type"]) == (200, "message")
        assert "finalstop-stream-id" not in through.headers
        assert gateway.call.body == ask
        streamed = await gateway.post("/v1/messages", ask | {"stream": True})
        assert streamed.types[-1] == "message_stop"
        assert json.loads(streamed.events[0][1])["message"]["id"]
