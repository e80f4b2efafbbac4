"""How a request is dressed; what of it reaches an upstream is in `test_http`."""

import pytest

from finalstop.upstream.contract import UpstreamRequest
from finalstop.upstream.dressing import Dresser

OURS = {"user-agent": "us/1", "accept-encoding": "identity"}

# credentials, what a client sends, what goes out beside OURS
DRESSED = [
    ({}, {}, {}),
    ({}, {"X-Api-Key": "theirs"}, {"x-api-key": "theirs"}),
    ({"X-Api-Key": "ours"}, {"x-api-key": "theirs"}, {"x-api-key": "ours"}),
    ({"x-api-key": "ours"}, {"Authorization": "Bearer theirs"}, {"x-api-key": "ours"}),
    ({}, {"User-Agent": "them/2"}, {"user-agent": "them/2"}),
    ({}, {"Accept-Encoding": "br"}, {}),
    ({}, {"connection": "close, x-hop", "x-hop": "1", "x-end": "2"}, {"x-end": "2"}),
    ({}, {"host": "elsewhere", "content-length": "9", "te": "trailers"}, {}),
    ({}, {"x-word": "\u20ac"}, {"x-word": "\u20ac"}),
]


@pytest.mark.parametrize(("credentials", "sent", "out"), DRESSED)
def test_a_get_carries_what_is_end_to_end_and_ours(credentials, sent, out):
    dresser = Dresser(credentials, "us/1")
    request = UpstreamRequest("GET", "/v1/models", sent)
    assert dresser.headers(request) == {**OURS, **out}


# method, body, the length that is stated
LENGTHS = [("GET", b"", None), ("POST", b"", "0"), ("POST", b"ab", "2"), ("GET", b"a", "1")]


@pytest.mark.parametrize(("method", "body", "length"), LENGTHS)
def test_the_length_is_stated_where_there_is_a_body_or_could_be(method, body, length):
    request = UpstreamRequest(method, "/", {}, body)
    assert Dresser({}, "us/1").headers(request).get("content-length") == length


# method, headers, what the complaint says
REFUSED = [
    ("PUT", {}, "GET or POST"),
    ("GET", {"a": "b\nc"}, "control character"),
    ("GET", {"a": "b\x7f"}, "control character"),
    ("GET", {"a:b": "c"}, "header name"),
    ("GET", {"": "c"}, "header name"),
]


@pytest.mark.parametrize(("method", "headers", "says"), REFUSED)
def test_what_could_start_another_line_is_refused(method, headers, says):
    with pytest.raises(ValueError, match=says):
        Dresser({}, "us/1").headers(UpstreamRequest(method, "/", headers))


def test_a_credential_that_is_no_header_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match="x-api-key") as caught:
        Dresser({"x-api-key": "secret\r\n"}, "us/1")
    assert "secret" not in str(caught.value)
