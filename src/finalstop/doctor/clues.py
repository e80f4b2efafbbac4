"""What a refusal tells about how to ask instead: a redirect, a WebSocket, the other scheme.

Each clue is a sentence that follows the evidence, "" where there is none. It may not judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin, urlsplit

from finalstop.doctor.masking import safe_url
from finalstop.doctor.observations import Ending, Exchange
from finalstop.doctor.wording import visible

_PLAIN_TO_TLS: Final = (
    "plain http request was sent to https port",
    "client sent an http request to an https server",
    "speaking plain http to an ssl-enabled server port",
    "this combination of host and port requires tls",
)
_NO_TLS: Final = ("within", "wrong_version", "record_layer", "packet_length", "http_request")


def clue_of(exchange: Exchange) -> str:
    """`; ` and what to do, or "". For an exchange that brought no answer."""
    said = next((said for look in _CLUES if (said := look(exchange))), "")
    return f"; {said}" if said else ""


def _websocket(it: Exchange) -> str:
    if it.status != 426:
        return ""
    wanted = visible(it.header("upgrade")) or "another protocol"
    return f"it wants {wanted}, which is not examined: ask an address that streams over HTTP"


def _redirect(it: Exchange) -> str:
    to = it.header("location")
    if it.status not in {301, 302, 303, 307, 308} or not to:
        return ""
    try:
        to = urljoin(it.question.url, to)
    except ValueError:
        return f"it redirects to {visible(to)}, which is no URL"
    return f"it redirects to {safe_url(to)}: examine that address"


def _other_scheme(it: Exchange) -> str:
    parts = urlsplit(it.question.url)
    if parts.scheme == "http":
        secure = safe_url(f"https{it.question.url[4:]}")
        said = it.body[:4096].decode("utf-8", "replace").lower()
        if any(words in said for words in _PLAIN_TO_TLS):
            return f"this port speaks TLS: ask {secure}"
        if it.ending is Ending.NOT_HTTP and it.status is None:
            return f"if this port speaks TLS, ask {secure}"
    if parts.scheme == "https" and it.ending is Ending.NO_CONNECTION and _may_be_plain(it):
        plain = safe_url(f"http{it.question.url[5:]}")
        return f"TLS was not answered: if the port speaks plain HTTP, ask {plain}"
    return ""


def _may_be_plain(it: Exchange) -> bool:
    """A name that is unknown, a refusal, a bad certificate: those say themselves what is wrong."""
    said = it.failure.lower()
    return any(words in said for words in _NO_TLS)


def _refusal(it: Exchange) -> str:
    if it.status in {401, 403}:
        return "give what it wants to see, e.g. -H 'authorization: Bearer ...'"
    if it.status == 405 and it.header("allow"):
        return f"it allows {visible(it.header('allow'))}: choose with -X, give a body with -d"
    return ""


_CLUES: Final[tuple[Callable[[Exchange], str], ...]] = (
    _websocket,
    _redirect,
    _other_scheme,
    _refusal,
)
