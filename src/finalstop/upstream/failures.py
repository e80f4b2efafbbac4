"""What went wrong, from aiohttp's exceptions to an end reason and one sentence.

A sentence names the place as host:port and never repeats what aiohttp's own texts may hold: a
proxy's password, the response's bytes.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Struct

from finalstop.core.endings import EndReason

_DETAIL_CHARS_MAX: Final = 160
# How aiohttp's parsers word an end of connection inside a body; everything else they say about a
# body is about its form.
_CUT: Final = "Not enough data"


class Failure(Struct, frozen=True):
    """Why an attempt, or a body, came to nothing.

    Args:
        reason: `unreachable`, `truncated` or `upstream_invalid`.
        detail: one sentence.
        unread: nothing at all was read: on a kept connection that means it was already dead.
    """

    reason: EndReason
    detail: str
    unread: bool = False


def failure_before_head(error: aiohttp.ClientError, *, where: str, connect_s: float) -> Failure:
    """Why there was no response head.

    Args:
        error: what the request raised.
        where: the upstream's host:port.
        connect_s: the bound on connecting, for the sentence.
    """
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return Failure(EndReason.UNREACHABLE, _why_unconnected(error, where, connect_s))
        case aiohttp.ClientHttpProxyError():
            detail = f"the proxy refused to connect to {where} with status {error.status}"
            return Failure(EndReason.UNREACHABLE, detail)
        case aiohttp.ClientResponseError():
            return malformed(error.message, where)
        case aiohttp.InvalidURL():
            return Failure(EndReason.UNREACHABLE, f"{where} is not an address to connect to")
        case aiohttp.ServerDisconnectedError(message=str()):
            return closed_before_head(where, unread=True)
        case aiohttp.ClientOSError() | aiohttp.ClientConnectionResetError():
            return closed_before_head(where, unread=True)
        case _:
            return closed_before_head(where, unread=False)


def failure_in_body(error: aiohttp.ClientError | HttpProcessingError, *, where: str) -> Failure:
    """Why a body broke off."""
    if isinstance(error, HttpProcessingError):
        return malformed(error.message, where)
    cause = error.__cause__
    if isinstance(cause, HttpProcessingError) and _CUT not in cause.message:
        return malformed(cause.message, where)
    return cut_in_body(where)


def cut_in_body(where: str) -> Failure:
    """The connection went before the body's own framing said that it was whole."""
    return Failure(EndReason.TRUNCATED, f"{where} closed the connection inside the response body")


def reset_at_the_end(where: str) -> Failure:
    """A body without a length, ended by a reset: no proper end, whatever HTTP/1.0 may think."""
    return Failure(EndReason.TRUNCATED, f"{where} reset the connection inside the response body")


def unconnected(error: OSError, *, where: str, connect_s: float) -> Failure:
    """Why a socket could not be connected to `where`: what the system or the TLS library says."""
    match error:
        case TimeoutError():
            detail = f"{where}: no connection within {connect_s:g} s"
        case socket.gaierror():
            detail = f"{where}: the name does not resolve"
        case ssl.SSLCertVerificationError():
            detail = f"{where}: the TLS certificate is not accepted: {_words_of(error)}"
        case ssl.SSLError():
            detail = f"{where}: the TLS handshake failed: {_words_of(error)}"
        case _:
            detail = f"{where} cannot be connected to: {_words_of(error)}"
    return Failure(EndReason.UNREACHABLE, detail)


def _why_unconnected(
    error: aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError,
    where: str,
    connect_s: float,
) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return f"{where}: no connection within {connect_s:g} s"
        case aiohttp.ClientConnectorDNSError():
            return f"{_place(error)}: the name does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return f"{_place(error)}: the TLS certificate is not accepted: {_reason(error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"{_place(error)}: the TLS handshake failed: {_reason(error)}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy at {_place(error)} cannot be connected to: {_reason(error)}"
        case _:
            return f"{_place(error)} cannot be connected to: {_reason(error)}"


def _place(error: aiohttp.ClientConnectorError) -> str:
    """Where it was that could not be reached: the upstream, or the proxy before it."""
    return f"[{error.host}]:{error.port}" if ":" in error.host else f"{error.host}:{error.port}"


def _reason(error: aiohttp.ClientConnectorError) -> str:
    return _words_of(error.os_error)


def _words_of(cause: OSError) -> str:
    text = getattr(cause, "verify_message", "") or cause.strerror or type(cause).__name__
    return text[:_DETAIL_CHARS_MAX]


def malformed(message: str, where: str) -> Failure:
    """What came is not HTTP/1.1; `message` is the parser's."""
    # After the first colon the parsers quote the response.
    what = message.partition("\n")[0].partition(":")[0][:_DETAIL_CHARS_MAX]
    return Failure(EndReason.UPSTREAM_INVALID, f"{where} sent malformed HTTP: {what}")


def closed_before_head(where: str, *, unread: bool) -> Failure:
    """The connection went before the response head had come; `unread`: before any byte of it."""
    detail = f"{where} closed the connection before the response head"
    return Failure(EndReason.TRUNCATED, detail, unread=unread)
