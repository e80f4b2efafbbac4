"""What is in a handler that relays a stream by hand: theirs, or known machinery, or we do not know.

`body_of` accounts for every statement, or gives nothing. It may not know where the handler stands
nor what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from finalstop.doctor.fixes_javascript import Code, statements

_STRING: Final = r"(?:'[^'\\\n]*'|\"[^\"\\\n]*\")"
_VALUE: Final = rf"(?:{_STRING}|-?\d+(?:\.\d+)?|true|false|null)"
_CALL: Final = re.compile(
    r"(?:const|let|var)\s+(?P<name>\w+)\s*=\s*(?:await\s+)?"
    r"(?P<client>[\w$]+(?:\.[\w$]+)*)\.messages\.(?:stream|create)(?=\()"
)
_LOOP: Final = re.compile(
    r"for\s+await\s*\(\s*(?:const|let|var)\s+(?P<event>\w+)\s+of\s+(?P<name>\w+)\s*\)\s*"
)
_KEPT: Final = re.compile(r"(?:const|let|var)\s|if\s*\(|await\s|[\w$]+(?:\.[\w$]+)*\(")
# A statement with one of these does what it does only where it stands.
_BOUND: Final = "return|throw|for|while|do|switch|yield|next|arguments|this|function|class|eval"
_STANDARD: Final = {
    "content-type": re.compile(r"text/event-stream(?:;\s*charset=utf-?8)?", re.IGNORECASE),
    "cache-control": re.compile(r"no-cache(?:,\s*no-transform)?", re.IGNORECASE),
    "connection": re.compile(r"keep-alive", re.IGNORECASE),
}
_PAIR: Final = re.compile(rf"\s*(?P<name>{_STRING}|\w+)\s*:\s*(?P<value>{_STRING})\s*(?:,|$)")
_FAREWELL: Final = re.compile(rf"console\.(?:log|info)\(\s*{_STRING}\s*\)\s*;")
_RAW_END: Final = (
    r"(?P<quote>['\"`])(?:event: \w+\\n)?data: (?:(?!(?P=quote))[^$\\])*\\n\\n(?P=quote)"
)


@dataclass(frozen=True, slots=True)
class Body:
    """A handler, taken apart.

    `ahead` runs before anything else and may answer by itself; `kept` makes what the question
    needs. `frame` is the object literal of a text, with `event.delta.text` in it. `last` is the
    statement that sends the end frame, empty if there is none; `farewell` are logs after it.
    """

    res: str
    ahead: tuple[str, ...]
    kept: tuple[str, ...]
    client: str
    question: str
    frame: str
    last: str
    farewell: tuple[str, ...]


@dataclass(slots=True)
class _Prelude:
    ahead: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    client: str
    question: str


def body_of(block: Code, res: str) -> Body | None:
    """A handler's inside with all of it accounted for; None if one statement is not known."""
    flat = _flat(block, res)
    calls = [(at, call) for at, it in enumerate(flat) if (call := _call_of(it))]
    if len(calls) != 1:
        return None
    at, call = calls[0]
    prelude = _prelude_of(flat[:at], res, call.name)
    rest = [it for it in flat[at + 1 :] if _header_kept(it, res) != ()]
    frame = _frame_of(rest[0], res, call.name) if rest else ""
    ending = _ending_of(rest[1:], res)
    if prelude is None or not frame or ending is None:
        return None
    ahead, kept = tuple(prelude.ahead), tuple(prelude.kept)
    return Body(res, ahead, kept, call.client, call.question, frame, *ending)


def _flat(block: Code, res: str) -> list[Code]:
    """The statements in their order, those of the one `try` in its place; [] if not known."""
    outer = list(statements(block) or ())
    tries = [at for at, it in enumerate(outer) if re.match(r"try\s*\{", it.bare)]
    if not tries:
        return outer
    at = tries[0]
    after = [it for it in outer[at + 1 :] if not _ends_response(it, res)]
    inner = _tried(outer[at], res)
    return [] if after or inner is None else [*outer[:at], *inner]


