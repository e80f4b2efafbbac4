"""From aiohttp's exceptions to an end reason; each is made as aiohttp makes it."""

import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import (
    BadHttpMessage,
    ContentLengthError,
    LineTooLong,
    TransferEncodingError,
)

from finalstop.core.endings import EndReason
from finalstop.upstream.failures import failure_before_head, failure_in_body, reset_at_the_end

WHERE = "api.example:443"
KEY = ConnectionKey("api.example", 443, True, True, None, None, None)
KEY6 = KEY._replace(host="::1", port=80)
INFO = aiohttp.RequestInfo("http://x", "POST", {}, "http://x")  # type: ignore[arg-type]
REFUSED = ConnectionRefusedError(111, "Connection refused")
UNTRUSTED = ssl.SSLCertVerificationError(1, "long text")
UNTRUSTED.verify_message = "self-signed certificate"

UNREACHABLE = EndReason.UNREACHABLE
TRUNCATED, INVALID = EndReason.TRUNCATED, EndReason.UPSTREAM_INVALID

HALF_A_HEAD: Any = object()


def response_error(message):
    return aiohttp.ClientResponseError(INFO, (), status=400, message=message)


def proxy_error():
    return aiohttp.ClientHttpProxyError(INFO, (), status=403, message="secret")


# error, reason, the detail, unread
BEFORE = [
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), UNREACHABLE,
     "api.example:443: the name does not resolve", False),
    (aiohttp.ClientConnectorError(KEY, REFUSED), UNREACHABLE,
     "api.example:443 cannot be connected to: Connection refused", False),
    (aiohttp.ClientConnectorError(KEY6, OSError()), UNREACHABLE,
     "[::1]:80 cannot be connected to: OSError", False),
    (aiohttp.ClientConnectorCertificateError(KEY, UNTRUSTED), UNREACHABLE,
     "api.example:443: the TLS certificate is not accepted: self-signed certificate", False),
    (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), UNREACHABLE,
     "api.example:443: the TLS handshake failed: wrong version", False),
    (aiohttp.ClientProxyConnectionError(KEY, REFUSED), UNREACHABLE,
     "the proxy at api.example:443 cannot be connected to: Connection refused", False),
    (aiohttp.ConnectionTimeoutError("..."), UNREACHABLE,
     "api.example:443: no connection within 5 s", False),
    (proxy_error(), UNREACHABLE,
     "the proxy refused to connect to api.example:443 with status 403", False),
    (aiohttp.InvalidURL("http://127.1/"), UNREACHABLE,
     "api.example:443 is not an address to connect to", False),
    (response_error("Bad status line:\n  b'secret'"), INVALID,
     "api.example:443 sent malformed HTTP: Bad status line", False),
    (aiohttp.ServerDisconnectedError(), TRUNCATED,
     "api.example:443 closed the connection before the response head", True),
    (aiohttp.ServerDisconnectedError(HALF_A_HEAD), TRUNCATED,
     "api.example:443 closed the connection before the response head", False),
    (aiohttp.ClientOSError(104, "reset"), TRUNCATED,
     "api.example:443 closed the connection before the response head", True),
    (aiohttp.ClientConnectionResetError("closing"), TRUNCATED,
     "api.example:443 closed the connection before the response head", True),
    (aiohttp.ClientConnectionError("?"), TRUNCATED,
     "api.example:443 closed the connection before the response head", False),
]  # fmt: skip


@pytest.mark.parametrize(("error", "reason", "detail", "unread"), BEFORE)
def test_before_the_head_every_error_has_its_reason(error, reason, detail, unread):
    failure = failure_before_head(error, where=WHERE, connect_s=5.0)
    assert (failure.reason, failure.detail, failure.unread) == (reason, detail, unread)


def caused(cause):
    error = aiohttp.ClientPayloadError("not completed")
    error.__cause__ = cause
    return error


CUT = "api.example:443 closed the connection inside the response body"
# error, reason, the detail
IN_BODY = [
    (caused(ContentLengthError("Not enough data to satisfy content length header.")),
     TRUNCATED, CUT),
    (caused(TransferEncodingError("Not enough data to satisfy transfer length header.")),
     TRUNCATED, CUT),
    (caused(None), TRUNCATED, CUT),
    (aiohttp.ClientOSError(104, "reset"), TRUNCATED, CUT),
    (aiohttp.ServerDisconnectedError(), TRUNCATED, CUT),
    (caused(TransferEncodingError("zz")), INVALID, "api.example:443 sent malformed HTTP: zz"),
    (BadHttpMessage("Invalid character in chunk size:\n\n b'secret'"), INVALID,
     "api.example:443 sent malformed HTTP: Invalid character in chunk size"),
    (LineTooLong(b"secret", 10), INVALID,
     "api.example:443 sent malformed HTTP: Got more than 10 bytes when reading"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "reason", "detail"), IN_BODY)
def test_inside_the_body_every_error_has_its_reason(error, reason, detail):
    failure = failure_in_body(error, where=WHERE)
    assert (failure.reason, failure.detail) == (reason, detail)


def test_a_reset_is_no_proper_end():
    assert reset_at_the_end(WHERE).reason is TRUNCATED
