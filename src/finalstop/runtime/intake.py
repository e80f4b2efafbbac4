"""The intake: chunks of an upstream's SSE body in, batches of events out to the producer.

One read is one `data` call is one batch. Nothing waits here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

import msgspec

from finalstop.core.endings import EndReason
from finalstop.core.events import Event, together
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.runtime.producer import Producer
from finalstop.upstream.contract import Call, ResponseHead, Upstream, UpstreamRequest
from finalstop.wire.anthropic import (
    Malformed,
    decode_deltas,
    decode_event,
    decode_refusal,
    request_id_of,
)
from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import SSEDecoder

EVENT_STREAM: Final = "text/event-stream"
MESSAGES_PATH: Final = "/v1/messages"
# The API's version, which every request names: https://docs.anthropic.com/en/api/versioning
MESSAGES_HEADERS: Final = {"anthropic-version": "2023-06-01", "content-type": "application/json"}


class UpstreamSource:
    """A source that asks the Messages API. Keeps `runtime.stream.Source`.

    Args:
        upstream: where to ask.
        request: what to ask; its body asks for a stream.
        attempts: at most this many, within the commit window.
        limits: the bounds to keep.
    """

    def __init__(
        self, upstream: Upstream, request: UpstreamRequest, *, attempts: int, limits: Limits
    ) -> None:
        self._upstream = upstream
        self._request = request
        self._attempts = attempts
        self._limits = limits

    @classmethod
    def of(
        cls,
        upstream: Upstream,
        fields: Mapping[str, Any],
        *,
        limits: Limits = DEFAULTS,
        at_once: bool = False,
    ) -> Self:
        """Ask `POST /v1/messages` with a plain request dict. Next: `Relay.open` it.

        Args:
            upstream: where to ask; its credentials are its own.
            fields: the API's fields: `model`, `max_tokens`, `messages`...; `stream` is set for you.
            limits: the bounds to keep; give what `Relay.open` is given. `attempts_own` attempts
                are made, within `commit_s`.
            at_once: read each event as soon as it is there, whatever the upstream's `gate_s` is.

        Raises:
            TypeError: `fields` is no mapping, or holds what JSON cannot.
        """
        body = _streaming_body(fields)
        asked = UpstreamRequest("POST", MESSAGES_PATH, MESSAGES_HEADERS, body, at_once)
        return cls(upstream, asked, attempts=limits.attempts_own, limits=limits)

    def start(self, producer: Producer) -> Call:
        """Ask, and feed `producer` with what comes."""
        return self._upstream.call(
            self._request,
            SSEIntake(producer, self._limits),
            attempts=self._attempts,
            retry_until=producer.clock() + self._limits.commit_s,
        )


def _streaming_body(fields: object) -> bytes:
    if not isinstance(fields, Mapping):
        given = type(fields).__name__
        msg = f"the request must be a dict of the Messages API's fields, not {given}"
        raise TypeError(msg)
    return msgspec.json.encode({**fields, "stream": True})


class SSEIntake:
    """The sink of one upstream call. Keeps `upstream.contract.Sink`."""

    __slots__ = ("_decoder", "_producer")

    def __init__(self, producer: Producer, limits: Limits) -> None:
        self._producer = producer
        self._decoder = SSEDecoder(event_bytes_max=limits.event_bytes)

    def connected(self) -> None:
        """A connection to the upstream is ready."""
        self._producer.life.saw_connection(now=self._producer.clock())

    def written(self) -> None:
        """The request is written."""
        self._producer.life.saw_request_written(now=self._producer.clock())

    def responded(self, head: ResponseHead) -> None:
        """A 2xx head has come; anything but an event stream ends the stream."""
        self._note(head)
        media_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != EVENT_STREAM:
            detail = f"The upstream answered {head.status} with {media_type or 'no'} content type"
            self._producer.end(EndReason.UPSTREAM_INVALID, f"{detail}; expected {EVENT_STREAM}.")

    def data(self, chunk: bytes) -> None:
        """The next bytes: cut into frames, decoded, and handed on as one batch."""
        producer, decoder = self._producer, self._decoder
        if producer.life.ended is not None:
            return
        try:
            deltas = decode_deltas(chunk) if decoder.would_begin(chunk) else None
            if deltas is not None:
                producer.receive((deltas,))
                return
            events: list[Event] = []
            invalid = ""
            for frame in decoder.feed(chunk):
                event = decode_event(frame)
                if isinstance(event, Malformed):
                    invalid = event.detail
                    break
                events.append(event)
            # Also none at all: bytes show that the upstream lives.
            producer.receive(together(events))
            invalid = invalid or decoder.failure or ""
            if invalid and producer.ended is None:
                producer.end(EndReason.UPSTREAM_INVALID, invalid)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends one stream, not all
            producer.crashed(error)

    def events(self, events: Sequence[bytes]) -> None:
        """Whole events as JSON, from a source that has no bytes; bounded like any other."""
        self.data(b"".join([encode_frame(event) for event in events]))

    def eof(self) -> None:
        """The body is over."""
        self._safely(self._take_eof)

    def refused(self, head: ResponseHead, body: bytes) -> None:
        """A non-2xx response."""
        self._safely(self._take_refusal, head, body)

    def failed(self, reason: EndReason, detail: str) -> None:
        """No response, or a broken one."""
        self._producer.end(reason, detail)

    def timed_out(self, detail: str) -> None:
        """The source's own timeout ran out, before ours did."""
        waiting = self._producer.life.clocks.content_at is None
        reason = EndReason.FIRST_CONTENT_TIMEOUT if waiting else EndReason.IDLE_TIMEOUT
        self._producer.end(reason, detail)

    def _note(self, head: ResponseHead, body: bytes = b"") -> None:
        # All of them are a few kilobytes, and the stream is kept for long.
        self._producer.upstream_headers = head.passed
        request_id = request_id_of(head.headers, body)
        self._producer.life.saw_response(request_id, now=self._producer.clock())

    def _safely(self, take: Callable[..., None], *said: object) -> None:
        try:
            take(*said)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends one stream, not the process
            self._producer.crashed(error)

    def _take_refusal(self, head: ResponseHead, body: bytes) -> None:
        self._note(head, body)
        if not 400 <= head.status < 600:
            # A redirect, say: followed, it would take the key to a host nobody configured.
            detail = f"The upstream answered {head.status}, which is neither a stream nor an error."
            self._producer.end(EndReason.UPSTREAM_INVALID, detail)
            return
        # A `retry-after` may be a date, which only a wall clock can turn into seconds.
        http_now = datetime.now(UTC).timestamp()
        refusal = decode_refusal(head.status, head.headers, body, http_now=http_now)
        self._producer.refused(refusal)

    def _take_eof(self) -> None:
        leftover = self._decoder.close()
        # Its size and not its head: a detail is logged, an answer is not.
        size = 0 if leftover is None else leftover.bytes_discarded
        self._producer.eof(f"The body ended {size} bytes into an event." if size else "")
