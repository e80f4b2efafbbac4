"""Run targets: replay the corpus, measure the worst inputs, and fuzz for a while.

`make fuzz ARGS="--seconds 60 sse"`; with no target all of them. `--input` judges one input, as a
finding prints it; `--grow` writes what mutation adds into the corpus.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Final

from fuzz import guided
from fuzz.corpus import hidden, load, save
from fuzz.engine import Found, Run, grow, run, tried
from fuzz.target import Target
from fuzz.targets.table import TARGETS
from proof.ledger import Figures, ProofError, Scalar

# Twice the input may take no more than so many times as long.
GROWTH_MAX: Final = 3.0
# Below this a clock measures the machine and not the code: the input is doubled until it is passed,
# at most so many times.
MEASURED_S: Final = 0.005
TRIES: Final = 3
DOUBLINGS_MAX: Final = 6


def main(argv: Sequence[str]) -> Figures:
    """The part `fuzz` of the proof.

    Raises:
        ProofError: an input does what it must not, or takes too long.
        SystemExit: no such target, or no such option.
    """
    asked = _asked(argv)
    targets = [TARGETS[name] for name in asked.target or TARGETS]
    if asked.input is not None:
        return _one(targets[0], hidden(asked.input))
    if asked.grow:
        return _grown(targets, seed=asked.seed, seconds=asked.seconds)
    own = asked.own or not guided.is_installed()
    rows = [_fuzzed(target, seed=asked.seed, seconds=asked.seconds, own=own) for target in targets]
    return {
        "seed": asked.seed,
        "findings": 0,
        "inputs in the corpus": sum(len(load(target.name)) for target in targets),
        "engine": "our own, no coverage" if own else "atheris, guided by coverage",
        "targets": rows,
    }


def replayed(target: Target) -> int:
    """Judge every input of the corpus; how many there are.

    Raises:
        ProofError: one does what it must not.
    """
    corpus = load(target.name)
    for data in corpus:
        _raise_if(tried(target, data))
    return len(corpus)


def growth(target: Target, kind: str) -> float:
    """How many times as long a worst input of twice the size takes: the least of a few tries.

    Raises:
        ProofError: more than `GROWTH_MAX`.
    """
    make, size = target.worst[kind], target.worst_size
    for _ in range(DOUBLINGS_MAX):
        if _seconds(target, make(size)) >= MEASURED_S:
            break
        size *= 2
    else:
        return 1.0  # so large, and no time to speak of: it is refused before it costs anything
    one, two = make(size), make(2 * size)
    least = min(_seconds(target, two) / _seconds(target, one) for _ in range(TRIES))
    if least < GROWTH_MAX:
        return least
    raise ProofError(f"{target.name}, {kind}: twice {size} bytes take {least:.1f} times as long")


def _seconds(target: Target, data: bytes) -> float:
    took = []
    for _ in range(TRIES):
        began = time.process_time()
        target.feed(data)
        took.append(time.process_time() - began)
    return max(min(took), 1e-6)


def _fuzzed(target: Target, *, seed: int, seconds: float, own: bool) -> dict[str, Scalar]:
    inputs = replayed(target)
    slowest = max(growth(target, kind) for kind in target.worst)
    if own:
        done, edges = run(target, load(target.name), seed=seed, seconds=seconds), 0
    else:
        done, edges = _guided(target, seed=seed, seconds=seconds)
    for found in done.found:
        _raise_if(found)
    return {
        "target": target.name,
        "corpus": inputs,
        "inputs tried": done.inputs,
        "edges": edges or "not counted",
        "worst growth at twice the size": round(slowest, 2),
    }


def _guided(target: Target, *, seed: int, seconds: float) -> tuple[Run, int]:
    try:
        return guided.run(target.name, seconds=seconds, seed=seed)
    except guided.GuidedError as error:
        raise ProofError(str(error)) from None


def _grown(targets: Sequence[Target], *, seed: int, seconds: float) -> Figures:
    for target in targets:
        save(target.name, grow(target, load(target.name), seed=seed, seconds=seconds))
    return {target.name: len(load(target.name)) for target in targets}


def _one(target: Target, data: bytes) -> Figures:
    _raise_if(tried(target, data))
    return {"verdict": target.judge(data)}


def _raise_if(found: Found | None) -> None:
    if found is not None:
        raise ProofError(str(found))


def _asked(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("target", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=10, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--own", action="store_true", help="our own mutation, without atheris")
    parser.add_argument("--grow", action="store_true", help="add to the corpus what is new")
    parser.add_argument("--input", help="judge one input, as a finding prints it")
    asked = parser.parse_args(argv)
    for name in asked.target:
        if name not in TARGETS:
            parser.error(f"there is no target {name!r}; choose from {', '.join(TARGETS)}")
    if asked.input is not None and len(asked.target) != 1:
        parser.error("--input wants one target")
    return asked
