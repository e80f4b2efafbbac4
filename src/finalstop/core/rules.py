"""What "well-formed" means beyond the transition table: one row per case, each with its verdict."""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """What "well-formed" means beyond the table: what is forgiven, and what cannot be.

    The first group is what lenient providers do and an SDK would accept; each is harmless because
    no reader can mistake the result for something else. The second group cannot be forgiven.
    """

    NO_MESSAGE_DELTA = "forgiven: no message_delta at all, when every block was closed"
    OPEN_AT_STOP = "forgiven: a block still open at message_stop, when the stop reason was given"
    LATE_CLOSE = "forgiven: content_block_stop after the message_delta"
    BLOCKS_INTERLEAVE = "forgiven: a second block opens before the first is closed"
    SEVERAL_REPORTS = "forgiven: several message_delta events; their usage is cumulative"
    INDEX_GAPS = "forgiven: block indexes that skip numbers"
    ODD_DELTA = "forgiven: a delta of another type than its block's; types are an open set"

    INDEX_REUSED = "invalid: a block opens under an index that was used before"
    INDEX_NOT_OPEN = "invalid: a delta or a stop for a block that is not open"
    NO_WITNESS = (
        "invalid: message_stop with neither a stop reason nor closed blocks to bear it out; "
        "an answer cut short can look just like that"
    )
