"""The parts that every handler needs, put together once by `serve` and carried by the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from finalstop.core.limits import Limits
from finalstop.gateway.auth import Gatekeeper
from finalstop.gateway.config import Settings
from finalstop.gateway.errors import RequestError, receipt_link
from finalstop.runtime import head
from finalstop.runtime.relay import Relay
from finalstop.runtime.stream import Stream
from finalstop.upstream.contract import Upstream

LINGER_HEADER: Final = "finalstop-linger-s"


@dataclass(frozen=True)
class Front:
    """What the handlers stand on."""

    settings: Settings
    relay: Relay
    upstream: Upstream
    gatekeeper: Gatekeeper

    @property
    def limits(self) -> Limits:
        """The bounds of this gateway."""
        return self.settings.limits


FRONT: Final = web.AppKey("front", Front)


def linger_s(request: web.Request, limits: Limits) -> float:
    """How long the stream may live on without a viewer, as this request asks.

    Raises:
        RequestError: 400: not a number of seconds, or more than `linger_s_max`.
    """
    given = request.headers.get(LINGER_HEADER)
    if given is None:
        return limits.linger_s
    try:
        asked_s = float(given)
    except ValueError:
        asked_s = -1.0
    if not 0 <= asked_s <= limits.linger_s_max:
        message = f"{LINGER_HEADER} must be 0 to {limits.linger_s_max:g} seconds, not {given[:40]}."
        raise RequestError(400, message)
    return asked_s


def stream_headers(stream: Stream) -> dict[str, str]:
    """The headers that every answer about a stream carries here: its receipt's address, too."""
    return {**head.stream_headers(stream), "link": receipt_link(stream)}
