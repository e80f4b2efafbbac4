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
    ASKED.replace("{ event: 'bye' }", "{ event: bye }"),
    ASKED + ASKED,
    ASKED.replace("const app", "function relay() {}\nconst app"),
    "process.on('SIGTERM', stop);\n" + ASKED,
    rewritten(ASKED),
]


@pytest.mark.parametrize("source", UNKNOWN_SHAPES)
def test_another_shape_is_left_alone(source):
    assert not rewritten(source)


# The handler of someone who does more than relay: none of it may vanish.
LOOP = "for await (const chunk of messageStream) {"
CALL = "const messageStream = await"
CATCH = "res.status(500).end('Internal Server Error');"
TEXT = "JSON.stringify({ token: chunk.delta.text })"
SPEAKS_MORE = [
    ASKED.replace("try {", "let whole = '';\ntry {").replace(
        "// Sending each text chunk {as an event", "whole += chunk.delta.text;"
    ),
    ASKED.replace("res.end();", "res.end();\nawait saveToDatabase(prompt);"),
    ASKED.replace("{ event: 'bye' }", "{ event: 'bye', prompt }"),
    ASKED.replace("{ token: chunk.delta.text }", "{ token: chunk.delta.text, id: req.id }"),
    ASKED.replace("{ token: chunk.delta.text }", "{ ...chunk, token: chunk.delta.text }"),
    ASKED.replace("`data: ${" + TEXT, "`event: delta\\ndata: ${" + TEXT),
    ASKED.replace(LOOP, f"res.write(': hello\\n\\n');\n{LOOP}"),
    ASKED.replace(LOOP, f"messageStream.on('error', log);\n{LOOP}"),
    ASKED.replace(LOOP, f"{LOOP}\ncount(chunk);"),
    ASKED.replace("'content_block_delta') {", "'content_block_delta' || wanted(chunk)) {"),
    ASKED.replace(CALL, f"req.on('close', () => res.end());\n{CALL}"),
    ASKED.replace(CALL, f"if (!prompt) throw new Error('what?');\n{CALL}"),
    ASKED.replace(CALL, f"const safe = prompt.replace(/'/g, '');\n{CALL}"),
    ASKED.replace(CATCH, f"await alarm(error);\n{CATCH}"),
    ASKED.replace(CATCH, "if (res.headersSent) res.end(); else next(error);"),
    ASKED.replace(CATCH, "res.write(`data: ${JSON.stringify({ error: 'sorry' })}\\n\\n`);"),
    ASKED.replace("max_tokens: 1000,\n}", "max_tokens: 1000,\n}, { timeout: 5000 }"),
    ASKED.replace("'text/event-stream'", "'text/plain'"),
    ASKED.replace("res.end();\n}", "res.end();\n} finally {\nrelease(prompt);\n}", 1),
    ASKED.replace("});\napp.listen", "}, complain);\napp.listen"),
    ASKED.replace("async (req, res)", "authenticate, async (req, res)"),
    ASKED.replace("async (req, res)", "async (req, res, next)"),
    ASKED.replace("import express", "import { once } from 'events';\nimport express"),
    ASKED.replace("app.listen", "router.listen"),
    f"/*\n{ASKED}*/\n",
    ASKED.replace("new Anthropic()", "new Anthropic({ apiKey: 'sk-ant-0123456789' })"),
    ASKED.replace("\n", "\r\n"),
    ASKED.replace(CALL, f"const question = 1, asked = 2;\n{CALL}"),
    ASKED.replace("salty", "salty\u2028"),
]


@pytest.mark.parametrize("source", SPEAKS_MORE)
def test_a_statement_that_would_be_lost_leaves_the_program_alone(source):
    assert source != ASKED
    assert not rewritten(source)


MORE = ["audit(prompt);", "let audit = 1;", "if (audit) res.end('no');", "await audit(res);"]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("line", range(4, ASKED.count("\n")))
def test_wherever_a_statement_is_added_it_is_never_lost(more, line):
    lines = ASKED.splitlines()
    new = rewritten("\n".join([*lines[:line], more, *lines[line:]]))
    assert not new or new.count(more) == 1


STAYS = [
    # what is added, before what, how it stands afterwards
    ("const messages = [\n  { role: 'user' },\n];\n", CALL, "    const messages = [\n      {"),
    ("await remember(prompt);\n", CALL, "relay(res, async (options) => {"),
    ("await remember(prompt);\n", CALL, "    await remember(prompt);\n"),
    ("res.setHeader('X-Accel-Buffering', 'no');\n", CALL, "    res.setHeader('X-Accel-B"),
    ("const question = 1;\n", CALL, "    const asked = {\n"),
    ("const options = {};\n", CALL, "relay(res, (callOptions) => {"),
    ("console.log('Over.');\n", "res.end();", "    console.log('Over.');\n  } catch"),
    (
        "if (req.body.prompt === '') {\n  return res.status(400).json({});\n}\n",
        "try {",
        "    return res.status(400).json({});\n  }\n  return relay(res, (options) => {\n    const",
    ),
    ("const long = `a\n  b`;\n", CALL, "  const long = `a\n  b`;\n"),
    ("", "import A", "import { once } from 'node:events';\nimport A"),
]


@pytest.mark.parametrize(("added", "place", "stands"), STAYS)
def test_what_the_question_needs_stays_and_node_can_read_it(added, place, stands, tmp_path):
    new = rewritten(ASKED.replace(place, added + place, 1))
    assert stands in new
    program = tmp_path / "server.mjs"
    program.write_text(new, "utf-8")
    subprocess.run([node(), "--check", program], check=True)


ENDS = [
    # the end frame as they write it, as the machinery sends it
    ("res.write('data: [DONE]\\n\\n');", "    res.write('data: [DONE]\\n\\n');\n"),
    ("res.write(`event: done\\ndata: {}\\n\\n`);", "res.write(`event: done\\ndata: {}\\n\\n`);"),
    ("", "    send({ event: 'end' });\n"),
    ("res.write('data: ' + JSON.stringify({ done: true }) + '\\n\\n');", "send({ done: true });"),
]


@pytest.mark.parametrize(("theirs", "sent"), ENDS)
def test_an_end_frame_stays_as_it_is_and_one_is_added_where_there_is_none(theirs, sent):
    end = "res.write(`data: ${JSON.stringify({ event: 'bye' })}\\n\\n`);"
    assert end in ASKED
    assert sent in rewritten(ASKED.replace(end, theirs))


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
