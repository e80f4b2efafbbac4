"""Reading requests: whole, in pieces, chunked, and refused."""

import pytest

from finalstop.simulator import requests
from finalstop.simulator.requests import BadRequest, RequestReader

PLAIN = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ntrue"
CHUNKED = (
    b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2;x=y\r\ntr\r\n2\r\nue\r\n0\r\ntrailer: 1\r\n\r\n"
)


@pytest.mark.parametrize("wire", [PLAIN, CHUNKED])
def test_how_a_request_is_split_does_not_matter(wire):
    for size in (1, 3, len(wire)):
        reader, found = RequestReader(), []
        for at in range(0, len(wire), size):
            reader.feed(wire[at : at + size])
            if request := reader.next_request():
                found.append(request)
        assert [request.json() for request in found] == [True]
        assert not reader.pending


def test_the_query_is_dropped_and_header_names_are_lower_case():
    reader = RequestReader()
    reader.feed(PLAIN)
    request = reader.next_request()
    assert request is not None
    assert (request.method, request.path, request.headers["host"]) == ("POST", "/v1/messages", "x")


def test_two_requests_in_one_read_are_two():
    reader = RequestReader()
    reader.feed(PLAIN + CHUNKED)
    first = reader.next_request()
    assert reader.pending
    second = reader.next_request()
    assert first is not None
    assert second is not None
    assert (first.path, second.path) == ("/v1/messages", "/a")
    assert reader.next_request() is None


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "close", False),
        ("1.0", "", False),
        ("1.0", "keep-alive", True),
    ],
)
def test_the_client_says_whether_it_will_come_back(version, connection, kept):
    reader = RequestReader()
    reader.feed(f"GET / HTTP/{version}\r\nconnection: {connection}\r\n\r\n".encode())
    request = reader.next_request()
    assert request is not None
    assert request.keep_alive is kept


@pytest.mark.parametrize(
    ("wire", "status", "says"),
    [
        (b"hello\r\n\r\n", 400, "request line"),
        (b"GET / SPDY/3\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400, "header line"),
        (b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400, "content-length"),
        (b"GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413, "over"),
        (b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400, "chunk size"),
        (b"GET / HTTP/1.1\r\n" + b"x" * 70_000, 431, "head over"),
        (b"GET / HTTP/1.1\r\na: " + b"x" * 70_000 + b"\r\n\r\n", 431, "head over"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_status(wire, status, says):
    reader = RequestReader()
    reader.feed(wire)
    with pytest.raises(BadRequest, match=says) as refused:
        reader.next_request()
    assert refused.value.status == status


def test_a_chunked_body_is_bounded_too(monkeypatch):
    monkeypatch.setattr(requests, "BODY_BYTES_MAX", 10)
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n40\r\n" + b"x" * 30)
    with pytest.raises(BadRequest, match="over 10 bytes"):
        reader.next_request()


def test_a_body_that_is_no_json_is_none():
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{]")
    request = reader.next_request()
    assert request is not None
    assert request.json() is None


def test_a_client_that_waits_to_be_asked_is_known():
    reader = RequestReader()
    assert not reader.awaits_continue
    reader.feed(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
    assert reader.next_request() is None
    assert reader.awaits_continue
