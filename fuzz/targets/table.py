"""The targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz.target import Target
from fuzz.targets import body, config, cursor, events, http, sse

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (
        sse.TARGET, events.TARGET, http.TARGET, body.TARGET, config.TARGET, cursor.TARGET,
    )
}  # fmt: skip
