"""Requests dressed for the wire: what a client may say, what is ours to say, and the credentials.

Pure. It may not know where a request goes, or what the API means by anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from finalstop.upstream.contract import UpstreamRequest

# RFC 9110 section 7.6.1, plus what is ours to say: the host, the length, the coding, and no
# waiting for `100 Continue`, which would be silence.
_OURS_TO_SAY: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# When the server has credentials of its own, a client's never go out beside them.
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key"})

_METHODS: Final = frozenset({"GET", "POST"})
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class Dresser:
    """Dresses the requests of one upstream.

    Args:
        credentials: headers added to every request; may be empty.
        agent: the `user-agent` of requests that bring none.

    Raises:
        ValueError: a credential is no header; its value is not repeated.
    """

    def __init__(self, credentials: Mapping[str, str], agent: str) -> None:
        self._credentials: Final = {name.lower(): value for name, value in credentials.items()}
        self._agent: Final = agent
        _check_headers(self._credentials)

    def headers(self, request: UpstreamRequest) -> dict[str, str]:
        """All headers of `request` but the host, under lower-case names.

        Raises:
            ValueError: the method or a header is not allowed; says which, not its value.
        """
        if request.method not in _METHODS:
            raise ValueError(f"the method must be GET or POST, not {request.method[:20]!r}")
        given = {name.lower(): value for name, value in request.headers.items()}
        _check_headers(given)
        dropped = _OURS_TO_SAY
        if "connection" in given:
            dropped |= {name.strip().lower() for name in given["connection"].split(",")}
        if self._credentials:
            dropped |= _CREDENTIALS
        headers = {"user-agent": self._agent}
        headers.update({name: value for name, value in given.items() if name not in dropped})
        headers.update(self._credentials)
        headers["accept-encoding"] = "identity"
        if request.body or request.method == "POST":
            headers["content-length"] = str(len(request.body))
        return headers


def _check_headers(headers: Mapping[str, str]) -> None:
    """RFC 9110 section 5: what could start a new line must not go out. No value is repeated."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is not a header name")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of header {name!r} holds a control character")