def _tried(statement: Code, res: str) -> list[Code] | None:
    """What is tried, if what is done about an error is known."""
    block = statement.group(statement.bare.index("{"))
    place = statement.bare.index("{") + len(block.bare)
    inner = statements(block.inside())
    rest = statement.part(place, len(statement.bare))
    while rest.bare:
        found = re.match(r"(?:catch(?:\s*\(\s*(?P<error>\w+)\s*\))?|finally)\s*(?=\{)", rest.bare)
        if found is None:
            return None
        block = rest.group(found.end())
        if not _answers_error(block.inside(), res, found["error"] or "error"):
            return None
        rest = rest.part(found.end() + len(block.bare), len(rest.bare))
    return None if inner is None else list(inner)


def _answers_error(block: Code, res: str, error: str) -> bool:
    """Whether all it does is to log, to answer with a status, and to end: the remedy does that."""
    said = rf"(?:'\s*'|\"\s*\"|`\s*`|{error}(?:\??\.\w+)*)"
    known = re.compile(
        rf"console\.(?:error|log|warn)\(\s*(?:{said}\s*(?:,\s*{said}\s*)*)?\)\s*;"
        rf"|{res}\.status\(\d+\)\.(?:end|send|json)\([^()]*\)\s*;"
        rf"|{res}\.sendStatus\(\d+\)\s*;|{res}\.end\(\)\s*;"
    )
    done = statements(block)
    if done is None:
        return False
    return all(known.fullmatch(it.bare) and "${" not in it.text for it in done)


def _prelude_of(before: Sequence[Code], res: str, stream: str) -> _Prelude | None:
    found = _Prelude()
    for it in before:
        header = _header_kept(it, res)
        if header is not None:
            found.kept += header
        elif _is_kept(it, f"{res}|{stream}"):
            found.kept.append(it.text)
        elif _is_guard(it, stream) and "await" not in "\n".join((*found.kept, it.text)):
            found.ahead += [*found.kept, it.text]
            found.kept = []
        else:
            return None
    return found


def _is_kept(it: Code, names: str) -> bool:
    return bool(_KEPT.match(it.bare)) and not it.says(f"{_BOUND}|{names}")


def _is_guard(it: Code, stream: str) -> bool:
    """`if (…) return res.status(400).json(…);`: it answers by itself, at once."""
    bound = it.says(f"for|while|do|switch|throw|function|next|this|{stream}")
    calm = "=>" not in it.bare and not re.search(r"\.(?:write|on|once)\w*\(", it.bare)
    return bool(re.match(r"if\s*\(", it.bare)) and calm and not bound and it.says("return")


def _header_kept(it: Code, res: str) -> tuple[str, ...] | None:
    """What stays of a statement that sets headers: () for a stream's own; None if it is another."""
    if re.fullmatch(rf"{res}\.flushHeaders\(\)\s*;", it.bare):
        return ()
    pairs = _headers_of(it, res)
    if not pairs:
        return None
    kept: list[str] = []
    for name, value in pairs:
        standard = _STANDARD.get(name.strip("'\"").lower())
        if standard is None:
            kept.append(f"{res}.setHeader({_quoted(name)}, {value});")
        elif not standard.fullmatch(value.strip("'\"")):
            return None
    return tuple(kept)


def _headers_of(it: Code, res: str) -> list[tuple[str, str]]:
    """The names and values that a statement sets, as literals; [] if it is not clear which."""
    one = re.fullmatch(
        rf"{res}\.(?:setHeader|set|header)\(\s*(?P<name>{_STRING})\s*,"
        rf"\s*(?P<value>{_VALUE})\s*\)\s*;",
        it.text,
    )
    if one:
        return [(one["name"], one["value"])]
    whole = re.fullmatch(
        rf"{res}\.writeHead\(\s*200\s*,\s*\{{(?P<pairs>.*)\}}\s*\)\s*;", it.text, re.DOTALL
    )
    text = whole["pairs"].strip() if whole else ""
    found = list(_PAIR.finditer(text))
    known = "".join(pair[0] for pair in found) == text
    return [(pair["name"], pair["value"]) for pair in found] if known else []


