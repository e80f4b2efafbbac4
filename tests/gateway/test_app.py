"""The application: the routes it lists, its health, and who may call it from a browser."""

import pytest

from finalstop.core.limits import Limits
from finalstop.gateway.app import ROUTES
from tests.gateway.served import error_of, request, served


async def test_the_index_lists_every_route():
    async with served() as gateway:
        listed = (await gateway.get("/")).json["routes"]
        assert [(it["method"], it["path"]) for it in listed] == [(m, p) for m, p, *_ in ROUTES]
        assert all(it["is"] for it in listed)


async def test_a_gateway_that_runs_is_healthy_and_ready():
    async with served() as gateway:
        assert (await gateway.get("/healthz")).json == {"status": "ok"}
        assert (await gateway.get("/readyz")).json == {"status": "ready", "live_streams": 0}


async def test_a_gateway_that_drains_is_healthy_and_not_ready():
    async with served() as gateway:
        await gateway.relay.drain()
        assert (await gateway.get("/healthz")).status == 200
        ready = await gateway.get("/readyz")
        assert (ready.status, ready.json["status"]) == (503, "draining")


# the Host header, the Origin header, the status of GET /healthz, of a POST
PAGES = [
    ("127.0.0.1:8787", None, 200, 400),
    ("localhost", None, 200, 400),
    ("[::1]:80", None, 200, 400),
    ("evil.example", None, 421, 421),
    ("127.0.0.1.evil.example", None, 421, 421),
    ("127.0.0.1", "http://127.0.0.1", 200, 400),
    ("127.0.0.1", "http://evil.example", 200, 403),
    ("127.0.0.1", "null", 200, 403),
]


@pytest.mark.parametrize(("host", "origin", "read", "written"), PAGES)
async def test_a_hostile_page_gets_nowhere(host, origin, read, written):
    headers = [f"origin: {origin}"] if origin else []
    get = request("GET", "/healthz", None, *headers).replace(b"127.0.0.1", host.encode(), 1)
    post = request("POST", "/v1/messages", b"{", *headers).replace(b"127.0.0.1", host.encode(), 1)
    async with served() as gateway:
        assert (await gateway.say(get)).status == read
        refused = await gateway.say(post)
        assert refused.status == written
        assert error_of(refused)[0] in {"invalid_request_error", "permission_error"}


async def test_the_body_limit_is_the_configured_one():
    async with served(body_bytes=2048) as gateway:
        reply = await gateway.say(request("POST", "/v1/messages", b"[" + b"1," * 2000 + b"1]"))
        assert reply.status == 413
        assert Limits().body_bytes > 2048


# what is asked, the status
ANSWERS = [
    (request("GET", "/healthz"), 200),
    (request("GET", "/nothing"), 404),
    (request("DELETE", "/healthz"), 405),
    (request("GET", "/healthz").replace(b"127.0.0.1", b"evil.example"), 421),
    (request("POST", "/stream-claude", b'{"prompt": "x"}', "x-simulator: text,words=3"), 200),
    (request("POST", "/v1/messages", b"{"), 400),
    (b"BREW / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
]


@pytest.mark.parametrize(("sent", "status"), ANSWERS)
async def test_no_answer_tells_what_the_server_is_made_of(sent, status):
    async with served() as gateway:
        reply = await gateway.say(sent)
        assert reply.status == status
        assert reply.headers["server"] == "finalstop"
