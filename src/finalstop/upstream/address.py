"""Where requests go: the base URL, checked once, and the join of a path to it.

Pure. Nothing in a path can change the scheme, host, port or prefix: what could is refused, not
repaired, because a repair here and another one at a proxy are how such checks are passed.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from yarl import URL

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
# RFC 3986 section 3.3 without `;` (some servers drop what follows it, so `/..;` climbs) and
# without percent-encoded dots, slashes, backslashes, percents and control characters (one decoding
# more than ours, and they climb too). A segment of dots alone climbs as it is.
_CHARACTER: Final = r"[A-Za-z0-9\-._~!$&'()*+,=:@]"
_ENCODED: Final = r"%(?![01]|2[EeFf5]|5[Cc]|7[Ff])[0-9A-Fa-f]{2}"
_SEGMENT: Final = rf"/(?!\.+(?:/|$))(?:{_CHARACTER}|{_ENCODED})+"
_PATH: Final = re.compile(rf"(?:{_SEGMENT})+/?|/")
# Printable ASCII but for the fragment's `#` and the backslash; a query cannot lead elsewhere.
_QUERY: Final = re.compile(r"[!-\"$-\[\]-~]*")


class Address(Struct, frozen=True):
    """A checked base URL. Make it with `address_of`.

    Args:
        origin: "https://api.example", without a trailing slash.
        prefix: the path before every request's path: "" or "/some/where".
        where: "host:port", for messages: it holds no credentials.
    """

    origin: str
    prefix: str
    where: str

    @property
    def host(self) -> str:
        """The value of the `host` header: without the port where that is the scheme's own."""
        return self.origin.partition("//")[2].removesuffix(f":{DEFAULT_PORTS[self.scheme]}")

    @property
    def scheme(self) -> str:
        """The scheme: http or https."""
        return self.origin.partition(":")[0]

    def join(self, target: str) -> URL:
        """The URL of a request's path and query, byte for byte as given.

        Raises:
            ValueError: `target` could lead out of the prefix, or is not plain ASCII.
        """
        # encoded=True: a second normalisation could undo the check.
        return URL(f"{self.origin}{self.target(target)}", encoded=True)

    def target(self, target: str) -> str:
        """The request target of a request's path and query: as given, after the prefix.

        Raises:
            ValueError: it could lead out of the prefix, or is not plain ASCII.
        """
        path, mark, query = target.partition("?")
        if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
            raise ValueError(
                f"the request path {target[:100]!r} is not allowed: give a path from the API's "
                "root such as '/v1/messages', with no '..', '//', ';', '#', backslash, space or "
                "encoded slash or dot"
            )
        return f"{self.prefix}{path}{mark}{query}"


def address_of(base_url: str) -> Address:
    """Check a base URL.

    Raises:
        ValueError: not http or https, or with credentials, a query, a fragment or an odd path;
            says which, and never repeats the credentials.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in DEFAULT_PORTS:
        shown = base_url.rpartition("@")[2][:100]
        raise ValueError(f"the upstream URL must begin with http:// or https://: {shown!r}")
    if "@" in parts.netloc:
        raise ValueError("the upstream URL must hold no user name or password; use `credentials`")
    if parts.query or parts.fragment or base_url.endswith(("?", "#")):
        raise ValueError(f"the upstream URL must have no query and no fragment: {base_url!r}")
    host, port = parts.hostname or "", _port(base_url)
    prefix = parts.path.rstrip("/")
    if not _HOST.fullmatch(host) or (prefix and not _PATH.fullmatch(prefix)):
        raise ValueError(f"the upstream URL needs a plain host and path: {base_url!r}")
    shown = f"[{host}]" if ":" in host else host
    where = f"{shown}:{port or DEFAULT_PORTS[parts.scheme]}"
    return Address(f"{parts.scheme}://{shown}" + (f":{port}" if port else ""), prefix, where)


def _port(base_url: str) -> int | None:
    try:
        return urlsplit(base_url).port
    except ValueError as error:
        raise ValueError(f"the upstream URL's port is not a port: {base_url!r}") from error
