"""A state of the search: a live stream, how to copy it, and the key under which it is known.

The machine's own fields are read here and nowhere else in the proof.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from finalstop.core.account import Account
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.receipt import Ended
from finalstop.core.timers import Clocks
from proof.inputs import Input
from tests.core.model import Model

Verdict = tuple[Any, ...]


@dataclass(frozen=True)
class State:
    """A live stream, and how it came to be: `trail` names the inputs that lead here."""

    life: Lifecycle
    model: Model
    now: float = 0.0
    kept: int = 0  # entries in the log before the latest batch
    trail: tuple[Input, ...] = ()


def fork(life: Lifecycle) -> Lifecycle:
    """A second stream in the same state; what the one does the other does not see."""
    other = object.__new__(Lifecycle)
    copies: dict[int, Any] = {}
    for name, value in parts_of(life).items():
        setattr(other, name, copied(value, copies))
    return other


def parts_of(life: Lifecycle) -> dict[str, Any]:
    """All that a stream holds."""
    return {name: getattr(life, name) for name in Lifecycle.__slots__}


def copied(value: Any, copies: dict[int, Any]) -> Any:
    """A copy of what can change; what was one object in two places is one again."""
    if isinstance(value, dict | set | list | Clocks):
        return copies.setdefault(id(value), copy(value))
    if type(value) is tuple:
        return tuple(copied(item, copies) for item in value)
    return value


def key_of(state: State) -> Verdict:
    """All that decides what a live stream does next.

    Left out is what only a receipt tells: names, the request id, how many characters (but not
    whether any), and how long things took. Whatever else the machine holds is in the key.
    """
    parts = parts_of(state.life)
    assert state.life.ended is None
    clocks = state.life.clocks
    content_at, written_at = clocks.content_at, clocks.written_at
    ages = (
        state.now,
        None if content_at is None else state.now - content_at,
        written_at if content_at is None else None,
    )
    rest = [(name, frozen(value)) for name, value in parts.items() if name not in TOLD_ONLY]
    before = (bool(parts["_before"][0]), frozen(parts["_before"][1:]))
    return (ages, len(state.model.said) - state.kept, bool(parts["_characters"]), before, *rest)


# What is not taken as it is: told in a receipt only, or in the key in another form.
TOLD_ONLY: Final = {
    "clocks", "_stream", "_limits", "_resumable", "_request_id", "_characters", "_before",
}  # fmt: skip


def frozen(value: Any) -> Any:
    """A value as something to compare. The model's name is told only."""
    if isinstance(value, dict):
        return tuple(value.items())
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
    return replace(value, model=None) if isinstance(value, Account) else value


def told(ended: Ended) -> Verdict:
    """What a terminal says, without what `key_of` leaves out."""
    receipt = ended.receipt
    usage = receipt.usage
    decided = (receipt.reason, receipt.whole, receipt.stop_reason, receipt.last_seq, receipt.open)
    counts = (usage.status, usage.output_tokens, usage.output_tokens_at_least)
    return (*decided, *counts, receipt.retryable, receipt.party, ended.json, ended.status)
