"""The asker's own program, made right: its question, frames and variables stay."""

from __future__ import annotations

import subprocess

import pytest

from finalstop.doctor.finding import Cure
from finalstop.doctor.fixes import remedies, unified
from finalstop.doctor.fixes_express import rewritten
from finalstop.doctor.stacks import Stack
from tests.doors import ROOT
from tools.node import node

# As it was asked, without the indentation that the question lost.
ASKED = """import Anthropic from '@anthropic-ai/sdk';
import express from 'express';
const app = express();
const client = new Anthropic();
app.post('/stream-claude', async (req, res) => {
res.setHeader('Content-Type', 'text/event-stream');
try {
const { prompt } = req.body;
const messageStream = await client.messages.stream({
model: 'claude-sonnet-5-5',
messages: [{ role: 'user', content: `Why (really) is {${prompt}} salty?` }],
max_tokens: 1000,
});
for await (const chunk of messageStream) {
if (chunk.type === 'content_block_delta') {
// Sending each text chunk {as an event
res.write(`data: ${JSON.stringify({ token: chunk.delta.text })}\\n\\n`);
}
}
res.write(`data: ${JSON.stringify({ event: 'bye' })}\\n\\n`);
res.end();
} catch (error) {
res.status(500).end('Internal Server Error');
}
});
app.listen(3000, () => console.log('Server running on port 3000'));
"""


def test_what_is_theirs_stays():
    new = rewritten(ASKED)
    assert new.startswith("import { once } from 'node:events';\nimport Anthropic")
    for theirs in (
        "send({ token: event.delta.text })",
        "send({ event: 'bye' })",
        "    const { prompt } = req.body;\n",
        "content: `Why (really) is {${prompt}} salty?`",
        "const server = app.listen(3000, ",
        "app.post('/stream-claude', (req, res) =>",
    ):
        assert theirs in new
    for gone in ("Internal Server Error", "messages.stream(", "setHeader('Content-Type'"):
        assert gone not in new


def test_the_program_that_everyone_writes_becomes_the_tested_example():
    _, before, after = remedies()[Stack.EXPRESS, Cure.HANDLER]
    example = (ROOT / "examples/express/handler.js").read_text("utf-8")
    assert after == example
    comment, _, program = example.partition("import { once }")
    assert comment.startswith("//")
    assert rewritten(before) == "import { once }" + program


UNKNOWN_SHAPES = [
    "",
    "nothing of the kind",
    ASKED.replace("for await", "for"),
    ASKED.replace("messages.stream(", "messages.list("),
    ASKED.replace("app.listen", "app.mount"),
    ASKED.replace("});\napp.listen", "\napp.listen"),
    ASKED.replace("{ event: 'bye' }", "bye"),
    ASKED + ASKED,
    ASKED.replace("const app", "function relay() {}\nconst app"),
    "process.on('SIGTERM', stop);\n" + ASKED,
    rewritten(ASKED),
]


@pytest.mark.parametrize("source", UNKNOWN_SHAPES)
def test_another_shape_is_left_alone(source):
    assert not rewritten(source)


def test_a_program_with_require_gets_a_require():
    old = ASKED.replace("import Anthropic from '@anthropic-ai/sdk'", "const A = require('a')")
    new = rewritten(old.replace("import express from 'express'", "const express = require('e')"))
    assert new.startswith("const { once } = require('node:events');\nconst A = require('a')")


def test_a_server_that_has_a_name_keeps_it():
    new = rewritten(ASKED.replace("app.listen(", "const http = app.listen("))
    assert "http.close(() => process.exit(0))" in new
    assert "const server" not in new


def test_the_diff_applies_with_patch_and_gives_a_program_that_node_can_read(tmp_path):
    program = tmp_path / "server.mjs"
    program.write_text(ASKED, "utf-8")
    diff = unified(ASKED, rewritten(ASKED), "server.mjs")
    command = ["patch", "-p1", "--no-backup-if-mismatch"]
    subprocess.run(command, cwd=tmp_path, input=diff, text=True, check=True, capture_output=True)
    assert program.read_text("utf-8") == rewritten(ASKED)
    subprocess.run([node(), "--check", program], check=True)
