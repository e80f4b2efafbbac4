"""Keys and prompts go where they must and nowhere else: unique words are sent through every path.

A canary that is found in a log line, an error or a header is a leak. The answer's own body may
hold what the model says, and the upstream is shown the prompt and one key: nobody else is.
"""

import io
import json
import logging
from typing import Any

import pytest

from finalstop.gateway.secret import Secret, TokenHash
from tests.gateway.served import request, served

CLIENT_KEY = "sk-ant-CANARY-of-the-client"
SERVER_KEY = "sk-ant-CANARY-of-the-server"
TOKEN = "CANARY-token-of-the-gateway"
PROMPT = "CANARY prompt about an ocean"
CANARY = b"CANARY"

SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "open": ({}, CLIENT_KEY),
    "own key": ({"api_key": Secret(SERVER_KEY)}, CLIENT_KEY),
    "tokens": ({"api_key": Secret(SERVER_KEY), "tokens": (TokenHash.of(TOKEN),)}, TOKEN),
    "wrong token": ({"api_key": Secret(SERVER_KEY), "tokens": (TokenHash.of(TOKEN),)}, CLIENT_KEY),
}
SPECS = [
    "text,words=9", "tools", "unknown-events", "status-401", "status-500", "status-502", "not-http",
    "html-200", "json-200", "redirect", "empty-200", "fin@mid-text", "rst@mid-text",
    "bad-json@mid-text", "invalid-utf8@mid-text", "error-no-body@mid-text",
    "error-unknown-type@mid-text", "huge-head,bytes=99999", "eof@before-head", "no-such-script",
]  # fmt: skip
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
ROUTES = [
    ("/v1/messages", ASK | {"stream": True}),
    ("/v1/messages", ASK),
    ("/v1/messages/count_tokens", ASK),
    ("/stream-claude", {"prompt": PROMPT}),
]
ODD = [
    b'{"prompt": "%b' % PROMPT.encode(),
    b'{"prompt": ["%b"]}' % PROMPT.encode(),
    b'{"prompt": "%b", "messages": []}' % PROMPT.encode(),
    b'{"prompt": "%b\xff"}' % PROMPT.encode(),
    b'{"%b": ' % PROMPT.encode() + b"[" * 9999,
    b'"%b"' % PROMPT.encode(),
]


@pytest.fixture
def library_log():
    """What aiohttp, asyncio and the others log by themselves."""
    kept, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(kept), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(handler)
    root.setLevel(level)


def parts_of(reply):
    """The head of an answer, and its body where it is an error of ours: no canary may be there."""
    head = reply.wire.partition(b"\r\n\r\n")[0]
    return head + (reply.body if reply.status != 200 else b"")


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
async def test_no_canary_is_seen_where_it_should_not_be(name, library_log, capfd):
    settings, key = SETTINGS[name]
    async with served(settings=settings, first_content_s=2.0) as gateway:
        for spec in SPECS:
            for path, fields in ROUTES:
                sent = json.dumps(fields).encode()
                reply = await gateway.say(
                    request("POST", path, sent, f"x-simulator: {spec}", key=key)
                )
                assert CANARY not in parts_of(reply), (spec, path)
                await receipts_are_clean(gateway, reply, key)
        log = gateway.log.getvalue()
    assert "CANARY" not in log + library_log.getvalue()
    assert "CANARY" not in "".join(capfd.readouterr())
    if name != "wrong token":
        assert log.count("stream_ended") >= len(SPECS)


async def receipts_are_clean(gateway, reply, key):
    stream = reply.headers.get("finalstop-stream-id")
    if stream is None:
        return
    for path in ("receipt", "message"):
        said = await gateway.say(request("GET", f"/streams/{stream}/{path}", key=key))
        assert CANARY not in said.wire


@pytest.mark.parametrize("path", ["/v1/messages", "/stream-claude", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("body", ODD)
async def test_what_cannot_be_read_is_not_repeated(path, body, library_log):
    async with served() as gateway:
        reply = await gateway.say(request("POST", path, body, key=CLIENT_KEY))
        assert CANARY not in reply.wire
        assert "CANARY" not in gateway.log.getvalue() + library_log.getvalue()


async def test_a_bug_of_ours_repeats_nothing(library_log, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ValueError(PROMPT)

    async with served() as gateway:
        monkeypatch.setattr("finalstop.gateway.messages.streaming_body", broken)
        monkeypatch.setattr("finalstop.runtime.intake.decode_event", broken)
        whole = await gateway.post("/v1/messages", ASK)
        streamed = await gateway.post("/v1/messages", ASK | {"stream": True})
        assert (whole.status, streamed.status) == (500, 500)
        assert CANARY not in whole.wire + streamed.wire
        assert "CANARY" not in gateway.log.getvalue() + library_log.getvalue()
