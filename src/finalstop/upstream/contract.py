"""The seam to the upstream: a request in, chunks pushed into a sink.

An `Upstream` owns connections: the pool, the bounded drain after the last byte that matters, the
retries before the first one. It does not know what the bytes mean. A `Sink` (the producer) does.

The order of calls on a sink, for one request:

    connected? written? ( responded data* (eof | failed) | refused | failed )

`connected` and `written` may repeat when an attempt is retried. After the first of `eof`,
`refused` and `failed`, and after `Call.release` or `Call.cancel`, the sink hears nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct

from finalstop.core.endings import EndReason

# Of an upstream's response headers: what its clients read. Hop-by-hop ones, cookies and whatever
# describes the upstream's own body are not ours to repeat.
PASSED_PREFIXES: Final = ("anthropic-",)
PASSED: Final = frozenset({"request-id", "retry-after", "retry-after-ms"})


class UpstreamRequest(Struct, frozen=True):
    """What to ask. The host is not here: it is the upstream's configuration, never a client's.

    Args:
        method: "POST" or "GET".
        path: from the API's root, with its query, e.g. "/v1/messages?beta=true".
        headers: end-to-end headers to send, lower-case names; the upstream adds its own
            credentials and hop-by-hop headers.
        body: the request body, as it is to be sent.
        at_once: read the answer as soon as something is there, at its price in work. Without it an
            upstream may read a stream that flows in a rhythm of its own (`gate`); one that has
            no such rhythm reads everything at once.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    at_once: bool = False


class ResponseHead(Struct, frozen=True):
    """The head of a response: its status, and its headers under lower-case names."""

    status: int
    headers: Mapping[str, str]

    @property
    def passed(self) -> dict[str, str]:
        """Those of the headers that go on to our own client."""
        return {
            name: value
            for name, value in self.headers.items()
            if name in PASSED or name.startswith(PASSED_PREFIXES)
        }


class Response(Struct, frozen=True):
    """A whole response, for what is not a stream."""

    head: ResponseHead
    body: bytes


class Sink(Protocol):
    """Takes what an upstream call yields. Every method is synchronous and must not raise."""

    def connected(self) -> None:
        """A connection is ready: a new one, or one from the pool."""

    def written(self) -> None:
        """The request is written: the upstream's silence counts from here."""

    def responded(self, head: ResponseHead) -> None:
        """A 2xx head has come."""

    def data(self, chunk: bytes) -> None:
        """The next bytes of the body, as the socket gave them (decompressed)."""

    def eof(self) -> None:
        """The body ended as its framing says it should."""

    def refused(self, head: ResponseHead, body: bytes) -> None:
        """A non-2xx response, after the allowed attempts; `body` is cut at 64 KiB."""

    def failed(self, reason: EndReason, detail: str) -> None:
        """No response, or a broken one: `unreachable`, `truncated` or `upstream_invalid`.

        Or `internal_error`: our own code failed, or something outside cancelled the call.
        """


class Call(Protocol):
    """One request under way."""

    def release(self) -> None:
        """The stream has ended well: drain what little is left and keep the connection.

        The drain is bounded (1 s, 64 KiB) and the upstream's own affair. Idempotent.
        """

    def cancel(self) -> None:
        """Tear the request down now, also before its response. Closes the socket. Idempotent."""


class Upstream(Protocol):
    """A place to ask."""

    def call(
        self, request: UpstreamRequest, sink: Sink, *, attempts: int, retry_until: float
    ) -> Call:
        """Start a request; what comes of it is pushed into `sink`. Returns at once.

        Args:
            request: what to ask.
            sink: who hears the answer. Nothing is pushed before this method has returned.
            attempts: at most this many, the first included; retried are connect errors and 408,
                409, 429, 5xx before the first byte of a stream.
            retry_until: no attempt starts after this instant (the loop's clock); a
                `retry-after` that does not fit is passed on with its status.
        """

    async def fetch(self, request: UpstreamRequest, *, timeout_s: float) -> Response:
        """One request, one whole response of any status; for what is not a stream.

        Raises:
            UpstreamFailedError: no response, with the end reason that says why.
        """

    async def close(self) -> None:
        """Close the pool and everything under way; sinks hear nothing of it. The last call.

        End the streams first: those still open would wait for their own limits.
        """


class UpstreamFailedError(Exception):
    """No whole response could be had.

    Args:
        reason: `unreachable`, `truncated`, `upstream_invalid`, `internal_error` or `deadline`.
        detail: one sentence for a person.
    """

    def __init__(self, reason: EndReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
