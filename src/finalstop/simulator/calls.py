"""What the simulator remembers of each call: the evidence that tests read.

No secret is kept: of an API key only that it was there, in which header, and a short digest by
which a test can tell two keys apart. This room may not know about sockets.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_SECRET_HEADERS: Final = ("x-api-key", "authorization", "proxy-authorization", "cookie")
_KEY_HEADERS: Final = ("x-api-key", "authorization")
_DIGEST_CHARS: Final = 12


class CallEnd(StrEnum):
    """How a call ended, seen from the simulator."""

    OPEN = "open"
    FINISHED = "finished"
    PEER_CLOSED = "peer-closed"
    CUT = "cut"


@dataclass(slots=True)
class Call:
    """One request and what became of it.

    `accepted_at` (the request was whole) and `ended_at` are `time.monotonic` seconds. `ended` is
    `finished` once the body's end was written, `peer-closed` when the client's FIN or RST came
    first, `cut` when the simulator broke off. `connection` counts from 1: two calls with the same
    number shared a connection. `body` is the parsed JSON, None if it was none. `bytes_sent` counts
    everything that went onto the wire, heads included.
    """

    number: int
    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: object
    key_header: str | None
    key_digest: str | None
    accepted_at: float
    spec: str = ""
    ended: CallEnd = CallEnd.OPEN
    ended_at: float | None = None
    bytes_sent: int = field(default=0)

    @property
    def key_present(self) -> bool:
        """Whether the call carried an API key."""
        return self.key_header is not None

    def end(self, how: CallEnd, *, now: float) -> None:
        """Note the end. The first one stands; later ones change nothing."""
        if self.ended is CallEnd.OPEN:
            self.ended, self.ended_at = how, now

    def as_json(self) -> dict[str, object]:
        """The record as `GET /simulator/calls` gives it."""
        fields: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"key_present": self.key_present}


def key_of(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """The header that carries an API key and the key's digest; None without a key."""
    for name in _KEY_HEADERS:
        value = headers.get(name, "")
        value = value.removeprefix("Bearer ").strip() if name == "authorization" else value.strip()
        if value:
            return name, key_digest(value)
    return None


def key_digest(key: str) -> str:
    """The digest under which a `Call` knows this API key."""
    return hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_CHARS]


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without those that carry credentials."""
    return {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
