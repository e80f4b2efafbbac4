"""JavaScript taken apart as far as a safe patch needs it: what is code, brackets, statements.

No parser: whatever is not certain (a slash that may begin a regular expression, a bracket that
never closes) is said to be unknown, and then nobody changes it. It may not know what a handler is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_CLOSING: Final = {"(": ")", "{": "}", "[": "]"}
_BLOCK: Final = re.compile(r"(?:try|for|if|while|do|switch|function|async\s+function|class)\b|\{")
_GOES_ON: Final = re.compile(r"\s*(?:catch|finally|else)\b")


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of a program, twice: as it stands, and with its strings and comments blanked.

    Both have the same length, so that what is found in `bare` can be taken from `text`.
    """

    text: str
    bare: str

    def part(self, start: int, end: int) -> Code:
        """What stands from `start` to `end`, without the blanks around it."""
        bare = self.bare[start:end]
        left = start + len(bare) - len(bare.lstrip())
        right = max(left, end - (len(bare) - len(bare.rstrip())))
        return Code(self.text[left:right], self.bare[left:right])

    def group(self, start: int) -> Code:
        """The bracketed code that begins at `start`, brackets included; empty if there is none."""
        end = _group_end(self.bare, start)
        return Code(self.text[start:end], self.bare[start:end])

    def inside(self) -> Code:
        """What stands between its first and its last character."""
        return self.part(1, len(self.bare) - 1)

    def says(self, words: str) -> bool:
        """Whether one of the words (`a|b`) is in it as a name, and not as a member's."""
        return re.search(rf"(?<![.\w$])(?:{words})(?![\w$])", self.bare) is not None


def code_of(text: str) -> Code:
    """A program with its strings' insides and its comments blanked."""
    pieces: list[str] = []
    place = 0
    while place < len(text):
        end = _after_quoted(text, place)
        if end > place:
            pieces.append(_blanked(text[place:end]))
        else:
            end = place + 1
            pieces.append(text[place])
        place = end
    return Code(text, "".join(pieces))


def statements(block: Code) -> tuple[Code, ...] | None:
    """The statements of a block's inside, each with its semicolon; None if that is not certain."""
    if "/" in block.bare:
        return None
    found: list[Code] = []
    start = 0
    for end in _ends(block.bare):
        if end < 0:
            return None
        found.append(block.part(start, end))
        start = end
    rest = block.part(start, len(block.bare))
    return (*found, rest) if rest.bare else tuple(found)


def _ends(bare: str) -> Iterator[int]:
    """Where each statement is over; -1 where a bracket is never closed."""
    place, start = 0, 0
    while place < len(bare):
        if bare[place] in _CLOSING:
            end = _group_end(bare, place)
            if end == place:
                yield -1
                return
            block = bare[place] == "{" and _BLOCK.match(bare[start:].lstrip())
            place = end
            if not block or _GOES_ON.match(bare, end):
                continue
        elif bare[place] == ";":
            place += 1
        else:
            place += 1
            continue
        yield place
        start = place


def _group_end(bare: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; `start` itself if there is none."""
    waiting: list[str] = []
    for place in range(start, len(bare)):
        character = bare[place]
        if character in _CLOSING:
            waiting.append(_CLOSING[character])
        elif character in ")}]" and (not waiting or waiting.pop() != character):
            return start
        if not waiting:
            return place + 1 if place > start else start
    return start


def _blanked(quoted: str) -> str:
    """Strings keep their quotes, if both are there, comments nothing; lines stay lines."""
    bare = "".join("\n" if it == "\n" else " " for it in quoted)
    closed = len(quoted) > 1 and quoted[0] == quoted[-1] and quoted[0] != "/"
    return f"{quoted[0]}{bare[1:-1]}{quoted[-1]}" if closed else bare


def _after_quoted(text: str, start: int) -> int:
    """Where a string, a template or a comment that begins at `start` is over; else `start`."""
    for opening, closing in (("//", "\n"), ("/*", "*/")):
        if text.startswith(opening, start):
            end = text.find(closing, start + 2)
            return len(text) if end < 0 else end + len(closing)
    quote, place = text[start], start + 1
    if quote not in "'\"`":
        return start
    while place < len(text) and text[place] != quote:
        if quote == "`" and text.startswith("${", place):
            place = _after_hole(text, place + 2)
            continue
        place += 2 if text[place] == "\\" else 1
    return min(place + 1, len(text))


def _after_hole(text: str, start: int) -> int:
    """Where the expression in a template's `${…}` is over, its bracket included."""
    depth, place = 1, start
    while place < len(text) and depth:
        end = _after_quoted(text, place)
        if end > place:
            place = end
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
    return place
