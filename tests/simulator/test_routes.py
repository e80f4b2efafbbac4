"""Endpoints: what is answered, what is refused, and with which words."""

import json

import pytest

from finalstop.simulator.moves import Begin, Say
from finalstop.simulator.requests import Request
from finalstop.simulator.routes import MODELS, Setting, respond_to, spec_of
from finalstop.simulator.script import parse_script

GOOD = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "salt"}]}


def responded(method, path, body=None, *, default="text", require_key=True, headers=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    keyed = {"x-api-key": "k"} if headers is None else headers
    request = Request(method, path, keyed, content)
    setting = Setting(parse_script, default, 0, require_key)
    moves = list(respond_to(request, setting, "req_1").moves)
    status = next(move.head.status for move in moves if isinstance(move, Begin))
    return status, b"".join(move.data for move in moves if isinstance(move, Say))


def refused(status, kind, says, *args, **options):
    found, content = responded(*args, **options)
    error = json.loads(content)["error"]
    assert (found, error["type"]) == (status, kind)
    assert says in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "value"),
    [
        ("POST", "/v1/messages", GOOD, "type", "message"),
        ("POST", "/v1/messages", GOOD | {"stream": False}, "role", "assistant"),
        ("POST", "/messages", GOOD, "type", "message"),
        ("POST", "/v1/messages/count_tokens", GOOD, "input_tokens", 9),
        ("GET", "/v1/models", None, "first_id", MODELS[0]),
        ("GET", f"/v1/models/{MODELS[1]}", None, "id", MODELS[1]),
        ("HEAD", "/v1/models", None, "last_id", MODELS[-1]),
        ("GET", "/", None, "simulator", "finalstop"),
        ("HEAD", "/", None, "simulator", "finalstop"),
    ],
)
def test_endpoints_answer(method, path, body, key, value):
    status, content = responded(method, path, body)
    assert status == 200
    assert json.loads(content)[key] == value


def test_a_stream_is_a_stream():
    _, content = responded("POST", "/v1/messages", GOOD | {"stream": True})
    assert content.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON object"),
        (b"[1]", "JSON object"),
        (GOOD | {"model": ""}, "model"),
        (GOOD | {"model": 3}, "model"),
        (GOOD | {"messages": []}, "messages"),
        (GOOD | {"messages": "hi"}, "messages"),
        (GOOD | {"max_tokens": 0}, "max_tokens"),
        (GOOD | {"max_tokens": True}, "max_tokens"),
        (GOOD | {"max_tokens": "5"}, "max_tokens"),
        (GOOD | {"stream": "yes"}, "stream"),
        (GOOD | {"model": "sim:nonsense"}, "'nonsense'"),
        (GOOD | {"model": "sim:bad-json"}, "streams only"),
        (GOOD | {"model": "sim:stall@mid-text,answer=no-content", "stream": True}, "mid-text"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(body, says):
    refused(400, "invalid_request_error", says, "POST", "/v1/messages", body)


def test_unknown_paths_models_and_methods_are_refused():
    refused(404, "not_found_error", "/v2", "GET", "/v2")
    refused(404, "not_found_error", "claude-9", "GET", "/v1/models/claude-9")
    refused(405, "invalid_request_error", "takes POST", "GET", "/v1/messages")
    refused(405, "invalid_request_error", "takes GET", "POST", "/v1/models")


def test_a_key_is_required_unless_told_otherwise():
    refused(401, "authentication_error", "x-api-key", "POST", "/v1/messages", GOOD, headers={})
    status, _ = responded("POST", "/v1/messages", GOOD, headers={}, require_key=False)
    assert status == 200
    status, _ = responded("GET", "/v1/models", headers={"authorization": "Bearer k"})
    assert status == 200


@pytest.mark.parametrize(
    ("headers", "body", "spec"),
    [
        ({"x-simulator": "rst"}, {"model": "sim:fin"}, "rst"),
        ({}, {"model": "sim:fin@mid-text"}, "fin@mid-text"),
        ({}, {"model": "claude"}, "thinking"),
        ({}, {"model": 4}, "thinking"),
        ({}, None, "thinking"),
    ],
)
def test_the_header_is_before_the_model_and_the_model_before_the_default(headers, body, spec):
    request = Request("POST", "/v1/messages", headers, json.dumps(body).encode())
    assert spec_of(request, "thinking") == spec


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Write a poem", True),
        ([{"type": "text", "text": "Write"}, {"type": "image"}], True),
        ([{"type": "text", "text": "Is the sea salty?"}], False),
        (None, False),
    ],
)
def test_the_last_message_decides_what_is_talked_about(content, told):
    body = GOOD | {"messages": [{"role": "user", "content": content}]}
    _, answer = responded("POST", "/v1/messages", body)
    assert (b"not a model" in answer) is told


def test_other_endpoints_fail_with_the_default_script_where_it_means_something():
    assert responded("GET", "/v1/models", default="status-529")[0] == 529
    assert responded("GET", "/v1/models", default="bad-json")[0] == 200
