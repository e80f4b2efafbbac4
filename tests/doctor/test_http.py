"""Questions as bytes, and responses read from bytes: every framing, every way to break off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalstop.doctor.announce import DoctorError
from finalstop.doctor.http import (
    HTTP_10,
    ResponseReader,
    asked_otherwise,
    make_question,
    request_bytes,
)
from finalstop.doctor.observations import Ending, Framing, Question

URL = "http://localhost:3000/stream-claude?x=1"
GET = Question("GET", URL, (("host", "localhost:3000"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


# --- questions -------------------------------------------------------------------------------

# what is given, the method, the headers that are added
MADE = [
    ({}, "GET", {"host": "localhost:3000", "accept": "text/event-stream"}),
    ({"data": b'{"a":1}'}, "POST", {"content-type": "application/json", "content-length": "7"}),
    ({"data": b"a=1"}, "POST", {"content-type": "application/x-www-form-urlencoded"}),
    ({"data": b"a", "method": "put"}, "PUT", {"content-length": "1"}),
    ({"data": b"a", "headers": [("Content-Type", " text/plain ")]}, "POST",
     {"content-type": "text/plain"}),
    ({"headers": [("Accept", "*/*"), ("X-A", "b")]}, "GET", {"accept": "*/*", "x-a": "b"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "method", "headers"), MADE)
def test_a_question_is_asked_as_a_browser_asks_it(given, method, headers):
    question = make_question(URL, **given)
    names = [name for name, _ in question.headers]
    assert question.method == method
    assert headers.items() <= dict(question.headers).items()
    assert len(names) == len(set(names))


# what is given, what the complaint names
REFUSED = [
    ({"url": "localhost:3000"}, "'localhost:3000' is not an http or https URL"),
    ({"url": "ftp://host/"}, "not an http or https URL"),
    ({"url": "http://"}, "not an http or https URL"),
    ({"url": "http://host:99999/"}, "is not a URL: Port out of range"),
    ({"url": "http://me:secret@host/"}, "give -H 'authorization"),
    ({"url": URL, "headers": [("bad name", "x")]}, "cannot be sent"),
    ({"url": URL, "headers": [("x", "a\r\nb: c")]}, "cannot be sent"),
    ({"url": URL, "headers": [("n\u00e4me", "x")]}, "cannot be sent"),
    ({"url": URL, "method": "A B"}, "cannot be sent"),
    ({"url": URL, "data": b"abc", "headers": [("content-length", "x")]}, "cannot be sent"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED)
def test_a_question_that_cannot_be_asked_is_refused(given, says):
    with pytest.raises(DoctorError) as refused:
        make_question(**given)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_path_and_query_are_kept_and_a_fragment_is_not():
    question = make_question("https://[::1]:8443/a/b?c=d#e", data=b"{}")
    head, _, body = request_bytes(question).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a/b?c=d HTTP/1.1"
    assert b"host: [::1]:8443" in [line.lower() for line in lines]
    assert body == b"{}"


def test_an_old_hop_asks_in_http_1_0():
    head = request_bytes(make_question("http://host"), version=HTTP_10)
    assert head.startswith(b"GET / HTTP/1.0\r\nConnection: close\r\n")


def test_a_proxy_is_given_the_whole_url():
    asked = request_bytes(make_question(URL), absolute=True)
    assert asked.startswith(b"GET http://localhost:3000/stream-claude?x=1 HTTP/1.1\r\n")


def test_another_method_has_the_same_credentials_and_no_body():
    question = make_question(URL, data=b"{}", headers=[("authorization", "Bearer x")])
    head = asked_otherwise(question, "HEAD", ("origin", "https://app.example"))
    headers = dict(head.headers)
    assert (head.method, head.body, head.url) == ("HEAD", b"", URL)
    assert headers["authorization"] == "Bearer x"
    assert headers["origin"] == "https://app.example"
    assert not {"content-type", "content-length"} & headers.keys()


# --- responses -------------------------------------------------------------------------------

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# name, method, bytes, framing, body, how it ends when the peer closes then
READ = [
    ("chunked", "GET", CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", Framing.CHUNKED, b"hi", Ending.WHOLE),
    ("chunked, extensions and trailers", "GET", CHUNKED + b"2;a=b\r\nhi\r\n0\r\nx: y\r\n\r\n",
     Framing.CHUNKED, b"hi", Ending.WHOLE),
    ("no last chunk", "GET", CHUNKED + b"2\r\nhi\r\n", Framing.CHUNKED, b"hi", Ending.CUT),
    ("inside a chunk", "GET", CHUNKED + b"9\r\nhi", Framing.CHUNKED, b"hi", Ending.CUT),
    ("length", "GET", OK + b"Content-Length: 2\r\n\r\nhi", Framing.LENGTH, b"hi", Ending.WHOLE),
    ("short", "GET", OK + b"Content-Length: 9\r\n\r\nhi", Framing.LENGTH, b"hi", Ending.CUT),
    ("until close", "GET", OK + b"\r\nhi", Framing.UNTIL_CLOSE, b"hi", Ending.CLOSED),
    ("http/1.0", "GET", b"HTTP/1.0 200 OK\r\n\r\nhi", Framing.UNTIL_CLOSE, b"hi", Ending.CLOSED),
    ("head", "HEAD", OK + b"Content-Length: 9\r\n\r\n", Framing.NONE, b"", Ending.WHOLE),
    ("204", "GET", b"HTTP/1.1 204 No\r\n\r\n", Framing.NONE, b"", Ending.WHOLE),
    ("after 1xx", "GET", b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
     Framing.LENGTH, b"hi", Ending.WHOLE),
]  # fmt: skip


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("method", "data", "framing", "body", "ending"),
    [row[1:] for row in READ],
    ids=[row[0] for row in READ],
)
def test_what_ends_a_body_is_told_apart_however_it_is_cut(
    step, method, data, framing, body, ending
):
    reader = ResponseReader(Question(method, URL))
    read = b"".join(reader.receive(data[i : i + step]) for i in range(0, len(data), step))
    assert read == body
    assert reader.head is not None
    assert reader.head.framing is framing
    assert reader.whole is (ending is Ending.WHOLE)
    assert reader.receive_eof()[0] is ending


def test_the_head_is_told_as_it_came():
    reader = ResponseReader(GET)
    reader.receive(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    head = reader.head
    assert head is not None
    assert (head.status, head.version) == (429, "1.1")
    assert head.headers == (("retry-after", "7"), ("x-a", "1"), ("x-a", "2"))
    assert (head.header("retry-after"), head.header("absent")) == ("7", "")


# what came before the peer closed, what is said
BEFORE_HEAD = [(b"", "before any byte"), (b"HTTP/1.1 200 OK\r\nx", "in the middle of the head")]


@pytest.mark.parametrize(("data", "says"), BEFORE_HEAD)
def test_a_connection_that_closes_before_the_head_is_cut(data, says):
    reader = ResponseReader(GET)
    if data:
        reader.receive(data)
    ending, failure = reader.receive_eof()
    assert ending is Ending.CUT
    assert says in failure


NOT_HTTP = [
    b"SSH-2.0-OpenSSH_9.7\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    CHUNKED + b"salt\r\n",
    OK + b"Content-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
]


@pytest.mark.parametrize("data", NOT_HTTP, ids=lambda data: data[:20].decode())
def test_what_is_no_http_is_said_to_be_none(data):
    reader = ResponseReader(GET)
    assert reader.receive(data) == b""
    assert reader.failure
    assert reader.receive(OK + b"\r\nhi") == b""


def test_what_came_before_the_nonsense_is_kept():
    reader = ResponseReader(GET)
    assert reader.receive(CHUNKED + b"2\r\nhi\r\nsalt\r\n") == b"hi"
    assert "chunk" in reader.failure


@given(st.lists(st.binary(max_size=60) | st.sampled_from([CHUNKED, b"2\r\nhi\r\n", OK, b"\r\n"])))
def test_whatever_comes_is_read_or_refused(pieces):
    reader = ResponseReader(GET)
    read = b"".join(reader.receive(piece) for piece in pieces)
    assert len(read) <= sum(map(len, pieces))
    ending, failure = reader.receive_eof()
    assert (ending is Ending.CUT) is bool(failure)


def test_a_host_without_a_port_is_named_alone():
    assert dict(make_question("https://api.example/x").headers)["host"] == "api.example"
