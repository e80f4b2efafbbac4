"""A handler taken apart: each statement theirs, or known; or nothing is said at all."""

from __future__ import annotations

import pytest

from finalstop.doctor.fixes_handler import body_of
from finalstop.doctor.fixes_javascript import code_of

CALL = "const s = await ai.messages.create({ model: 'm', stream: true });"
LOOP = """for await (const e of s) {
  if (e.type === 'content_block_delta')
    res.write(`data: ${JSON.stringify({ t: e.delta.text })}\\n\\n`);
}"""
PLAIN = f"{CALL}\n{LOOP}\nres.end();"


def test_the_parts_of_a_handler_without_try():
    body = body_of(code_of(PLAIN), "res")
    assert body is not None
    assert (body.client, body.question) == ("ai", "{ model: 'm', stream: true }")
    assert (body.frame, body.last) == ("{ t: event.delta.text }", "")
    assert (body.ahead, body.kept, body.farewell) == ((), (), ())


HEADERS = [
    # a statement before the call, what stays of it
    ("res.setHeader('Cache-Control', 'no-cache');", ()),
    ("res.flushHeaders();", ()),
    (
        "res.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-A': 'b' });",
        ("res.setHeader('X-A', 'b');",),
    ),
    ("res.set('X-A', \"b\");", ("res.setHeader('X-A', \"b\");",)),
    ("res.setHeader('Content-Type', 'text/html');", None),
    ("res.setHeader('X-A', await secret());", None),
    ("res.writeHead(200, headers);", None),
    ("res.writeHead(200, { ...headers });", None),
    ("res.status(201);", None),
]


@pytest.mark.parametrize(("statement", "kept"), HEADERS)
def test_a_streams_own_headers_are_the_remedys_and_others_stay(statement, kept):
    body = body_of(code_of(f"{statement}\n{PLAIN}"), "res")
    assert (None if body is None else body.kept) == kept


UNKNOWN = [
    "",
    CALL,
    f"{CALL}\n{CALL}\n{LOOP}",
    PLAIN.replace("e.delta.text }", "e.delta.text ?? '' }"),
    PLAIN.replace("e of s", "e of t"),
    f"{PLAIN}\nsave();",
    f"{PLAIN}\nres.write('data: [DONE]\\n\\n');\nres.write('data: [DONE]\\n\\n');",
    f"try {{ {PLAIN} }} catch (e) {{ report(e); }}",
    f"try {{ {PLAIN} }} catch (e) {{ res.end(); }} finally {{ close(); }}",
    f"try {{ {PLAIN} }} catch (e) {{ res.end(); }}\nafter();",
    f"while (true) {{ again(); }}\n{PLAIN}",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_one_statement_that_is_not_known_and_nothing_is_said(text):
    assert body_of(code_of(text), "res") is None
