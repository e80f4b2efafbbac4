"""The person's own Express program with its handler made right: for the shape everyone writes.

Every statement of the handler is accounted for: it is theirs and stays, or it is the known
machinery (the headers of a stream, one call, one loop that writes the texts, one end frame, an
answer to an error) and the tested remedy does its work. With one statement that is neither, with
one name that is taken, the program is left alone: no guess is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from finalstop.doctor.fixes_handler import Body, body_of
from finalstop.doctor.fixes_javascript import Code, code_of

_HANDLER: Final = re.compile(
    r"^(?P<app>\w+)\.(?:post|get|put)\(\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*,\s*"
    r"async\s*\(\s*(?P<req>\w+)\s*,\s*(?P<res>\w+)\s*\)\s*=>\s*(?=\{)",
    re.MULTILINE,
)
_OPENING_END: Final = re.compile(r",\s*async\s*\([^)]*\)\s*=>\s*$")
_CLOSED: Final = re.compile(r"\s*\)\s*;?")
_CALL: Final = re.compile(r"\.messages\.(?:stream|create)\(")
_LISTEN: Final = re.compile(
    r"^(?:(?:const|let|var)\s+(?P<server>\w+)\s*=\s*)?(?P<app>\w+)\.listen\(", re.MULTILINE
)
_IMPORT: Final = re.compile(r"^import\s", re.MULTILINE)
_REQUIRE: Final = re.compile(r"^(?:const|let|var)\s.*\brequire\(", re.MULTILINE)
# A key would stand in the report; and a line that ends otherwise would not stand in a diff.
_UNPRINTED: Final = re.compile(r"['\"`](?:sk|pk|key)-[\w-]{8,}|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_TEMPLATE: Final = re.compile(r"`[^`]*`")
# What the machinery declares: a program that has one of these already is not of the shape.
_TAKEN: Final = re.compile(
    r"(?<![.\w$])(?:relay|calls|HEAD|STATUS|FIRST_CONTENT_MS|IDLE_MS|KEEP_ALIVE_MS|DRAIN_MS|once)"
    r"(?![\w$])"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the handler stands, and what is in it."""

    start: int
    end: int
    opening: str  # app.post('/path', (req, res)
    app: str
    body: Body


def rewritten(source: str) -> str:
    """The program with its handler made right; empty if it is not of the known shape."""
    code = code_of(source)
    if _TAKEN.search(code.bare) or "SIGTERM" in source or _UNPRINTED.search(source):
        return ""
    place = _place_of(code)
    listens = list(_LISTEN.finditer(code.bare))
    imported = _IMPORT.search(code.bare) or _REQUIRE.search(code.bare)
    if (
        place is None
        or not _handler(place)
        or len(listens) != 1
        or imported is None
        or listens[0]["app"] != place.app
    ):
        return ""
    listen = listens[0]
    server = listen["server"] or _free(source, "server", "listener", "httpServer")
    if not server or listen.start() < place.end:
        return ""
    machinery, shutdown = _machinery(place.body)
    named = "" if listen["server"] else f"const {server} = "
    return (
        f"{source[: imported.start()]}{_once(code)}{source[imported.start() : place.start]}"
        f"{machinery}{_handler(place)}{source[place.end : listen.start()]}"
        f"{named}{source[listen.start() :].rstrip()}\n\n{shutdown.replace('server.', f'{server}.')}"
    )


def _place_of(code: Code) -> _Place | None:
    handlers = [
        it for it in _HANDLER.finditer(code.bare) if _CALL.search(code.group(it.end()).bare)
    ]
    if len(handlers) != 1:
        return None
    found = handlers[0]
    group = code.group(found.end())
    closed = _CLOSED.match(code.bare, found.end() + len(group.bare))
    body = body_of(group.inside(), found["res"])
    if closed is None or body is None:
        return None
    head = _OPENING_END.sub("", code.text[found.start() : found.end()])
    opening = f"{head}, ({found['req']}, {found['res']})"
    return _Place(found.start(), closed.end(), opening, found["app"], body)


def _handler(place: _Place) -> str:
    """The handler made right; empty if it has taken every name that we would give."""
    body = place.body
    own = "\n".join((*body.ahead, *body.kept, body.client, body.question))
    asked, options = _free(own, "question", "asked"), _free(own, "options", "callOptions")
    if not asked or not options:
        return ""
    waits = "async " if re.search(r"\bawait\b", "\n".join((*body.kept, body.question))) else ""
    inside = (
        f"relay({body.res}, {waits}({options}) => {{\n"
        f"{''.join(_moved(it, 2) for it in body.kept)}"
        f"{_moved(f'const {asked} = {body.question};', 2)}"
        "  // `create`, not the helper `stream`: its iterator drops an error that comes while we"
        " await.\n"
        f"  return {body.client}.messages.create({{ ...{asked}, stream: true }}, {options});\n"
    )
    if body.ahead:
        ahead = "".join(_moved(it, 2) for it in body.ahead)
        return f"{place.opening} => {{\n{ahead}{_moved(f'return {inside}}});', 2)}}});"
    return f"{place.opening} =>\n{_moved(f'{inside}}}),', 2)});"


def _moved(text: str, columns: int) -> str:
    """The lines at a depth of their own; a template of several lines stays where it stood."""
    first, *rest = text.splitlines()
    blank = " " * columns
    if any("\n" in it for it in _TEMPLATE.findall(code_of(text).bare)):
        return "\n".join([f"{blank}{first}", *rest]) + "\n"
    depth = min((len(it) - len(it.lstrip()) for it in rest if it.strip()), default=0)
    moved = [f"{blank}{it[depth:]}" if it.strip() else "" for it in rest]
    return "\n".join([f"{blank}{first}", *moved]) + "\n"


def _free(text: str, *names: str) -> str:
    """The first of the names that is not in the text; empty if all are."""
    return next((it for it in names if not re.search(rf"\b{it}\b", text)), "")


@cache
def _remedy() -> str:
    path = files("finalstop.doctor").joinpath("remedies", "express", "handler", "after.js")
    return path.read_text("utf-8")


def _machinery(body: Body) -> tuple[str, str]:
    """The remedy's limits and `relay`, with the person's frames; and what SIGTERM does."""
    remedy = _remedy()
    start = remedy.index("// Only what the model says")
    stop = remedy.index("app.post(")
    last = "\n    ".join([body.last or "send({ event: 'end' });", *body.farewell])
    relay = remedy[start:stop].replace("send({ text: event.delta.text })", f"send({body.frame})")
    relay = relay.replace("send({ event: 'end' });", last)
    return relay, remedy[remedy.index("process.once('SIGTERM'") :]


def _once(code: Code) -> str:
    if _IMPORT.search(code.bare):
        return "import { once } from 'node:events';\n"
    return "const { once } = require('node:events');\n"
