"""Who may come in, as whom, and what of a request's headers goes on to the upstream.

Pure functions over headers. Everything about credentials is decided here, once: no handler looks
at `x-api-key` or `Authorization` by itself. Messages never repeat what a client presented.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct
from multidict import MultiMapping

from finalstop.gateway.address import is_loopback
from finalstop.gateway.config import Settings
from finalstop.gateway.secret import Secret, TokenHash

# Case-insensitive, as a request's are.
Headers = MultiMapping[str]

API_VERSION: Final = "2023-06-01"
# The embedded simulator wants a key as the API does; a real one is never shown to it.
SIMULATOR_KEY: Final = "sk-ant-simulator"

# What of a request's headers goes upstream, and why. Whatever is not here stays here.
FORWARDED: Final[Mapping[str, str]] = {
    "anthropic-version": "the client's SDK was written for one version of the API",
    "anthropic-beta": "it turns on what the client asks for",
    "anthropic-*": "the API's own name space: a new header must not wait for a new gateway",
    "content-type": "it describes the body, which goes on as it came",
    "x-simulator": "it tells the simulator what to play; the API ignores it",
}
# What does not, where somebody may wonder. The rule is the list above; these only explain it.
WITHHELD: Final[Mapping[str, str]] = {
    "authorization, x-api-key": "credentials go through `Gatekeeper.admit` and nowhere else",
    "cookie": "it belongs to the page that the browser shows, not to the API",
    "host, connection and other hop-by-hop headers": "they describe this hop",
    "x-forwarded-*, forwarded, via": "who our clients are is none of the upstream's business",
    "user-agent, x-stainless-*": "they describe the client's machine; we say who we are",
    "accept, accept-encoding": "the gateway reads the answer itself and asks for what it reads",
}

_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{0,5})?")
_READS_ONLY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class AuthError(Exception):
    """A request that is not let in; the message says what was wrong and what to do.

    Args:
        status: the HTTP status to answer with.
        type: the API's `error.type`.
        message: for a person; holds nothing that the client presented.
    """

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message

    @property
    def headers(self) -> Mapping[str, str]:
        """Further response headers: a 401 names its scheme (RFC 9110, section 15.5.2)."""
        return {"www-authenticate": 'Bearer realm="finalstop"'} if self.status == 401 else {}


class Credential(Struct, frozen=True):
    """What a client presented, and in which header."""

    header: Literal["x-api-key", "authorization"]
    secret: Secret

    def as_headers(self) -> dict[str, str]:
        """The header as it came, to be sent on."""
        text = self.secret.reveal()
        return {self.header: text if self.header == "x-api-key" else f"Bearer {text}"}

    @property
    def hash(self) -> TokenHash:
        """What is compared and kept instead of the credential."""
        return TokenHash.of(self.secret.reveal())


class Admission(Struct, frozen=True):
    """A request that is let in.

    Args:
        principal: who it is, as a hash; None where nobody has to say. Streams belong to it.
        upstream_headers: the credential to send upstream. Not for any log.
    """

    principal: str | None
    upstream_headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Admission(principal={self.principal!r}, upstream_headers=(hidden))"


class Gatekeeper:
    """Decides about each request. Make one per gateway; it holds no state."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own_key = _own_key(settings)
        self._tokens = frozenset(settings.tokens)

    def check_host(self, method: str, headers: Headers) -> None:
        """Refuse what a page in somebody's browser may have sent; call it before `admit`.

        Raises:
            AuthError: 421 for a foreign Host, 403 for a foreign Origin.
        """
        if not host_allowed(headers, self._settings):
            raise AuthError(
                421,
                "invalid_request_error",
                "the Host header names another server than this gateway; call it by its loopback "
                "address, or add the name to allowed_hosts (FINALSTOP_ALLOWED_HOSTS)",
            )
        if method.upper() not in _READS_ONLY and not origin_allowed(headers, self._settings):
            raise AuthError(
                403,
                "permission_error",
                "a page of another origin may not use this gateway, which asks nobody for a "
                "token; configure gateway tokens, or call it from a server",
            )

    def own_headers(self) -> Mapping[str, str]:
        """What to present upstream for a call of the gateway's own, e.g. `finalstop ask`.

        Raises:
            AuthError: 401: it has no key of its own.
        """
        if self._own_key is None:
            raise _unauthenticated("there is no API key of its own: set ANTHROPIC_API_KEY")
        return {"x-api-key": self._own_key.reveal()}

    def admit(self, headers: Headers) -> Admission:
        """Let a request in, with what to present upstream on its behalf.

        With gateway tokens a client shows one of them; with a key of our own and no tokens
        anybody may come; with neither the client's own credential is sent on as it came. In the
        first two cases nothing that a client presented ever leaves this process.

        Raises:
            AuthError: 401 for a missing, malformed or unknown credential, 400 for two.
        """
        if self._own_key is not None and not self._tokens:
            return Admission(None, self.own_headers())
        credential = credential_of(headers)
        if credential is None:
            raise _unauthenticated(
                "send a gateway token as x-api-key or Authorization: Bearer"
                if self._tokens
                else "this gateway has no API key of its own: send yours as x-api-key or "
                "Authorization: Bearer, or set ANTHROPIC_API_KEY where the gateway runs"
            )
        shown = credential.hash
        principal = shown.digest.hex()
        if not self._tokens:
            return Admission(principal, credential.as_headers())
        if not self._is_known(shown):
            raise _unauthenticated("this gateway does not know the token; ask its operator for one")
        return Admission(principal, self.own_headers())

    def _is_known(self, shown: TokenHash) -> bool:
        # Every token is compared, so that the time taken does not tell which one was near.
        known = False
        for token in self._tokens:
            known |= hmac.compare_digest(token.digest, shown.digest)
        return known


