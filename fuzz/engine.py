"""The fuzzer of our own: seeded mutation, and the corpus that grows by what an input adds.

It needs nothing installed; `guided` runs the coverage-guided one that does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random
from typing import Final

from msgspec import Struct

from fuzz.corpus import shown
from fuzz.coverage import Feature, features_of
from fuzz.mutate import mutate
from fuzz.target import Target, WrongError

# Pieces that minimising tries to leave out: halves first, then down to single bytes.
PIECES: Final = (2, 4, 8, 16, 32, 64, 128)
# It is enough that an input is small; the last byte is not worth more of a processor's time.
MINIMISE_S: Final = 0.3
# Inputs of which one target's corpus is told to be enough.
ENOUGH: Final = 400


class Found(Struct, frozen=True):
    """An input that must not do what it does."""

    target: str
    data: bytes
    what: str

    def __str__(self) -> str:
        again = f"python -m fuzz {self.target} --input '{shown(self.data)}'"
        return f"{self.target}: {self.what[:600]}\n  again: {again}"


class Run(Struct, frozen=True):
    """What a run of mutation came to."""

    inputs: int
    found: tuple[Found, ...]


def tried(target: Target, data: bytes) -> Found | None:
    """Judge one input; what is wrong with it, if anything."""
    try:
        target.judge(data)
    except WrongError as error:
        return Found(target.name, data, str(error))
    except Exception as error:  # noqa: BLE001 - that none of them comes out is what is judged
        return Found(target.name, data, f"{type(error).__name__}: {error}")
    return None


def mutated(target: Target, corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Inputs without end; the same seed and corpus, the same inputs."""
    dice = Random(f"{target.name} {seed}")
    inputs = list(corpus) or list(target.seeds())
    while True:
        yield mutate(dice.choice(inputs), dice.choice(inputs), target, dice)


def run(target: Target, corpus: Sequence[bytes], *, seed: int, seconds: float) -> Run:
    """Mutate for so many seconds of this process's own time; stop at the first finding."""
    until = time.process_time() + seconds
    for count, data in enumerate(mutated(target, corpus, seed), 1):
        found = tried(target, data)
        if found is not None:
            return Run(count, (found,))
        if time.process_time() >= until:
            return Run(count, ())
    raise AssertionError("inputs without end have ended")


def grow(target: Target, corpus: Sequence[bytes], *, seed: int, seconds: float) -> list[bytes]:
    """The corpus and what mutation adds to it within so many seconds, minimised.

    An input is kept if it takes a step of the product that none before it took, or takes it about
    twice as often, or has a verdict of its own. It is then cut down as far as that stays so. What
    the corpus held before stays in it.

    Raises:
        WrongError: an input does what it must not.
    """
    until = time.monotonic() + seconds
    kept = list(corpus)
    seen: set[Feature] = set()
    for data in corpus:
        seen |= _features(target, data)
    for data in chain(target.seeds(), _bred(target, kept, seed)):
        if time.monotonic() >= until or len(kept) >= ENOUGH:
            break
        _keep_new(target, data[: target.bytes_max], seen, kept)
    return kept


def _bred(target: Target, kept: list[bytes], seed: int) -> Iterator[bytes]:
    dice = Random(f"{target.name} {seed}")
    while True:
        yield mutate(dice.choice(kept), dice.choice(kept), target, dice)


def _keep_new(target: Target, data: bytes, seen: set[Feature], kept: list[bytes]) -> None:
    new = _features(target, data) - seen
    if new:
        small = minimised(target, data, new)
        seen |= _features(target, small)
        kept.append(small)


def _features(target: Target, data: bytes) -> set[Feature]:
    try:
        return features_of(target.judge, data) if target.traced else {target.judge(data)}
    except Exception as error:
        found = tried(target, data) or f"{target.name}: only once: {error}: {shown(data)}"
        raise WrongError(str(found)) from error


def minimised(target: Target, data: bytes, wanted: set[Feature]) -> bytes:
    """The input with as many pieces left out as still show all that is `wanted` of it.

    Raises:
        WrongError: a shorter one does what it must not.
    """
    until = time.process_time() + MINIMISE_S
    for pieces in PIECES:
        size = max(1, len(data) // pieces)
        at = 0
        while at < len(data) and time.process_time() < until:
            shorter = data[:at] + data[at + size :]
            if wanted <= _features(target, shorter):
                data = shorter
            else:
                at += size
        if size == 1:
            break
    return data
