"""The one log line per stream: its receipt, at its end. No prompt, no answer, no key."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from finalstop.core.receipt import Ended

log = structlog.get_logger("finalstop")


def configure(*, json: bool, stream: Any = None) -> None:
    """Send structured lines to `stream` (standard error by default), as JSON or for a person."""
    render: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
    )


def stream_ended(ended: Ended) -> None:
    """Write the line."""
    receipt = msgspec.to_builtins(ended.receipt)
    log.info("stream_ended", **receipt)
