"""On what terms an app streams: what its environment says, and what a request asks beside it.

LIMITS in the environment bounds every stream; `limits` in a request's body bounds that one stream
otherwise. Where OWN_RELAY is set, the relay is the app's own: LIMITS then bound its drain as well.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.background import BackgroundRelay
from finalstop.shared import drain_on_signals

_NAMED: dict[str, Any] = json.loads(os.environ.get("LIMITS", "{}"))
LIMITS = Limits(**_NAMED)
_OWN = bool(os.environ.get("OWN_RELAY"))
_relays: list[Relay] = []

# For what has no loop of the server's. It starts with its first stream.
BACKGROUND = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))


def terms_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `respond`, in a server's loop."""
    terms: dict[str, Any] = {"format": body.get("format", "text"), "limits": limits_of(body)}
    return terms | ({"relay": _own_relay()} if _OWN else {})


def background_terms_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same in a WSGI server's thread."""
    return {"format": body.get("format", "text"), "limits": limits_of(body), "relay": BACKGROUND}


def limits_of(body: Mapping[str, Any]) -> Limits:
    """The bounds of the stream that is asked for."""
    return Limits(**_NAMED | body.get("limits", {}))


def _own_relay() -> Relay:
    if not _relays:
        _relays.append(Relay(MemoryLog(LIMITS), LIMITS))
        drain_on_signals(_relays[0])
    return _relays[0]
