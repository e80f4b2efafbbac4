"""Whatever a path holds, the request goes where the configuration says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.upstream.address import address_of

BASE = address_of("https://api.example:8443/some/where")

GOOD_PATHS = [
    "/", "/v1/messages", "/v1/messages?beta=true", "/v1/models?limit=2&after_id=a%20b",
    "/v1/models/claude-sonnet-5", "/v1/files/", "/v1/a.b/c..d/...e", "/v1/%41bc", "/v1/x?",
    "/v1/x?a=/../b&c=//d&e=http://evil", "/v1/a:b@c",
]  # fmt: skip


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_a_plain_path_is_joined_byte_for_byte(path):
    url = BASE.join(path)
    assert url.raw_path_qs.rstrip("?") == "/some/where" + path.rstrip("?")
    assert (url.scheme, url.host, url.port) == ("https", "api.example", 8443)


BAD_PATHS = [
    "", "v1/messages", "//evil", "//evil/v1", "/v1//x", "http://evil/", "https://evil", "@evil",
    "/..", "/../x", "/v1/..", "/v1/../x", "/v1/.", "/./v1", "/.../x", "/v1/%2e%2e/x", "/%2E./x",
    "/v1/.%2e", "/v1%2fx", "/v1%2Fx", "/v1%5c..", "/v1%5C", "/v1/%25", "/v1/%252e%252e/x",
    "/v1\\x", "\\\\evil", "/\\evil", "/v1/x?a\\b", "/v1 x", "/v1\tx", "/v1\nx", "/v1\r\nx: y",
    "/v1/x\n", "/v1/x?\n", "/v1/x?a b", "/v1\x00", "/v1%00", "/v1%0d%0a", "/v1/%7f", "/v1\x7f",
    "/v1#x", "/v1?x#y", "/v1/..;/x", "/v1;x", "/v1/%", "/v1/%4", "/v1/%zz", "/v1/\u00e9",
    "/v1?\u00e9", "/v1/\u2025/x", "/v1/\uff0e\uff0e/x",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(ValueError, match="is not allowed"):
        BASE.join(path)


@settings(max_examples=40)
@given(st.text(st.sampled_from("/.\\%2eEfF5c?#@:;a \r\n\0\u2025"), max_size=12))
def test_no_path_changes_the_place_or_leaves_the_prefix(path):
    try:
        url = BASE.join(path)
    except ValueError:
        return
    assert (url.scheme, url.host, url.port) == ("https", "api.example", 8443)
    assert url.raw_path.startswith("/some/where/")
    assert ".." not in url.path.split("/")
    assert "\\" not in url.path


# base URL, origin, prefix, where
BASES = [
    ("https://api.example", "https://api.example", "", "api.example:443"),
    ("https://api.example/", "https://api.example", "", "api.example:443"),
    ("http://127.0.0.1:8787", "http://127.0.0.1:8787", "", "127.0.0.1:8787"),
    ("http://[::1]:8787/x", "http://[::1]:8787", "/x", "[::1]:8787"),
    ("HTTPS://API.example/a/b/", "https://api.example", "/a/b", "api.example:443"),
    ("http://my_host-1.internal", "http://my_host-1.internal", "", "my_host-1.internal:80"),
]


@pytest.mark.parametrize(("base_url", "origin", "prefix", "where"), BASES)
def test_a_base_url_is_taken_apart(base_url, origin, prefix, where):
    address = address_of(base_url)
    assert (address.origin, address.prefix, address.where) == (origin, prefix, where)


# base URL, what the complaint says
BAD_BASES = [
    ("api.example", "must begin with http"),
    ("ftp://api.example", "must begin with http"),
    ("", "must begin with http"),
    ("https://me:secret@api.example", "no user name or password"),
    ("https://api.example?x=1", "no query"),
    ("https://api.example/?", "no query"),
    ("https://api.example#x", "no fragment"),
    ("https://api.example#", "no fragment"),
    ("https://", "plain host"),
    ("https://:443", "plain host"),
    ("https://api.example/a/../b", "plain host and path"),
    ("https://api.example/a b", "plain host and path"),
    ("https://api.\u00e9xample", "plain host"),
    ("https://api.example:port", "not a port"),
    ("https://api.example:99999", "not a port"),
]


@pytest.mark.parametrize(("base_url", "says"), BAD_BASES)
def test_a_base_url_that_says_more_than_a_place_is_refused(base_url, says):
    with pytest.raises(ValueError, match=says) as caught:
        address_of(base_url)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_repeated_even_where_the_scheme_is_wrong():
    with pytest.raises(ValueError, match="must begin with http") as caught:
        address_of("ftp://me:secret@api.example")
    assert "secret" not in str(caught.value)
