"""What an upstream may say, word by word: the vocabulary of the properties."""

from __future__ import annotations

from collections.abc import Callable

from finalstop.core.events import Event
from tests import builders as b

INDEXES = range(3)
START, STOP, PING, NEW = b.message_start(), b.message_stop(), b.ping(), b.unknown()
STARTS = [START, b.message_start(usage=None)]
OPENS: list[Callable[[int], Event]] = [
    b.text_start,
    b.tool_start,
    b.thinking_start,
    lambda index: b.block_start(index, "new"),
]
GROWS: list[Callable[[int], Event]] = [
    lambda index: b.text_delta("Hi", index),
    lambda index: b.text_delta("", index),
    lambda index: b.input_json_delta('{"a"', index),
    lambda index: b.thinking_delta("hm", index),
    lambda index: b.signature_delta("EqQB", index),
    lambda index: b.block_delta(index, "new", x=1),
]
COUNTS = [None, {"output_tokens": None}, {"output_tokens": 0}, {"output_tokens": 7}]
METERS = [b.message_delta(None, usage=usage) for usage in COUNTS]
REPORTS = [b.message_delta(why, usage=it) for why in ("end_turn", "refusal") for it in COUNTS]
WORDS = [
    *STARTS,
    *(make(index) for index in INDEXES for make in (*OPENS, *GROWS, b.block_stop)),
    *METERS,
    *REPORTS,
    *(STOP, PING, NEW, b.error()),
]
