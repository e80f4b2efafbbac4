"""What to change: for each finding a sentence, and for the stacks told apart a unified diff.

A diff is made by difflib from two files of `remedies/<stack>/<cure>/`, of which the second is a
tested program, and says that it is an example; or, where the person's own source has the known
shape, from that, and applies to it. It may not know what was seen.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from finalstop.doctor.finding import Cure, Fix
from finalstop.doctor.fixes_express import rewritten
from finalstop.doctor.fixes_words import fix_words
from finalstop.doctor.stacks import HOPS, Stack, Told, handler_stack, hop, language_of

# What a stack without a remedy of its own is nearest to.
_NEAREST: Final = {
    Stack.SSE_STARLETTE: Stack.FASTAPI,
    Stack.AI_SDK: Stack.EXPRESS,
    Stack.NEXT: Stack.EXPRESS,
}
# What a proxy does is cured at the proxy first.
_AT_THE_HOP: Final = frozenset({Cure.BUFFERING, Cure.COMPRESSION, Cure.IDLE_LIMIT, Cure.FRAMING})


def fix_for(name: str, cure: Cure, stacks: tuple[Told, ...], sources: Mapping[str, str]) -> Fix:
    """The fix of a finding for the stacks that were told apart."""
    words = fix_words(name, language_of(stacks))
    if cure is Cure.HANDLER:
        return _for_handler(words, handler_stack(stacks), sources)
    first, second = hop(stacks), handler_stack(stacks)
    for stack in (first, second) if cure in _AT_THE_HOP else ():
        if stack and (diff := _remedy(stack, cure)):
            return Fix(words, diff, stack)
    return Fix(words)


def _for_handler(words: str, stack: Stack | None, sources: Mapping[str, str]) -> Fix:
    if stack is Stack.EXPRESS:
        for name, text in sources.items():
            if new := rewritten(text):
                return Fix(words, unified(text, new, name), stack, yours=True)
    near = _NEAREST.get(stack, stack) if stack else None
    diff = _remedy(near, Cure.HANDLER) if near else ""
    return Fix(words, diff, near or "") if diff else Fix(words)


def unified(before: str, after: str, name: str) -> str:
    """A unified diff of a file that `patch -p1` applies."""
    return _compared(before, after, f"a/{name}", f"b/{name}")


def example(stack: Stack, name: str, before: str, after: str) -> str:
    """A unified diff to read, which names no file of theirs: first a line that says so."""
    ending = name.rpartition(".")[2]
    said = f"An example for {stack}, not your file: what is often written, and what is right.\n"
    return said + _compared(before, after, f"example/before.{ending}", f"example/after.{ending}")


def _compared(before: str, after: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        _ended(before).splitlines(keepends=True), _ended(after).splitlines(keepends=True), old, new
    )
    return "".join(lines)


def remedies() -> dict[tuple[Stack, Cure], tuple[str, str, str]]:
    """(stack, cure) -> (file name, before, after): all there are."""
    return {
        (stack, cure): found for stack in Stack for cure in Cure if (found := _files(stack, cure))
    }


@cache
def _remedy(stack: Stack, cure: Cure) -> str:
    found = _files(stack, cure)
    if found is None:
        return ""
    return example(stack, *found)


def _files(stack: Stack, cure: Cure) -> tuple[str, str, str] | None:
    folder = files("finalstop.doctor").joinpath("remedies", stack.value, cure.value)
    if not folder.is_dir():
        return None
    texts = {it.name: it for it in folder.iterdir() if it.name.startswith(("before.", "after."))}
    before = next(name for name in texts if name.startswith("before."))
    ending = before.removeprefix("before.")
    return _name(stack, ending), _text(texts[before]), _text(texts[f"after.{ending}"])


def _name(stack: Stack, ending: str) -> str:
    # Python remedies are kept as text: they belong to other houses than this one.
    ending = ending.removesuffix(".txt")
    return f"{stack.value}.{ending}" if stack in HOPS else {"py": "app.py"}.get(ending, "server.js")


def _text(file: Traversable) -> str:
    return file.read_text("utf-8")


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
