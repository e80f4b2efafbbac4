"""Every route, asked in every wrong way: the right status, and an error of the API's own shape."""

import json

import pytest

from finalstop.gateway.app import ROUTES
from finalstop.gateway.secret import Secret, TokenHash
from tests.gateway.served import ASK, error_of, request, served

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PATHS = sorted({path for _, path, *_ in ROUTES})
WITH_BODY = ("/v1/messages", "/v1/messages/count_tokens", "/stream-claude")
OF_A_STREAM = (("GET", "/streams/{id}/receipt"), ("GET", "/streams/{id}/message"),
               ("DELETE", "/streams/{id}"))  # fmt: skip

ALICE, BOB = "token-of-alice-0001", "token-of-bob-000001"
GUARDED = {
    "tokens": (TokenHash.of(ALICE), TokenHash.of(BOB)),
    "api_key": Secret("sk-of-the-server"),
}

GOOD = json.dumps(ASK).encode()
PROMPT = b'{"prompt": "Why is the sea salty?"}'

# what is wrong, the body, its content type, further headers, status, words to find
BAD_BODIES = [
    ("no JSON", b'{"model": ', "application/json", (), 400, "not a JSON object"),
    ("a list", b"[]", "application/json", (), 400, "not a JSON object"),
    ("null", b"null", "application/json", (), 400, "not a JSON object"),
    ("nothing", b"", "application/json", (), 400, "not a JSON object"),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD, "application/json", (), 400, "not a JSON object"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "application/json", (), 400, "not a JSON object"),
    ("NaN", b'{"max_tokens": NaN}', "application/json", (), 400, "not a JSON object"),
    ("a bare NUL", b'{"model": "\0"}', "application/json", (), 400, "not a JSON object"),
    ("invalid UTF-8", b'{"mod\xffel": 1}', "application/json", (), 400, "not a JSON object"),
    ("too deep", b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}", "application/json", (), 400, "depth"),
    ("text", GOOD, "text/plain", (), 415, "text/plain"),
    ("a form", GOOD, "application/x-www-form-urlencoded", (), 415, "application/json"),
    ("no type", GOOD, None, (), 415, "none"),
    ("gzip", GOOD, "application/json", ("content-encoding: gzip",), 415, "Encoded"),
    ("an unknown coding", GOOD, "application/json", ("content-encoding: br",), 415, "Encoded"),
    ("too large", b'{"a":"' + b"x" * 5000 + b'"}', "application/json", (), 413, "body_bytes"),
]  # fmt: skip

# what is wrong with the fields, route, fields, words to find
BAD_FIELDS = [
    ("stream is a string", "/v1/messages", ASK | {"stream": "yes"}, "stream must be true or false"),
    ("stream is a number", "/v1/messages", ASK | {"stream": 1}, "stream must be true or false"),
    ("stream is null", "/v1/messages", ASK | {"stream": None}, "stream must be true or false"),
    ("no stream wanted", "/stream-claude", {"prompt": "x", "stream": False}, "POST /v1/messages"),
    ("neither", "/stream-claude", {"model": "m"}, "Give a prompt"),
    ("both", "/stream-claude", {"prompt": "x", "messages": []}, "not both"),
    ("an empty prompt", "/stream-claude", {"prompt": " \n"}, "not empty"),
    ("a prompt that is a number", "/stream-claude", {"prompt": 7}, "not empty"),
    ("a prompt that is null", "/stream-claude", {"prompt": None}, "not empty"),
]


def concrete(path):
    return path.replace("{id}", "0" * 32).replace("{model}", "claude-sonnet-5")


def allowed(path):
    return sorted(method for method, here, *_ in ROUTES if here == path)


