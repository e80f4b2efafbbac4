"""Which addresses are ours to use: loopback or not, and what an upstream's URL may be.

Pure: nothing here resolves a name or opens a socket. A message never repeats a URL whole, because
people put passwords into URLs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


# Asked for every request, of the same few names; bounded, because clients choose some of them.
@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, whatever a resolver may say."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_upstream(url: str) -> SplitResult:
    """The parts of a usable upstream URL.

    Raises:
        ValueError: it is not one; the message says what is wrong, without its credentials.
    """
    parts = _split(url, "upstream")
    if parts.username is not None or parts.password is not None:
        raise ValueError("upstream: credentials do not belong in its URL; set api_key instead")
    if "?" in url or "#" in url:
        raise ValueError(f"upstream={parts.hostname}: a query or fragment cannot be part of it")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"upstream={url}: the key and the prompts would travel in the clear; use https "
            "(http is for this machine only)"
        )
    if re.search(r"/v1/?$", parts.path):
        raise ValueError(f"upstream={url}: leave out the /v1, it is part of every request's path")
    return parts


def check_proxy(url: str) -> None:
    """Refuse what cannot be a proxy's URL; it may hold credentials.

    Raises:
        ValueError: the message does not repeat the URL.
    """
    _split(url, "proxy")


def _split(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        is_good = False
    if not is_good or not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        # What cannot be taken apart may hold a password anywhere.
        shown = "(hidden)" if name == "proxy" or re.search(r"[@?]", url) else url
        raise ValueError(f"{name}={shown}: it must be a URL like https://host[:port][/prefix]")
    return parts
