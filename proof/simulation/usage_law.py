"""I8, by a reading of its own: what a log's entries say that their stream has cost.

It reads the JSON as it came, and knows nothing of the views that the product reads of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from finalstop.core.events import Event
from proof.simulation.witness import Story

# What the last statement stands for. Output is told apart: in message_start it is a placeholder.
STATED: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")

# Where a delta has its characters.
SPOKEN: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}


def of_usage(story: Story) -> Iterator[str]:
    """The receipt of every ending says what the log says, no more and no less."""
    assert story.ended is not None
    receipt = story.ended.receipt
    told = json.loads(receipt.to_json())["usage"]
    said = usage_in(
        json.loads(entry.event.json)
        for _, _, entry in story.entries
        if isinstance(entry.event, Event)
    )
    if told != said:
        yield f"I8 {story.stream}: {receipt.reason} is told to cost {told}, and not {said}"


def usage_in(jsons: Iterator[Any]) -> dict[str, Any]:
    """The usage that these events state, as a receipt spells it."""
    stated: dict[str, Any] = {}
    output: int | None = None
    characters, is_known, stopped, is_final = 0, False, False, False
    for said in jsons:
        usage: dict[str, Any] = {}
        match said:
            case {"type": "message_start", "message": {"usage": dict(usage)}}:
                is_known = is_known or usage.get("output_tokens") is not None
            case {"type": "message_delta", "delta": dict(delta)}:
                stopped = stopped or delta.get("stop_reason") is not None
                usage = said.get("usage") or {}
                if usage.get("output_tokens") is not None:
                    output = usage["output_tokens"]
                    is_final = is_final or stopped
            case {"type": "content_block_start", "content_block": dict(block)}:
                characters += len(block.get("text") or "")
            case {"type": "content_block_delta", "delta": dict(delta)}:
                characters += len(delta.get(SPOKEN.get(delta["type"], "")) or "")
            case _:
                pass
        stated |= {name: usage[name] for name in STATED if usage.get(name) is not None}
    if not is_known and not stated and output is None:
        return {"status": "unknown", "characters": characters}
    if is_final:
        return {"status": "final", "characters": characters, "output_tokens": output, **stated}
    at_least = (1 if characters else 0) if output is None else output
    return {
        "status": "partial", "characters": characters, "output_tokens_at_least": at_least, **stated
    }  # fmt: skip
