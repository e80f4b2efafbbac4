"""What every adapter is asked, once: a source, a format and the stream's bounds. And its opening.

It may not know which framework asked.
"""

from __future__ import annotations

from typing import TypedDict, cast

from finalstop.core.limits import DEFAULTS, Limits
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.sources import discard, source_of
from finalstop.runtime.stream import Stream
from finalstop.shared import shared_relay
from finalstop.upstream.objects import ObjectSink, pump
from finalstop.wire.formats import Encoder, encoder_for


class Options(TypedDict, total=False):
    """What may be asked of a stream, by name, in every framework.

    Attributes:
        format: the wire format: "anthropic", which is the default, or "text".
        limits: bounds for this stream; the relay's if none are given. `drain_s`, `max_streams`,
            `retention_s` and `log_bytes_total` bound all streams together and are the relay's:
            here they are not looked at (docs/reference/library.md).
        linger_s: seconds it may live without a viewer; the default is `limits.linger_s`.
        principal: who opens it; nobody else will find it.
        on_end: called once with the receipt and the Message when it has ended, also when nobody is
            listening; may be async. One that is not must not block: it runs on the loop, but
            under WSGI, where it has a thread.
    """

    format: str
    limits: Limits | None
    linger_s: float | None
    principal: str | None
    on_end: OnEnd | None


class Opening:
    """A stream to be opened, checked as far as it can be before anything starts.

    Args:
        source: a stream object of an SDK, a response, an iterator... (docs/reference/sources.md).
        relay: where to open it; the running loop's `shared_relay` if none is given.
        format: this and what follows: see `Options`.
        limits: see there.
        linger_s: see there.
        principal: see there.
        on_end: see there.

    Raises:
        TypeError: `source` is no stream; the message names what was given and what is accepted.
        ValueError: there is no such format; the message lists those there are.
    """

    def __init__(
        self,
        source: object,
        *,
        relay: Relay | None = None,
        format: str = "anthropic",
        limits: Limits | None = None,
        linger_s: float | None = None,
        principal: str | None = None,
        on_end: OnEnd | None = None,
    ) -> None:
        try:
            self.encoder: Encoder = encoder_for(format)
        except ValueError:
            discard(source)
            raise
        self.limits = limits or (relay.limits if relay is not None else DEFAULTS)
        self._given = source
        self._source = source_of(source, limits=self.limits)
        self._relay = relay
        self._linger_s = linger_s
        self._principal = principal
        self._on_end = on_end

    def open(self) -> Stream:
        """Open the stream. Next: be `present` in it, before any await.

        Raises:
            NotAcceptingError: the relay takes no new stream; the source was closed.
        """
        relay = self._relay or shared_relay()
        try:
            return relay.open(
                self._source,
                principal=self._principal,
                linger_s=self._linger_s,
                limits=self.limits,
                on_end=self._on_end,
            )
        except NotAcceptingError:
            self._discard()
            raise

    def _discard(self) -> None:
        # It was handed to us to be used up; an open response would hold its connection.
        if self._source is not self._given:
            # Cancelled before it has begun, it tells nobody anything.
            pump(self._given, cast("ObjectSink", None)).cancel()
