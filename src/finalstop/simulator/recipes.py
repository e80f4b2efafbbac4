"""What each healthy answer consists of: its content blocks and how the model stopped.

Blocks are written here as a finished Message holds them. It may not know how they are streamed
(`answers.py` does that) nor anything about bytes. Shapes follow the Messages API as of 2026-11.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from finalstop.simulator import prose
from finalstop.simulator.script import Script

Json = dict[str, object]

LONG_BYTES: Final = 64 * 1024
MANY_BLOCKS: Final = 40


@dataclass(frozen=True, slots=True)
class Recipe:
    """The blocks of one answer and its ending, before ids, usage and streaming."""

    blocks: list[Json]
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Json | None = None
    container: Json | None = None
    usage: Json = field(default_factory=dict)


def recipe(script: Script, rng: Random, prompt: str) -> Recipe:
    """The recipe of `script.answer`; the same script and prompt give the same recipe."""
    return RECIPES[script.answer](script, rng, prompt)


def text_block(text: str) -> Json:
    """A text block as a finished Message holds it."""
    return {"type": "text", "text": text}


def _explained(script: Script, rng: Random, prompt: str) -> Json:
    return text_block(prose.explanation(rng, prompt=prompt, words=script.words))


def _text(script: Script, rng: Random, prompt: str) -> Recipe:
    return Recipe([_explained(script, rng, prompt)])


def _empty_text(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block("")])


def _no_content(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([])


def _thinking(script: Script, rng: Random, prompt: str) -> Recipe:
    thinking: Json = {"type": "thinking", "thinking": prose.THOUGHTS, "signature": _token(rng, 88)}
    usage: Json = {"output_tokens_details": {"thinking_tokens": len(prose.THOUGHTS) // 4}}
    return Recipe([thinking, _explained(script, rng, prompt)], usage=usage)


def _redacted_thinking(script: Script, rng: Random, prompt: str) -> Recipe:
    redacted: Json = {"type": "redacted_thinking", "data": _token(rng, 120)}
    return Recipe([redacted, _explained(script, rng, prompt)])


def _tools(_script: Script, rng: Random, _prompt: str) -> Recipe:
    blocks = [text_block("I will look up the salinity there."), _tool_use(rng, _TOOL_INPUT)]
    return Recipe(blocks, "tool_use")


def _thinking_tools(script: Script, rng: Random, prompt: str) -> Recipe:
    thought = _thinking(script, rng, prompt)
    return Recipe([*thought.blocks, _tool_use(rng, _TOOL_INPUT)], "tool_use", usage=thought.usage)


def _parallel_tools(_script: Script, rng: Random, _prompt: str) -> Recipe:
    return Recipe([_tool_use(rng, _TOOL_INPUT), _tool_use(rng, {}, "list_seas")], "tool_use")


def _citations(_script: Script, rng: Random, _prompt: str) -> Recipe:
    cited = [
        {**text_block(f"Claim {number}: salt comes from rock. "), "citations": [citation]}
        for number, citation in enumerate(_cited(rng), start=1)
    ]
    return Recipe([text_block("The sources say: "), *cited, text_block("That is all.")])


def _server_tools(_script: Script, rng: Random, _prompt: str) -> Recipe:
    blocks = [text_block("I will search first.")]
    for name, arguments, result_type, content in _SERVER_TOOLS:
        call = _server_tool_use(rng, name, arguments)
        blocks += [call, {"type": result_type, "tool_use_id": call["id"], "content": content}]
    blocks.append({"type": "container_upload", "file_id": f"file_{_token(rng, 22)}"})
    blocks.append({**text_block("Rivers carry it."), "citations": [_cited(rng)[-1]]})
    container: Json = {"id": f"container_{_token(rng, 22)}", "expires_at": "2026-12-01T00:00:00Z"}
    usage: Json = {"server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 1}}
    return Recipe(blocks, container=container, usage=usage)


def _beta_blocks(_script: Script, rng: Random, _prompt: str) -> Recipe:
    call = f"mcptoolu_{_token(rng, 22)}"
    advice = f"srvtoolu_{_token(rng, 22)}"
    models = [{"model": "claude-opus-5-5"}, {"model": "claude-opus-5"}]
    blocks: list[Json] = [
        {"type": "fallback", "from": models[0], "to": models[1],
         "trigger": {"type": "refusal", "category": "cyber", "explanation": None}},
        {"type": "mcp_tool_listing", "mcp_server_name": "tides", "tools": []},
        {"type": "mcp_tool_use", "id": call, "name": "tide", "server_name": "tides",
         "input": {"port": "Brest"}},
        {"type": "mcp_tool_result", "tool_use_id": call, "is_error": False,
         "content": [text_block("high at 04:12")]},
        {"type": "advisor_tool_result", "tool_use_id": advice,
         "content": {"type": "advisor_result", "text": "Mention the vents.", "stop_reason": None}},
        text_block("High water is at 04:12."),
        {"type": "compaction", "content": "The user asked about salt and tides."},
    ]  # fmt: skip
    return Recipe(blocks, "compaction")


def _cached(script: Script, rng: Random, prompt: str) -> Recipe:
    usage: Json = {"cache_creation_input_tokens": 2048, "cache_read_input_tokens": 4096}
    return Recipe([_explained(script, rng, prompt)], usage=usage)


def _refusal(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    details: Json = {
        "type": "refusal",
        "category": "cyber",
        "explanation": "The request could enable harm.",
    }
    return Recipe([text_block(prose.BROKEN_OFF)], "refusal", stop_details=details)


def _max_tokens(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block(prose.BROKEN_OFF)], "max_tokens")


def _max_tokens_tool(_script: Script, rng: Random, _prompt: str) -> Recipe:
    # The finished block shows what a lenient reader makes of the broken JSON: its whole members.
    return Recipe([{**_tool_use(rng, _TOOL_INPUT), "broken_off": True}], "max_tokens")


def _pause_turn(_script: Script, rng: Random, _prompt: str) -> Recipe:
    call = _server_tool_use(rng, "web_search", {"query": "sea salt"})
    return Recipe([text_block("Searching."), call], "pause_turn")


def _context_window(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block(prose.BROKEN_OFF)], "model_context_window_exceeded")


def _stop_sequence(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block("One, two, three, four, ")], "stop_sequence", stop_sequence="five")


def _unknown_events(_script: Script, rng: Random, _prompt: str) -> Recipe:
    hologram: Json = {"type": "hologram", "data": _token(rng, 16)}
    return Recipe([text_block("Before the unknown block."), hologram, text_block("After it.")])


def _many_blocks(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block(f"Block {n} of {MANY_BLOCKS}. ") for n in range(MANY_BLOCKS)])


def _unicode(_script: Script, _rng: Random, _prompt: str) -> Recipe:
    return Recipe([text_block(prose.UNICODE)])


def _long(script: Script, rng: Random, _prompt: str) -> Recipe:
    size = LONG_BYTES if script.bytes is None else script.bytes
    if script.words is not None:
        return Recipe([text_block(prose.explanation(rng, words=script.words))])
    paragraph = prose.explanation(rng) + "\n\n"
    return Recipe([text_block((paragraph * (size // len(paragraph) + 1))[:size])])


def _token(rng: Random, length: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(rng.choices(alphabet, k=length))


def _tool_use(rng: Random, arguments: Json, name: str = "get_salinity") -> Json:
    return {"type": "tool_use", "id": f"toolu_{_token(rng, 22)}", "name": name, "input": arguments}


def _server_tool_use(rng: Random, name: str, arguments: Json) -> Json:
    call = f"srvtoolu_{_token(rng, 22)}"
    return {"type": "server_tool_use", "id": call, "name": name, "input": arguments}


def _cited(rng: Random) -> list[Json]:
    document: Json = {"cited_text": "Salt comes from rock.", "document_index": 0}
    return [
        {"type": "char_location", **document, "document_title": "Seas",
         "start_char_index": 0, "end_char_index": 21},
        {"type": "page_location", **document, "document_title": None,
         "start_page_number": 1, "end_page_number": 2},
        {"type": "content_block_location", **document, "document_title": None,
         "start_block_index": 0, "end_block_index": 1},
        {"type": "search_result_location", "cited_text": "Salt", "source": "notes", "title": None,
         "search_result_index": 0, "start_block_index": 0, "end_block_index": 1},
        {"type": "web_search_result_location", "cited_text": "Salt", "title": "Seas",
         "url": "https://example.com/salt", "encrypted_index": _token(rng, 24)},
    ]  # fmt: skip


# Escapes, nesting, a surrogate pair and both quotes: what splitting JSON anywhere trips over.
_TOOL_INPUT: Final[Json] = {
    "place": "Reykjav\u00edk \N{WATER WAVE}",
    "depths_m": [0, 10.5, -2e3, 400],
    "options": {"unit": "psu", "cached": False, "since": None},
    "note": 'a "quoted" back\\slash, a {brace}, a [bracket]\nand a new line',
}
_RUN: Final[Json] = {"stdout": "35\n", "stderr": "", "return_code": 0, "content": []}
_SERVER_TOOLS: Final[tuple[tuple[str, Json, str, object], ...]] = (
    ("web_search", {"query": "why is the sea salty"}, "web_search_tool_result",
     [{"type": "web_search_result", "url": "https://example.com/salt", "title": "Seas",
       "encrypted_content": "RW5jcnlwdGVk", "page_age": "2 days"}]),
    ("web_fetch", {"url": "https://example.com/salt"}, "web_fetch_tool_result",
     {"type": "web_fetch_result", "url": "https://example.com/salt",
      "retrieved_at": "2026-11-22T00:00:00Z",
      "content": {"type": "document", "title": "Seas", "citations": None,
                  "source": {"type": "text", "media_type": "text/plain", "data": "Salt."}}}),
    ("code_execution", {"code": "print(35)"}, "code_execution_tool_result",
     {"type": "code_execution_result", **_RUN}),
    ("bash_code_execution", {"command": "echo 35"}, "bash_code_execution_tool_result",
     {"type": "bash_code_execution_result", **_RUN}),
    ("text_editor_code_execution", {"command": "view", "path": "salt.txt"},
     "text_editor_code_execution_tool_result",
     {"type": "text_editor_code_execution_view_result", "content": "35", "file_type": "text",
      "num_lines": 1, "start_line": 1, "total_lines": 1}),
    ("tool_search_tool_regex", {"query": "salin.*"}, "tool_search_tool_result",
     {"type": "tool_search_tool_search_result",
      "tool_references": [{"type": "tool_reference", "tool_name": "get_salinity"}]}),
)  # fmt: skip

RECIPES: Final[dict[str, Callable[[Script, Random, str], Recipe]]] = {
    "text": _text,
    "empty-text": _empty_text,
    "no-content": _no_content,
    "thinking": _thinking,
    "redacted-thinking": _redacted_thinking,
    "tools": _tools,
    "thinking-tools": _thinking_tools,
    "parallel-tools": _parallel_tools,
    "citations": _citations,
    "server-tools": _server_tools,
    "beta-blocks": _beta_blocks,
    "cached": _cached,
    "refusal": _refusal,
    "max-tokens": _max_tokens,
    "max-tokens-tool": _max_tokens_tool,
    "pause-turn": _pause_turn,
    "context-window": _context_window,
    "stop-sequence": _stop_sequence,
    "unknown-events": _unknown_events,
    "many-blocks": _many_blocks,
    "unicode": _unicode,
    "long": _long,
    "pings": _text,
}
