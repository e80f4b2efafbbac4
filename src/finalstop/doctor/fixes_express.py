"""The person's own Express program with its handler made right: for the shape everyone writes.

The shape: one `app.post(PATH, async (req, res) => { … })` with one `messages.stream(…)` or
`messages.create(…)`, a `for await` that writes `JSON.stringify({… .delta.text …})`, and an end
frame. Their question, their frames and their variables stay; the machinery is that of the tested
remedy. Whatever is not of this shape is left alone: no guess is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_HANDLER: Final = re.compile(
    r"^(?P<app>\w+)\.(?P<method>post|get|put)\(\s*(?P<path>'[^'\n]*'|\"[^\"\n]*\")\s*,\s*"
    r"async\s*\(\s*(?P<req>\w+)\s*,\s*(?P<res>\w+)\s*\)\s*=>\s*(?=\{)",
    re.MULTILINE,
)
_CALL: Final = re.compile(r"(?P<client>[\w.]+)\.messages\.(?:stream|create)(?=\()")
_LOOP: Final = re.compile(r"for\s+await\s*\(\s*(?:const|let|var)\s+(?P<event>\w+)\s+of\b")
_FRAME: Final = re.compile(r"JSON\.stringify(?=\()")
_LISTEN: Final = re.compile(
    r"^(?:(?:const|let|var)\s+(?P<server>\w+)\s*=\s*)?(?P<app>\w+)\.listen\(", re.MULTILINE
)
_SETTING: Final = re.compile(r"^\s*(?:const|let|var)\s+.*;\s*(?://.*)?$")
_IMPORT: Final = re.compile(r"^import\s", re.MULTILINE)
_REQUIRE: Final = re.compile(r"^(?:const|let|var)\s.*\brequire\(", re.MULTILINE)
# What the machinery declares: a program that has one of these already is not of the shape.
_TAKEN: Final = re.compile(
    r"\b(?:const|let|var|function|class)\s+"
    r"(?:relay|calls|HEAD|STATUS|IDLE_MS|DRAIN_MS|once)\b|SIGTERM"
)
_CLOSING: Final = {"(": ")", "{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is the person's own in their handler."""

    start: int
    end: int
    opening: str  # app.post('/path', (req, res)
    settings: tuple[str, ...]
    question: str
    client: str
    text: str
    last: str
    res: str


def rewritten(source: str) -> str:
    """The program with its handler made right; empty if it is not of the known shape."""
    if _TAKEN.search(source):
        return ""
    shape = _shape_of(source)
    listen = _LISTEN.search(source)
    if shape is None or listen is None:
        return ""
    server = listen["server"] or "server"
    machinery, shutdown = _machinery(shape.text, shape.last)
    new = f"{source[: shape.start]}{machinery}{_handler(shape)}{source[shape.end :].rstrip()}\n"
    if not listen["server"]:
        new = _LISTEN.sub(lambda it: f"const server = {it[0]}", new, count=1)
    new = f"{new}\n{shutdown.replace('server.', f'{server}.')}"
    return _with_import(new)


def _shape_of(source: str) -> _Shape | None:
    handlers = [it for it in _HANDLER.finditer(source) if _CALL.search(_group(source, it.end()))]
    if len(handlers) != 1:
        return None
    found = handlers[0]
    body = _group(source, found.end())
    end = re.compile(r"\s*\)\s*;?").match(source, found.end() + len(body))
    calls, loop = list(_CALL.finditer(body)), _LOOP.search(body)
    if end is None or len(calls) != 1 or loop is None:
        return None
    question = _group(body, body.index("(", calls[0].end()) + 1)
    frames = [_group(body, it.end())[1:-1].strip() for it in _FRAME.finditer(body)]
    mark = f"{loop['event']}.delta.text"
    texts = [it for it in frames if mark in it]
    ends = [it for it in frames if mark not in it and it.startswith("{") and "rror" not in it]
    if not question.startswith("{") or len(texts) != 1 or len(ends) != 1:
        return None
    opening = f"{found['app']}.{found['method']}({found['path']}, ({found['req']}, {found['res']})"
    return _Shape(
        found.start(),
        end.end(),
        opening,
        tuple(it.strip() for it in body[: calls[0].start()].splitlines() if _SETTING.match(it)),
        question,
        calls[0]["client"],
        texts[0].replace(mark, "event.delta.text"),
        ends[0],
        found["res"],
    )


def _handler(shape: _Shape) -> str:
    own = "".join(f"    {line}\n" for line in shape.settings)
    waits = "async " if "await " in own or "await " in shape.question else ""
    question = "\n".join(_indented(shape.question))
    return (
        f"{shape.opening} =>\n"
        f"  relay({shape.res}, {waits}(options) => {{\n"
        f"{own}"
        f"    const question = {question};\n"
        "    // `create`, not the helper `stream`: its iterator drops an error that comes while we"
        " await.\n"
        f"    return {shape.client}.messages.create({{ ...question, stream: true }}, options);\n"
        "  }),\n"
        ");"
    )


def _indented(question: str) -> list[str]:
    """The object literal as it stood, moved to where it stands now."""
    first, *rest = question.splitlines()
    if not rest:
        return [first]
    inner = [f"      {line.strip()}" for line in rest[:-1]]
    return [first, *inner, f"    {rest[-1].strip()}"]


@cache
def _remedy() -> str:
    path = files("finalstop.doctor").joinpath("remedies", "express", "handler", "after.js")
    return path.read_text("utf-8")


def _machinery(text: str, last: str) -> tuple[str, str]:
    """The remedy's limits and `relay`, with the person's frames; and what SIGTERM does."""
    remedy = _remedy()
    start = remedy.index("// Only what the model says")
    stop = remedy.index("app.post(")
    relay = remedy[start:stop].replace("send({ text: event.delta.text })", f"send({text})")
    relay = relay.replace("send({ event: 'end' })", f"send({last})")
    return relay, remedy[remedy.index("process.once('SIGTERM'") :]


def _with_import(source: str) -> str:
    if found := _IMPORT.search(source):
        place, line = found.start(), "import { once } from 'node:events';\n"
    else:
        place, line = 0, "const { once } = require('node:events');\n"
        place = found.start() if (found := _REQUIRE.search(source)) else 0
    return f"{source[:place]}{line}{source[place:]}"


def _group(source: str, start: int) -> str:
    """The bracketed text that begins at `start`, brackets included; empty if it never closes."""
    waiting: list[str] = []
    place = start
    while place < len(source):
        character = source[place]
        if character in "'\"`" or source.startswith(("//", "/*"), place):
            place = _after_quoted(source, place)
            continue
        if character in _CLOSING:
            waiting.append(_CLOSING[character])
        elif waiting and character == waiting[-1]:
            waiting.pop()
            if not waiting:
                return source[start : place + 1]
        elif not waiting:
            return ""
        place += 1
    return ""


def _after_quoted(source: str, start: int) -> int:
    """Where a string, a template or a comment that begins at `start` is over."""
    for opening, closing in (("//", "\n"), ("/*", "*/")):
        if source.startswith(opening, start):
            end = source.find(closing, start + 2)
            return len(source) if end < 0 else end + len(closing)
    quote, place = source[start], start + 1
    while place < len(source) and source[place] != quote:
        if quote == "`" and source.startswith("${", place):
            place += 1 + len(_group(source, place + 1) or " ")
            continue
        place += 2 if source[place] == "\\" else 1
    return place + 1
