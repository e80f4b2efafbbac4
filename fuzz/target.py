"""What a fuzz target is: a judge of bytes, and what a fuzzer needs to feed it well.

A judge returns its verdict, in words, or raises. What a target takes apart, this may not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

# What separates the words of a verdict.
GAP: Final = " "


class WrongError(AssertionError):
    """What came out is no documented ending or error, or differs by how the bytes came."""


class Target(Struct, frozen=True, kw_only=True):
    """One thing to fuzz.

    Args:
        name: as a command line names it.
        says: one line for a person.
        judge: takes an input whole and byte by byte, where it can come so; returns the verdict,
            a short text, the same one for the same input. Raises for whatever must not be.
        seeds: inputs to begin with.
        words: what a mutator puts in: the words of the grammar.
        worst: name -> an input of a given size, made to be slow; each must be linear.
        feed: takes such an input once, as fast as it can; the judge's own checks left out.
        worst_size: the size that doubling begins with.
        bytes_max: longer inputs are cut.
        traced: whether the corpus grows by the steps of the product that an input takes; else by
            verdicts alone, where tracing would take too long.
    """

    name: str
    says: str
    judge: Callable[[bytes], str]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes]
    worst: Mapping[str, Callable[[int], bytes]]
    feed: Callable[[bytes], object]
    worst_size: int = 20_000
    bytes_max: int = 512
    traced: bool = True


def want(holds: object, what: str) -> None:
    """Complain unless it holds.

    Raises:
        WrongError: it does not.
    """
    if not holds:
        raise WrongError(what)


def bytewise(data: bytes) -> list[bytes]:
    """One chunk per byte."""
    return [data[at : at + 1] for at in range(len(data))]


def bucket(count: int) -> int:
    """A number to tell few from many: 0, 1, 2, 3, 4 for up to 7, 8 for up to 15, and so on."""
    return count if count < 4 else 1 << (count.bit_length() - 1)
