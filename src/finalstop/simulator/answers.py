"""A healthy answer as the API gives it: the finished Message, and the same as a run of events.

Both come from one recipe, so a reader that accumulates the events must arrive at the Message. This
room may not know about bytes, faults or sockets.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, cast

from finalstop.simulator import prose
from finalstop.simulator.recipes import Json, Recipe, recipe
from finalstop.simulator.script import Script

# What the API writes into `message_start` before it knows: a placeholder, not a count.
PLACEHOLDER_TOKENS: Final = 1
PING: Final[Json] = {"type": "ping"}


@dataclass(frozen=True, slots=True)
class Ask:
    """What the simulator takes from a request: the words that its answer depends on."""

    model: str = "claude-sonnet-5"
    prompt: str = ""
    input_tokens: int = 12
    stream: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """One healthy answer, in both shapes."""

    message: Json
    events: tuple[Json, ...]


def answer(script: Script, ask: Ask) -> Answer:
    """The answer that `script` names. Same script and ask, same answer."""
    # The dice must be repeatable, not unguessable.
    rng = Random(script.seed)
    dish = recipe(script, rng, ask.prompt)
    message = _message(dish, rng, ask)
    events = [_message_start(message)]
    for index, block in enumerate(dish.blocks):
        events += _block_events(index, block, rng)
    events += [_message_delta(dish, message), {"type": "message_stop"}]
    return Answer(message, tuple(_seasoned(script.answer, events)))


def delta_event(index: int, kind: str, field: str, value: object) -> Json:
    """One content_block_delta, e.g. `delta_event(0, "text_delta", "text", "Hi")`."""
    delta = {"type": kind, field: value}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def delta_kind(event: Json) -> str:
    """The type of a content_block_delta's delta; empty for every other event."""
    delta = event.get("delta")
    if event["type"] != "content_block_delta" or not isinstance(delta, dict):
        return ""
    return str(delta["type"])


def compact(value: object) -> str:
    """JSON as the API writes it: no spaces, characters unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _message(dish: Recipe, rng: Random, ask: Ask) -> Json:
    message: Json = {
        "id": f"msg_{rng.getrandbits(96):024x}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [_finished(block) for block in dish.blocks],
        "stop_reason": dish.stop_reason,
        "stop_sequence": dish.stop_sequence,
        "usage": _usage(dish, ask),
    }
    extras = {"stop_details": dish.stop_details, "container": dish.container}
    return message | {key: value for key, value in extras.items() if value is not None}


def _finished(block: Json) -> Json:
    if "broken_off" not in block:
        return block
    whole_part = {"place": cast("Json", block["input"])["place"]}
    return {k: v for k, v in block.items() if k != "broken_off"} | {"input": whole_part}


def _usage(dish: Recipe, ask: Ask) -> Json:
    written = sum(len(compact(block)) for block in dish.blocks)
    base: Json = {
        "input_tokens": ask.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": written // 4 + 1,
        "service_tier": "standard",
    }
    return base | dish.usage


def _message_start(message: Json) -> Json:
    usage = cast("Json", message["usage"])
    early = {key: value for key, value in usage.items() if not key.endswith(_KNOWN_LATE)}
    started = {key: value for key, value in message.items() if key not in _SAID_LATER}
    started |= {"content": [], "stop_reason": None, "stop_sequence": None}
    started["usage"] = early | {"output_tokens": PLACEHOLDER_TOKENS}
    return {"type": "message_start", "message": started}


def _message_delta(dish: Recipe, message: Json) -> Json:
    delta: Json = {"stop_reason": dish.stop_reason, "stop_sequence": dish.stop_sequence}
    delta |= {key: message[key] for key in _SAID_LATER if key in message}
    usage = cast("Json", message["usage"])
    cumulative = {key: value for key, value in usage.items() if key != "service_tier"}
    return {"type": "message_delta", "delta": delta, "usage": cumulative}


def _block_events(index: int, block: Json, rng: Random) -> Iterator[Json]:
    yield {"type": "content_block_start", "index": index, "content_block": _opened(block)}
    for kind, field, value in _deltas(block, rng):
        yield delta_event(index, kind, field, value)
    yield {"type": "content_block_stop", "index": index}


def _opened(block: Json) -> Json:
    """How the block looks in its content_block_start, before its deltas have come."""
    blank = _BLANKS.get(str(block["type"]), {})
    opened = {key: value for key, value in block.items() if key != "broken_off"} | blank
    return opened | {"citations": []} if "citations" in block else opened


def _deltas(block: Json, rng: Random) -> Iterator[tuple[str, str, object]]:
    match block["type"]:
        case "text":
            yield from (("text_delta", "text", t) for t in _text_pieces(rng, str(block["text"])))
            for citation in cast("list[Json]", block.get("citations", [])):
                yield "citations_delta", "citation", citation
        case "thinking":
            for piece in prose.word_groups(rng, str(block["thinking"])):
                yield "thinking_delta", "thinking", piece
            yield "signature_delta", "signature", block["signature"]
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            yield from (("input_json_delta", "partial_json", t) for t in _json_pieces(rng, block))
        case "compaction":
            yield "compaction_delta", "content", block["content"]
        case "hologram":
            yield from (("hologram_delta", "beam", beam) for beam in ("left", "right"))
        case _:
            return


def _text_pieces(rng: Random, text: str) -> list[str]:
    if text == prose.UNICODE:
        return prose.shards(rng, text, 3)
    return prose.word_groups(rng, text)


def _json_pieces(rng: Random, block: Json) -> list[str]:
    if not block["input"]:
        return [""]
    text = json.dumps(block["input"])
    if "broken_off" in block:
        text = text[: text.index('"depths_m"')]
    # Escaped, and one cut always falls inside an escape: the pieces are no JSON by themselves.
    inside = text.find("\\u") + 3
    return ["", *prose.shards(rng, text[:inside], 9), *prose.shards(rng, text[inside:], 9)]


def _seasoned(name: str, events: list[Json]) -> Iterator[Json]:
    """Put in what stands between the events: pings, or what nobody has heard of yet."""
    for at, event in enumerate(events):
        yield event
        if at == 1 and event["type"] == "content_block_start":
            yield PING
        if name == "pings" and delta_kind(event):
            yield PING
        if name == "unknown-events" and event["type"] in _NOTED:
            yield {"type": "message_note", "after": event["type"], "note": {"nested": [1, None]}}


_SAID_LATER: Final = ("stop_details", "container")
_KNOWN_LATE: Final = ("_details", "server_tool_use")
_NOTED: Final = ("message_start", "content_block_stop", "message_delta")
_BLANKS: Final[dict[str, Json]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
    "server_tool_use": {"input": {}},
    "mcp_tool_use": {"input": {}},
    "compaction": {"content": None},
}
