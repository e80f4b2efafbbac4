"""The recipes: together they hold every block and every way the model can stop."""

from random import Random

import pytest

from finalstop.simulator.recipes import LONG_BYTES, RECIPES, recipe
from finalstop.simulator.script import parse_script

STOP_REASONS = {
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
    "model_context_window_exceeded", "compaction",
}  # fmt: skip
BLOCKS = {
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use",
    "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
    "bash_code_execution_tool_result", "text_editor_code_execution_tool_result",
    "tool_search_tool_result", "container_upload", "advisor_tool_result", "mcp_tool_use",
    "mcp_tool_result", "mcp_tool_listing", "compaction", "fallback",
}  # fmt: skip
CITATIONS = {
    "char_location", "page_location", "content_block_location", "web_search_result_location",
    "search_result_location",
}  # fmt: skip


def made(name, extra=""):
    return recipe(parse_script(name + extra), Random(0), "salt")


def test_every_stop_reason_is_on_the_menu():
    assert {made(name).stop_reason for name in RECIPES} == STOP_REASONS


def test_every_content_block_is_on_the_menu_and_one_nobody_knows():
    kinds = {block["type"] for name in RECIPES for block in made(name).blocks}
    assert kinds == BLOCKS | {"hologram"}


def test_every_citation_location_is_on_the_menu():
    blocks = made("citations").blocks
    assert {c["type"] for block in blocks for c in block.get("citations", [])} == CITATIONS


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("stop-sequence", "stop_sequence", "five"),
        ("refusal", "stop_details", None),
        ("server-tools", "container", None),
    ],
)
def test_endings_carry_their_details(name, field, value):
    found = getattr(made(name), field)
    assert found == value if value else found["type" if field == "stop_details" else "id"]


@pytest.mark.parametrize(
    ("extra", "size"), [("", LONG_BYTES), (",bytes=1000", 1000), (",bytes=0", 0)]
)
def test_a_long_answer_has_exactly_the_bytes_asked_for(extra, size):
    assert len(made("long", extra).blocks[0]["text"]) == size


def test_a_long_answer_can_be_measured_in_words():
    assert len(made("long", ",words=900").blocks[0]["text"].split()) == 900