@pytest.mark.parametrize("path", PATHS)
async def test_a_wrong_method_is_told_which_are_right(path):
    async with served() as gateway:
        for method in sorted(set(METHODS) - set(allowed(path))):
            reply = await gateway.say(request(method, concrete(path)))
            assert (reply.status, reply.headers["allow"]) == (405, ", ".join(allowed(path)))
            if method == "HEAD":
                assert reply.body == b""
            else:
                type_, message = error_of(reply)
                assert type_ == "invalid_request_error"
                assert method in message
                assert concrete(path) in message
        assert gateway.simulator.calls == []


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("row", BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
async def test_a_body_that_cannot_be_read_is_refused(path, row):
    _, body, content_type, headers, status, words = row
    async with served(body_bytes=4096 if status == 413 else 1 << 20) as gateway:
        sent = request("POST", path, body, *headers, content_type=content_type)
        reply = await gateway.say(sent)
        assert reply.status == status
        type_, message = error_of(reply)
        assert type_ == ("request_too_large" if status == 413 else "invalid_request_error")
        assert words in message
        assert gateway.simulator.calls == []


@pytest.mark.parametrize("row", BAD_FIELDS, ids=[row[0] for row in BAD_FIELDS])
async def test_fields_that_contradict_the_route_are_refused(row):
    _, path, fields, words = row
    async with served() as gateway:
        reply = await gateway.post(path, fields)
        assert reply.status == 400
        assert words in error_of(reply)[1]
        assert gateway.simulator.calls == []


async def test_what_the_api_refuses_is_refused_with_the_apis_words():
    async with served() as gateway:
        reply = await gateway.post("/v1/messages", {"model": "m", "messages": [], "stream": True})
        assert reply.status == 400
        assert "messages: at least one message is required" in error_of(reply)[1]


@pytest.mark.parametrize("path", ["/nope", "/v1/message", "/v1/messages/", "/v1/../healthz", "//"])
async def test_an_unknown_route_is_told_where_the_routes_are(path):
    async with served() as gateway:
        reply = await gateway.get(path)
        assert (reply.status, error_of(reply)[0]) == (404, "not_found_error")
        assert "GET / lists them" in error_of(reply)[1]


@pytest.mark.parametrize(("method", "path"), OF_A_STREAM)
@pytest.mark.parametrize("id", ["0" * 32, "x", "%00", "..%2f..", "a" * 2000])
async def test_an_unknown_stream_is_not_found(method, path, id):
    async with served() as gateway:
        reply = await gateway.say(request(method, path.replace("{id}", id)))
        assert (reply.status, error_of(reply)[0]) == (404, "not_found_error")


@pytest.mark.parametrize(("method", "path"), OF_A_STREAM)
async def test_somebody_elses_stream_answers_like_an_unknown_one(method, path):
    async with served(settings=GUARDED) as gateway:
        opened = request("POST", "/stream-claude", PROMPT, "x-simulator: text,words=3", key=ALICE)
        stream = (await gateway.say(opened)).headers["finalstop-stream-id"]
        mine = await gateway.say(request(method, path.replace("{id}", stream), key=ALICE))
        theirs = await gateway.say(request(method, path.replace("{id}", stream), key=BOB))
        unknown = await gateway.say(request(method, path.replace("{id}", "0" * 32), key=BOB))
        assert mine.status == 200
        assert theirs.status == unknown.status == 404
        assert theirs.body == unknown.body
        assert set(theirs.headers) == set(unknown.headers)


@pytest.mark.parametrize("row", ROUTES, ids=[f"{row[0]} {row[1]}" for row in ROUTES])
async def test_without_a_token_nobody_gets_past_the_door(row):
    method, path, *_ = row
    async with served(settings=GUARDED) as gateway:
        body = GOOD if method == "POST" else None
        reply = await gateway.say(request(method, concrete(path), body, key=None))
        if path in {"/", "/healthz", "/readyz"}:
            assert reply.status == 200
        else:
            assert (reply.status, error_of(reply)[0]) == (401, "authentication_error")
            assert reply.headers["www-authenticate"].startswith("Bearer")
        assert gateway.simulator.calls == []


async def test_a_body_is_not_read_before_its_sender_is_known():
    async with served(settings=GUARDED) as gateway:
        reply = await gateway.say(request("POST", "/v1/messages", b"no JSON", key="sk-nobody"))
        assert reply.status == 401