def credential_of(headers: Headers) -> Credential | None:
    """The one credential that a request presents; None where it presents none.

    Raises:
        AuthError: 401 for a malformed one, 400 for two that differ (the same one twice is one).
    """
    found = [_api_key(value) for value in headers.getall("x-api-key", ())]
    found += [_bearer(value) for value in headers.getall("authorization", ())]
    if len(found) > 1 and len({credential.hash for credential in found}) > 1:
        raise AuthError(
            400,
            "invalid_request_error",
            "the request presents two different credentials; send either x-api-key or "
            "Authorization: Bearer (an SDK sends both when both are configured)",
        )
    return found[0] if found else None


def host_allowed(headers: Headers, settings: Settings) -> bool:
    """Whether the Host header names this gateway.

    A page whose name was made to resolve to 127.0.0.1 (DNS rebinding) still says its own name
    here. On a loopback bind the loopback names and `allowed_hosts` are good; elsewhere any name
    is, unless `allowed_hosts` lists some. No Host at all (HTTP/1.0) is no browser.
    """
    listed = settings.allowed_hosts
    if not settings.is_local and not listed:
        return True
    return all(_names_us(value, listed) for value in headers.getall("host", ()))


def origin_allowed(headers: Headers, settings: Settings) -> bool:
    """Whether a request that changes something may come from where its browser says.

    Where tokens are asked for they decide, and so they do for a bind that others can reach. No
    Origin is no browser; our own is the one whose authority is the Host header's.
    """
    origins = headers.getall("origin", ())
    if not origins or settings.tokens or not settings.is_local:
        return True
    hosts = {value.lower() for value in headers.getall("host", ())}
    return all(_authority(origin) in hosts for origin in origins)


def forwarded_headers(headers: Headers) -> dict[str, str]:
    """The request headers that go upstream (see `FORWARDED`), under lower-case names.

    Several of one name are joined, as HTTP allows. `anthropic-version` is always there.

    Raises:
        AuthError: 400: one of them holds what a header may not.
    """
    forwarded: dict[str, str] = {}
    for key, value in headers.items():
        name = key.lower()
        if name not in FORWARDED and not name.startswith("anthropic-"):
            continue
        if not (value.isascii() and value.isprintable()):
            raise AuthError(
                400,
                "invalid_request_error",
                f"the header {name} holds control or non-ASCII characters",
            )
        forwarded[name] = f"{forwarded[name]}, {value}" if name in forwarded else value
    forwarded.setdefault("anthropic-version", API_VERSION)
    return forwarded


def _own_key(settings: Settings) -> Secret | None:
    return Secret(SIMULATOR_KEY) if settings.is_simulated else settings.api_key


def _api_key(value: str) -> Credential:
    return Credential("x-api-key", _presented(value.strip(), "x-api-key"))


def _bearer(value: str) -> Credential:
    scheme, _, text = value.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthenticated("Authorization must be `Bearer <token>`")
    return Credential("authorization", _presented(text.strip(), "Authorization"))


def _presented(text: str, header: str) -> Secret:
    try:
        return Secret(text)
    except ValueError:
        raise _unauthenticated(f"{header} is empty, or holds what a credential cannot") from None


def _unauthenticated(message: str) -> AuthError:
    return AuthError(401, "authentication_error", message)


# Asked for every request, of the same few values; bounded, because clients choose some of them.
@lru_cache(maxsize=64)
def _names_us(value: str, listed: tuple[str, ...]) -> bool:
    """Whether a Host header names this machine, or what is listed."""
    name = _host_name(value)
    return bool(name) and (is_loopback(name) or name in {it.lower() for it in listed})


def _host_name(value: str) -> str:
    """The host of `host[:port]`, lower-case, without brackets; empty if it is neither."""
    found = _HOST.fullmatch(value.lower())
    return (found[1] or found[2]) if found else ""


def _authority(origin: str) -> str:
    """`host[:port]` of an http(s) origin; empty for `null` and for whatever is no web page."""
    scheme, _, authority = origin.lower().partition("://")
    return authority if scheme in {"http", "https"} else ""
