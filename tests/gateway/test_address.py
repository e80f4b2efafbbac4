"""Addresses: what is this machine, and what may be asked."""

from __future__ import annotations

import pytest

from finalstop.gateway.address import check_proxy, check_upstream, is_loopback

LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"]
ELSEWHERE = [
    "0.0.0.0", "::", "", "10.0.0.1", "example.com", "localhost.example.com", "127.0.0.1.nip.io",
    "127.1", "2130706433", "0x7f.1", "[::1]", "localhost.",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_these_are_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_these_may_be_anything_else(host):
    assert not is_loopback(host)


GOOD = [
    ("https://api.anthropic.com", "api.anthropic.com"),
    ("https://gateway.example:8443/prefix/", "gateway.example"),
    ("http://127.0.0.1:8788", "127.0.0.1"),
    ("http://[::1]:8788", "::1"),
    ("http://localhost", "localhost"),
]


@pytest.mark.parametrize(("url", "host"), GOOD)
def test_a_good_upstream_is_taken(url, host):
    assert check_upstream(url).hostname == host


# url,                                what the message says
BAD = [
    ("api.anthropic.com", r"upstream=api.anthropic.com: it must be a URL"),
    ("ftp://host", "it must be a URL"),
    ("https://", "it must be a URL"),
    ("https://host:port", "it must be a URL"),
    ("https://host:99999", "it must be a URL"),
    ("https://host:0", "it must be a URL"),
    ("https://[::1", "it must be a URL"),
    ("https://ho st", "it must be a URL"),
    ("https://host\\@evil", "it must be a URL"),
    ("https://host/\r\nx: y", "it must be a URL"),
    ("https://user:secret@host", "credentials do not belong"),
    ("https://@host", "credentials do not belong"),
    ("https://host?x=secret", "a query or fragment"),
    ("https://host?", "a query or fragment"),
    ("https://host#secret", "a query or fragment"),
    ("http://host", "use https"),
    ("http://localhost.example.com", "use https"),
    ("https://host/v1", "leave out the /v1"),
    ("https://host/prefix/v1/", "leave out the /v1"),
]


@pytest.mark.parametrize(("url", "said"), BAD)
def test_a_bad_upstream_is_refused_and_says_why(url, said):
    with pytest.raises(ValueError, match=said) as refused:
        check_upstream(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://proxy:3128", "https://user:secret@proxy.example:1"])
def test_a_good_proxy_is_taken(url):
    check_proxy(url)  # raises what it does not take


@pytest.mark.parametrize("url", ["secret", "socks5://user:secret@proxy", "http://u:secret@proxy:x"])
def test_a_bad_proxy_is_refused_unrepeated(url):
    with pytest.raises(ValueError, match=r"proxy=\(hidden\): it must be a URL") as refused:
        check_proxy(url)
    assert "secret" not in str(refused.value)