def _quoted(name: str) -> str:
    return name if name[0] in "'\"" else f"'{name}'"


def _call_of(it: Code) -> _Call | None:
    found = _CALL.match(it.bare)
    if found is None:
        return None
    group = it.group(found.end())
    question = group.inside()
    whole = question.group(0) if question.bare.startswith("{") else question
    after = it.bare[found.end() + len(group.bare) :].strip()
    if whole.bare != question.bare.rstrip(", \n") or not whole.bare or after != ";":
        return None
    return _Call(found["name"], found["client"], whole.text)


def _frame_of(it: Code, res: str, stream: str) -> str:
    """The frame of a text, if writing it is all that the loop does; else empty."""
    found = _LOOP.match(it.bare)
    if found is None or found["name"] != stream:
        return ""
    event = found["event"]
    text = _only(it.part(found.end(), len(it.bare)))
    test = re.match(
        rf"if\s*\(\s*{event}\.type\s*===?\s*(?:'content_block_delta'|\"content_block_delta\")"
        rf"(?:\s*&&\s*{event}\.delta\.type\s*===?\s*(?:'text_delta'|\"text_delta\"))?\s*\)\s*",
        text.text,
    )
    if test is None:
        return ""
    write = _only(text.part(test.end(), len(text.bare))).text
    sent = re.fullmatch(rf"{res}\.write\(\s*{_json_frame()}\s*\)\s*;", write, re.DOTALL)
    frame = (sent["frame"] or sent["joined"]).strip() if sent else ""
    mark = f"{event}.delta.text"
    if frame.count(mark) != 1 or not _is_literal(frame, rf"{_VALUE}|{re.escape(mark)}"):
        return ""
    return frame.replace(mark, "event.delta.text")


def _only(block: Code) -> Code:
    """The one statement of a block, or the statement that stands without one; else nothing."""
    if not block.bare.startswith("{"):
        return block
    found = statements(block.inside()) if block.group(0).bare == block.bare else None
    return found[0] if found and len(found) == 1 else Code("", "")


def _json_frame() -> str:
    return (
        r"(?:`data: \$\{\s*JSON\.stringify\((?P<frame>.*)\)\s*\}\\n\\n`"
        r"|(?:'data: '|\"data: \")\s*\+\s*JSON\.stringify\((?P<joined>.*)\)\s*\+\s*"
        r"(?:'\\n\\n'|\"\\n\\n\"))"
    )


def _is_literal(text: str, value: str) -> bool:
    """Whether it is an object literal of nothing but such values, two levels deep at most."""
    name = rf"(?:{_STRING}|\w+)"

    def of(inner: str) -> str:
        pair = rf"\s*{name}\s*:\s*(?:{inner})\s*"
        return rf"\{{{pair}(?:,{pair})*,?\s*\}}"

    return re.fullmatch(of(f"{value}|{of(value)}"), text) is not None


def _ends_response(it: Code, res: str) -> bool:
    return re.fullmatch(rf"{res}\.end\(\)\s*;", it.bare) is not None


def _ending_of(rest: Sequence[Code], res: str) -> tuple[str, tuple[str, ...]] | None:
    """(the statement that sends the end frame, the logs after it); None if there is more."""
    last, farewell = "", []
    for it in rest:
        if _FAREWELL.fullmatch(it.text):
            farewell.append(it.text)
        elif not _ends_response(it, res):
            sends = "" if last or farewell else _last_of(it, res)
            if not sends:
                return None
            last = sends
    return last, tuple(farewell)


def _last_of(it: Code, res: str) -> str:
    """How the machinery sends their end frame; empty if it is none, or not made of literals."""
    sent = re.fullmatch(rf"{res}\.write\(\s*{_json_frame()}\s*\)\s*;", it.text, re.DOTALL)
    if sent:
        frame = (sent["frame"] or sent["joined"]).strip()
        return f"send({frame});" if _is_literal(frame, _VALUE) else ""
    raw = re.fullmatch(rf"{res}\.write\(\s*(?P<raw>{_RAW_END})\s*\)\s*;", it.text)
    return f"res.write({raw['raw']});" if raw else ""
