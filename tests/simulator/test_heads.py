"""Faults of the head: a status, a wrong label, or no HTTP at all."""

import json

import pytest

from finalstop.simulator.heads import HEADS
from tests.simulator.rawclient import played

# spec -> status, error type (or a piece of the body), a header with its value
ROWS = [
    ("status-400", 400, "invalid_request_error", None),
    ("status-401", 401, "authentication_error", None),
    ("status-402", 402, "billing_error", None),
    ("status-403", 403, "permission_error", None),
    ("status-404", 404, "not_found_error", None),
    ("status-408", 408, "timeout_error", None),
    ("status-409", 409, "conflict_error", None),
    ("status-413", 413, "request_too_large", None),
    ("status-422", 422, "invalid_request_error", None),
    ("status-429", 429, "rate_limit_error", ("retry-after", "1")),
    ("status-429,retry_after=9", 429, "rate_limit_error", ("retry-after", "9")),
    ("status-429-spend", 429, "rate_limit_error", ("x-should-retry", "false")),
    ("status-500", 500, "api_error", None),
    ("status-502", 502, "<h1>502 Bad Gateway</h1>", ("content-type", "text/html")),
    ("status-503,retry_after=3", 503, "503 Service", ("retry-after", "3")),
    ("status-504", 504, "timeout_error", None),
    ("status-529", 529, "overloaded_error", None),
    ("redirect", 307, "", ("location", "/v1/elsewhere")),
    ("html-200", 200, "<h1>200 OK</h1>", ("content-type", "text/html")),
    ("empty-200", 200, "", ("content-type", "text/event-stream; charset=utf-8")),
    ("json-200", 200, '"type":"message"', ("content-type", "application/json")),
    ("no-content-204", 204, "", None),
    ("wrong-content-type", 200, "message_stop", ("content-type", "application/octet-stream")),
    ("unknown-encoding", 200, "message_stop", ("content-encoding", "br")),
]


@pytest.mark.parametrize(("spec", "status", "content", "header"), ROWS)
async def test_the_head_says_what_the_row_says(spec, status, content, header):
    reply = await played(spec)
    assert reply.status == status
    assert reply.ended == "whole"
    assert content in reply.body.decode()
    if header:
        assert reply.headers[header[0]] == header[1]


def test_no_head_fault_is_untested():
    hang = {"status-stall", "huge-head", "not-http", "no-head"}
    assert {row[0].partition(",")[0] for row in ROWS} | hang == set(HEADS)


@pytest.mark.parametrize("spec", [row[0] for row in ROWS if row[2].endswith("_error")])
async def test_errors_are_shaped_as_the_api_shapes_them(spec):
    reply = await played(spec)
    value = json.loads(reply.body)
    assert value["type"] == "error"
    assert set(value["error"]) == {"type", "message"}
    assert value["request_id"] == reply.headers["request-id"]


async def test_a_spend_limit_names_no_time_to_come_back():
    assert "retry-after" not in (await played("status-429-spend")).headers


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("spec", [row[0] for row in ROWS])
async def test_a_head_fault_strikes_streams_and_other_answers_alike(spec, stream):
    assert (await played(spec, stream=stream)).status == (await played(spec)).status


async def test_a_stalled_status_promises_a_body_and_gives_none():
    reply = await played("status-stall,hold_s=0")
    assert (reply.status, reply.headers["content-length"], reply.body) == (500, "120", b"")
    assert reply.ended == "eof"


@pytest.mark.parametrize(("spec", "least"), [("", 1 << 20), (",bytes=5000", 5000)])
async def test_a_huge_head_is_as_huge_as_asked(spec, least):
    reply = await played(f"huge-head,hold_s=0{spec}")
    assert len(reply.wire) >= least
    assert max(len(line) for line in reply.wire.split(b"\r\n")) < 2000


async def test_what_is_not_http_does_not_begin_like_it():
    assert (await played("not-http,hold_s=0")).wire.startswith(b"220 ")
    assert (await played("no-head,hold_s=0")).wire == b""
