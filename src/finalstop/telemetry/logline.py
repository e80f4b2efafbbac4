"""The one log line per stream: its receipt, at its end. No prompt, no answer, no key."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from finalstop.core.receipt import Ended

log = structlog.get_logger("finalstop")


def configure(*, json: bool, stream: Any = None) -> None:
    """Send structured lines to `stream` (standard error by default), as JSON or for a person."""
    for_a_person: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(),
    ]
    structlog.configure(
        processors=[_json] if json else for_a_person,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
    )


def _json(_logger: object, level: str, fields: Any) -> str:
    # What structlog's own processors say, with the JSON library of the house: a tenth of the time.
    said = {**fields, "level": level, "timestamp": datetime.now(UTC)}
    return msgspec.json.encode(said, enc_hook=repr).decode()


def ends() -> Callable[[Ended], None]:
    """What writes the line of an end. Call it after `configure`, and once.

    Its logger is put together here and not for every line, which would cost half as much again.
    """
    bound = log.bind()

    def write(ended: Ended) -> None:
        bound.info("stream_ended", **msgspec.to_builtins(ended.receipt))

    return write
