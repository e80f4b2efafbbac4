"""The popular advice for a stream that hangs, held against what is true: facts in a table.

Shown with what it is about, never alone, and to whom it is given: what is said of one SDK is no
advice for a program in another language. Measured with the TypeScript SDK 1.12.0 and 0.24.3;
`docs/topics/why-streams-hang.md` has the commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from finalstop.doctor.stacks import Language, Told, language_of


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice: what it cures, what it does not. `language`: None is every one."""

    says: str
    cures: str
    leaves: str
    language: Language | None = None


_JS, _PY = Language.JAVASCRIPT, Language.PYTHON

ADVICE: Final[tuple[Advice, ...]] = (
    Advice(
        "break on `message_stop`",
        "an upstream body that stays open after `message_stop`, with SDK 0.37 or newer",
        "a stall, pings for ever, no head; and a cut answer still looks whole",
        _JS,
    ),
    Advice(
        "`await finalMessage()` after the loop",
        "a cut answer then throws, and so does an error that the iterator lost",
        "every hang: it waits for the end of the body, too, and after the loop it is never reached",
        _JS,
    ),
    Advice(
        "both together",
        "nothing",
        "everything: `break` aborts the call, and `finalMessage()` then always throws",
        _JS,
    ),
    Advice(
        "flush the headers",
        "a head that is held back",
        "every hang; and a 429 or 529 can no longer be a status",
    ),
    Advice(
        "send keep-alive comments",
        "proxies that cut silent connections",
        "every hang, and it hides the stall from everyone on the way",
    ),
    Advice("the SDK's `timeout`", "in TypeScript the wait for the head", "every stall", _JS),
    Advice(
        "the SDK's `timeout`",
        "in Python silence, also mid-answer",
        "pings for ever: each one starts it anew",
        _PY,
    ),
    Advice(
        "timers on content, and an end to the call when one runs out",
        "every stall and every hang",
        "what a cut answer says: for that, the upstream's own end must have been seen",
    ),
)

# The findings beside which it is worth saying.
HANGS: Final = frozenset(
    {
        "open_after_terminal",
        "hangs_on_stall",
        "pings_mask_stall",
        "hangs_without_head",
        "truncation_looks_complete",
        "still_open",
    }
)


def advice_for(stacks: tuple[Told, ...]) -> tuple[Advice, ...]:
    """The pieces for the language of the handler; where that is unknown, for any language."""
    spoken = {None, language_of(stacks)}
    return tuple(it for it in ADVICE if it.language in spoken)
