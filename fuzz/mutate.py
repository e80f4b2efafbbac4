"""Mutations of an input, drawn from a seed: the same seed, the same inputs. Knows no target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from fuzz.target import Target

MOVES_MAX: Final = 6
SPAN_MAX: Final = 24

Mutation = Callable[[bytearray, Random], None]


def mutate(data: bytes, other: bytes, target: Target, dice: Random) -> bytes:
    """A few changes to `data`; `other` is another input to take pieces from."""
    out = bytearray(data)
    for _ in range(1 + dice.randrange(MOVES_MAX)):
        choice = dice.random()
        if choice < 0.35 and target.words:
            _put(out, dice.choice(target.words), dice)
        elif choice < 0.5 and other:
            _put(out, _span(other, dice), dice)
        else:
            dice.choice(MUTATIONS)(out, dice)
    return bytes(out[: target.bytes_max])


def _put(out: bytearray, piece: bytes, dice: Random) -> None:
    """Put a piece in, or over what is there."""
    at = dice.randrange(len(out) + 1)
    over = len(piece) if dice.random() < 0.3 else 0
    out[at : at + over] = piece


def _span(data: Sequence[int], dice: Random) -> bytes:
    at = dice.randrange(len(data))
    return bytes(data[at : at + 1 + dice.randrange(SPAN_MAX)])


def _delete(out: bytearray, dice: Random) -> None:
    if out:
        at = dice.randrange(len(out))
        del out[at : at + 1 + dice.randrange(SPAN_MAX)]


def _repeat(out: bytearray, dice: Random) -> None:
    if out:
        at = dice.randrange(len(out) + 1)
        out[at:at] = _span(out, dice) * (1 + dice.randrange(4))


def _flip(out: bytearray, dice: Random) -> None:
    if out:
        out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)


def _byte(out: bytearray, dice: Random) -> None:
    out.insert(dice.randrange(len(out) + 1), dice.randrange(256))


def _digit(out: bytearray, dice: Random) -> None:
    """Change a number, where there is one."""
    places = [at for at, byte in enumerate(out) if 48 <= byte <= 57]
    if places:
        out[dice.choice(places)] = 48 + dice.randrange(10)


def _cut(out: bytearray, dice: Random) -> None:
    if out:
        del out[dice.randrange(len(out)) :]


MUTATIONS: Final[Sequence[Mutation]] = (_delete, _delete, _repeat, _flip, _byte, _digit, _cut)
