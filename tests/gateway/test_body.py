"""Request bodies: checked where the gateway must know, otherwise left as the client wrote them."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from finalstop.gateway.body import boolean, plain_fields, streaming_body
from finalstop.gateway.errors import RequestError
from tests.gateway.served import ASK, error_of, request, served

DEFAULTS: dict[str, Any] = {"model": "the-default", "max_tokens": 77}


def raw(text):
    """The fields of a body, undecoded, as `read_fields` finds them."""
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def decoded(fields):
    return {name: json.loads(bytes(value)) for name, value in fields.items()}


# -- the fields -----------------------------------------------------------------------------------

ONE_QUESTION = [{"role": "user", "content": "Why?"}]
STRANGE = "a\u0000\ud7ff\U0001f30a\u2028"
# what came, what goes upstream beside or instead of the defaults and the one question
COMPLETED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"prompt": "Why?"}, {}),
    ({"prompt": "Why?", "model": "other"}, {"model": "other"}),
    ({"prompt": "Why?", "max_tokens": 5}, {"max_tokens": 5}),
    ({"prompt": "Why?", "stream": True, "top_k": 3}, {"stream": True, "top_k": 3}),
    ({"messages": ONE_QUESTION, "next_years_field": [1.5]}, {"next_years_field": [1.5]}),
    ({"prompt": STRANGE}, {"messages": [{"role": "user", "content": STRANGE}]}),
]  # fmt: skip


@pytest.mark.parametrize(("came", "goes"), COMPLETED)
def test_a_plain_body_becomes_a_whole_request(came, goes):
    assert decoded(plain_fields(raw(json.dumps(came)), **DEFAULTS)) == (
        {**DEFAULTS, "messages": ONE_QUESTION} | goes
    )


@pytest.mark.parametrize(
    ("came", "words"),
    [
        ({}, "Give a prompt"),
        ({"prompt": "x", "messages": []}, "not both"),
        ({"prompt": ""}, "not empty"),
        ({"prompt": ["x"]}, "not empty"),
        ({"prompt": "x", "stream": False}, "stream must be true or absent"),
        ({"prompt": "x", "stream": "no"}, 'not "no"'),
    ],
)
def test_a_plain_body_that_asks_for_nothing_or_for_two_things_is_refused(came, words):
    with pytest.raises(RequestError, match=words) as raised:
        plain_fields(raw(json.dumps(came)), **DEFAULTS)
    assert raised.value.status == 400


@pytest.mark.parametrize("name", ["prompt", "stream"])
def test_a_field_that_is_no_json_is_named(name):
    # The fields are not decoded at first, so that this is found where a field is looked at.
    fields = {"prompt": msgspec.Raw(b'"x"'), name: msgspec.Raw(b'"\xff"')}
    with pytest.raises(RequestError, match=f"{name} is not valid JSON"):
        plain_fields(fields, **DEFAULTS)


@pytest.mark.parametrize(
    ("text", "value"), [("{}", False), ('{"stream": true}', True), ('{"stream": false}', False)]
)
def test_a_boolean_is_true_false_or_absent(text, value):
    assert boolean(raw(text), "stream", default=False) is value


def test_only_stream_is_written_anew():
    # Whitespace, number spellings and escapes are the client's; a cache upstream may compare them.
    text = b'{"model":"m","n":1.50,"t":"\\u00e9","o":{ "a" : [1,  2] },"stream":false}'
    sent = streaming_body(raw(text))
    assert sent == text.replace(b"false", b"true")


def test_stream_is_added_where_it_is_missing():
    assert json.loads(streaming_body(raw('{"model": "m"}'))) == {"model": "m", "stream": True}


# -- reading --------------------------------------------------------------------------------------

BODY = json.dumps(ASK | {"model": "sim:text,words=3", "stream": True}).encode()


def chunked(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("type_", ["application/json", "application/json; charset=utf-8",
                                   "Application/JSON", "application/json;odd"])  # fmt: skip
async def test_json_is_json_whatever_is_said_beside_it(type_):
    async with served() as gateway:
        reply = await gateway.say(request("POST", "/v1/messages", BODY, content_type=type_))
        assert (reply.status, reply.types[-1]) == (200, "message_stop")


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_chunked_body_is_a_body(size):
    async with served() as gateway:
        sent = request("POST", "/v1/messages", chunked(BODY, size), "transfer-encoding: chunked")
        assert (await gateway.say(sent)).types[-1] == "message_stop"
        assert gateway.call.body == json.loads(BODY)


@pytest.mark.slow
async def test_a_request_may_come_one_byte_at_a_time():
    async with served() as gateway:
        sent = request("POST", "/v1/messages", BODY)
        reply = await gateway.say(*[bytes([byte]) for byte in sent], gap_s=0)
        assert reply.types[-1] == "message_stop"


async def test_a_body_that_is_too_large_is_refused_before_it_has_come():
    async with served(body_bytes=4096) as gateway:
        head = request("POST", "/v1/messages", None, "content-length: 1000000000",
                       "content-type: application/json")  # fmt: skip
        reply = await gateway.say(head)
        assert (reply.status, error_of(reply)[0]) == (413, "request_too_large")


async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large():
    async with served(body_bytes=4096) as gateway:
        head = request("POST", "/v1/messages", b"", "transfer-encoding: chunked")
        reply = await gateway.say(head + chunked(b"x" * 9000, 1000)[:-5])
        assert (reply.status, error_of(reply)[0]) == (413, "request_too_large")


async def test_a_chunked_body_that_is_too_large_is_refused_also_when_all_of_it_is_there():
    async with served(body_bytes=4096) as gateway:
        head = request("POST", "/v1/messages", b"", "transfer-encoding: chunked")
        reply = await gateway.say(head + chunked(b"x" * 5000, 1000))
        assert (reply.status, error_of(reply)[0]) == (413, "request_too_large")
        assert gateway.simulator.calls == []


@pytest.mark.slow
@pytest.mark.parametrize("missing", [1, len(BODY)])
async def test_a_body_that_does_not_come_is_not_waited_for(missing):
    async with served(body_s=0.3) as gateway:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reply = await gateway.say(request("POST", "/v1/messages", BODY)[:-missing])
        assert reply.status == 408
        assert "body_s=0.3" in error_of(reply)[1]
        assert loop.time() - began < 2.0
        assert gateway.simulator.calls == []


async def test_a_body_of_the_largest_size_is_taken():
    async with served(body_bytes=1 << 20) as gateway:
        fields = ASK | {"stream": True, "model": "sim:text,words=3", "system": ""}
        room = (1 << 20) - len(json.dumps(fields))
        body = json.dumps(fields | {"system": "x" * room}).encode()
        assert len(body) == 1 << 20
        assert (await gateway.say(request("POST", "/v1/messages", body))).status == 200
        body = json.dumps(fields | {"system": "x" * (room + 1)}).encode()
        assert (await gateway.say(request("POST", "/v1/messages", body))).status == 413
