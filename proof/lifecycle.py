"""Every input in every state of the real state machine, breadth first.

The machine under search is `finalstop.core.lifecycle.Lifecycle` itself, with limits so small that
each is met within a few steps. Every step is checked against the laws below and against a second
opinion that knows only the history (tests/core/model.py). States that decide alike are one: what
`key_of` leaves out must change nothing but the wording of a receipt, and that is checked too, by
giving every input to both of two states whose keys are equal.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final

from finalstop.core.endings import EndReason
from finalstop.core.events import Deltas, Event, Ping
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.receipt import Ended
from finalstop.core.transitions import TRANSITIONS, Move, Phase
from proof.inputs import ALPHABET, LIMITS, AllKept, Given, Input, LastBatchRefused, Later
from proof.ledger import Figures, ProofError
from proof.states import State, Verdict, fork, key_of, told
from tests import builders as b
from tests.core.model import Model
from tests.core.receipts import check_receipt
from tests.core.score import Act, End, Eof, LogRefused, Refused, Written, perform

# Of the states that turn out to be known already, one in so many is compared with the known one.
COMPARED_EVERY: Final = 40

Edge = tuple[Phase, Move, Phase]


@dataclass
class Found:
    """What the search has seen."""

    states: int = 0
    transitions: int = 0
    terminals: int = 0
    compared: int = 0
    depth: int = 0
    exhausted: bool = False
    verdicts: set[Verdict] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)
    reasons: Counter[EndReason] = field(default_factory=Counter)


def main(argv: Sequence[str]) -> Figures:
    """Search all there is, or only to `--depth` inputs."""
    parser = argparse.ArgumentParser(prog="python -m proof lifecycle", description=__doc__)
    parser.add_argument("--depth", type=int, help="stop here; without it, when nothing is new")
    found = search(parser.parse_args(argv).depth)
    check_edges(found.edges)
    check_reasons(found.reasons)
    return figures_of(found)


def figures_of(found: Found) -> Figures:
    """What the search has seen, in words."""
    return {
        "inputs tried in every state": len(ALPHABET),
        "live states": found.states,
        "inputs to the state that is farthest off": found.depth,
        "states beyond these": "none: the search came to its end" if found.exhausted else "some",
        "transitions": found.transitions,
        "of these into a terminal": found.terminals,
        "pairs of states under one key, compared on every input": found.compared,
        "edges of the transition table taken": f"{len(found.edges)} of {len(table_edges())}",
        "end reasons met": f"{len(found.reasons)} of {len(EndReason)}",
        "violations": 0,
    }


# -- the search -----------------------------------------------------------------------------------


def search(depth: int | None = None, *, alphabet: Sequence[Input] = ALPHABET) -> Found:
    """Give every input of `alphabet` to every state that `depth` inputs can reach; None: to all.

    Raises:
        ProofError: a law is broken; the message holds the shortest trail that shows it.
    """
    found = Found()
    first = State(Lifecycle("s1", LIMITS, now=0.0), Model(LIMITS, 0.0))
    known = {key_of(first): first}
    queue = deque([first])
    merged = 0
    while queue:
        state = queue.popleft()
        if len(state.trail) == depth:
            return found
        found.depth = len(state.trail)
        found.states += 1
        check_bound(state)
        for given in usable(alphabet, state):
            found.transitions += 1
            after, _ = step(state, given, found)
            if after is None:
                continue
            twin = known.setdefault(key_of(after), after)
            if twin is after:
                queue.append(after)
                continue
            merged += 1
            if merged % COMPARED_EVERY == 0:
                check_alike(after, twin, alphabet)
                found.compared += 1
    found.exhausted = True
    return found


def usable(alphabet: Sequence[Input], state: State) -> Iterator[Input]:
    """The inputs that can be given now: past its deadline a stream is not left unlooked at."""
    for given in alphabet:
        unseen = isinstance(given.given, Later) and not given.given.tick
        if not (unseen and state.now >= LIMITS.deadline_s):
            yield given


def step(state: State, given: Input, found: Found | None = None) -> tuple[State | None, Verdict]:
    """Give one input: the state after it (None once ended), and what came out, in short."""
    life, model = fork(state.life), copy(state.model)
    before, seq = life.phase, len(model.said)
    trail = (*state.trail, given)

    def with_trail(what: str) -> ProofError:
        return ProofError(f"{what}; after: {named(trail)}")

    try:
        now, out, expected, kept = perform_both(life, model, given, state)
    except Exception as error:
        raise with_trail(f"{type(error).__name__}: {error}") from error
    seen = [it.reason if isinstance(it, Ended) else it for it in b.apart(out)]
    if seen != expected:
        raise with_trail(f"came {short(seen)}, not {short(expected)}")
    if life.ended is None:
        if life.next_wakeup != model.wakeup:
            raise with_trail(f"wakes at {life.next_wakeup:g}, not {model.wakeup:g}")
        if found is not None and given.move is not None:
            found.edges.add((before, given.move, life.phase))
        kept = seq if isinstance(given.given, Event | tuple) else kept
        return State(life, model, now, kept, trail), tuple(map(id, out))
    if complaint := check_receipt(life.ended, out, model, now):
        raise with_trail(complaint)
    if found is not None:
        found.terminals += 1
        if (verdict := told(life.ended)) not in found.verdicts:
            found.verdicts.add(verdict)
            if complaint := not_absorbing(life, now):
                raise with_trail(complaint)
        found.reasons[life.ended.reason] += 1
        own_word = life.ended.reason in {EndReason.COMPLETE, EndReason.UPSTREAM_ERROR}
        if given.move is not None and own_word:
            found.edges.add((before, given.move, life.phase))
    return None, (*(id(it.json) for it in b.apart(out)[:-1]), *told(life.ended))


def perform_both(
    life: Lifecycle, model: Model, given: Input, state: State
) -> tuple[float, Sequence[Event | Deltas | Ended], list[Event | EndReason], int]:
    """Give the input to the machine and to the second opinion; return the time and both answers."""
    now = state.now
    match given.given:
        case Later(seconds=seconds, tick=tick):
            now = life.next_wakeup if seconds is None else now + seconds
            out = life.tick(now=now) if tick else []
            return now, out, ended_by(model, model.time(now) if tick else None), state.kept
        case LastBatchRefused() | AllKept() as refusal:
            accepted = len(model.said) if isinstance(refusal, AllKept) else state.kept
            model.said = model.said[:accepted]
            out = life.log_refused(accepted, "full", now=now)
            return now, out, ended_by(model, EndReason.LOG_FAILED), state.kept
        case Event() as event:
            return now, life.receive([event], now=now), heard(model, (event,), now), state.kept
        case tuple() as events:
            said = life.receive(events, now=now)
            return now, said, heard(model, events, now), state.kept
        case act:
            if isinstance(act, Written):
                model.written(now)
            return now, perform(life, act, now), ended_by(model, reason_of(act)), state.kept


def heard(model: Model, batch: Sequence[Event | Deltas], now: float) -> list[Event | EndReason]:
    """What the second opinion says must come of `batch`."""
    out: list[Event | EndReason] = []
    for event in b.apart(batch):
        assert isinstance(event, Event)
        if isinstance(event.payload, Ping):
            continue
        model.reason = model.hear(event, now)
        out.append(event if model.reason is None else model.reason)
        if model.reason is not None:
            break
    return out


def ended_by(model: Model, reason: EndReason | None) -> list[Event | EndReason]:
    """What must come of an ending, or of None."""
    model.reason = reason
    return [] if reason is None else [reason]


def reason_of(act: Act) -> EndReason | None:
    """The end reason that an act stands for, if it ends a stream."""
    match act:
        case Eof():
            return EndReason.TRUNCATED
        case Refused():
            return EndReason.UPSTREAM_ERROR
        case End(reason=reason):
            return reason
        case LogRefused():
            return EndReason.LOG_FAILED
        case _:
            return None


# -- the laws -------------------------------------------------------------------------------------


def check_bound(state: State) -> None:
    """Every live state ends by time alone, at its wake-up and not before, by its deadline."""
    wakeup = state.life.next_wakeup
    early = fork(state.life).tick(now=math.nextafter(max(wakeup, state.now), -math.inf))
    late = fork(state.life).tick(now=max(wakeup, state.now))
    overrun = wakeup <= state.now  # nobody has looked since a limit ran out
    if wakeup > LIMITS.deadline_s or len(late) != 1 or (early and not overrun):
        raise ProofError(f"not bounded by its wake-up {wakeup:g}; after: {named(state.trail)}")


def not_absorbing(life: Lifecycle, now: float) -> str:
    """What an ended stream still does, if anything."""
    ended = life.ended
    assert ended is not None
    for each in ALPHABET:
        if given_late(life, each.given, now) or life.ended is not ended:
            return f"an ended stream answered {each.name}"
    if life.phase is not Phase.ENDED or life.next_wakeup != math.inf:
        return f"an ended stream is {life.phase} and wakes at {life.next_wakeup:g}"
    return ""


def given_late(life: Lifecycle, given: Given, now: float) -> Sequence[Event | Deltas | Ended]:
    """Give an ended stream one more input; return what it answers, which must be nothing."""
    match given:
        case Event() as event:
            return life.receive([event], now=now)
        case tuple() as events:
            return life.receive(events, now=now)
        case LastBatchRefused() | AllKept():
            return life.log_refused(0, "full", now=now)
        case Later():
            return life.tick(now=LIMITS.deadline_s + 100)
        case act:
            return perform(life, act, now)


def check_alike(one: State, other: State, alphabet: Sequence[Input]) -> None:
    """Two states under one key must answer every input alike, and be alike after it.

    And a state that was copied at each step must be what the same inputs make of a new stream.
    """
    if key_of(replayed(one.trail)) != key_of(one):
        raise ProofError(f"the copy is not the original; after: {named(one.trail)}")
    for given in usable(alphabet, one):
        (after, came), (other_after, other_came) = step(one, given), step(other, given)
        keys = [None if it is None else key_of(it) for it in (after, other_after)]
        if came != other_came or keys[0] != keys[1]:
            trails = f"{named(one.trail)}\nand: {named(other.trail)}"
            raise ProofError(f"the key hides what {given.name!r} shows; after: {trails}")


def replayed(trail: Sequence[Input]) -> State:
    """A new stream, given the same inputs one after the other, with no copy in between."""
    life, model = Lifecycle("s1", LIMITS, now=0.0), Model(LIMITS, 0.0)
    state = State(life, model, trail=tuple(trail))
    for given in trail:
        seq = len(model.said)
        now, _, _, _ = perform_both(life, model, given, state)
        kept = seq if isinstance(given.given, Event | tuple) else state.kept
        state = State(life, model, now, kept, state.trail)
    return state


def table_edges() -> set[Edge]:
    """Every edge of the table that docs/reference/lifecycle.md draws."""
    return {(a, move, z) for a, moves in TRANSITIONS.items() for move, z in moves.items()}


def check_edges(edges: set[Edge]) -> None:
    """The search must have taken every edge of the table, and no other."""
    if edges != table_edges():
        odd = sorted(map(str, edges ^ table_edges()))
        raise ProofError(f"the edges taken are not those of the table: {odd}")


def check_reasons(reasons: Counter[EndReason]) -> None:
    """Every end reason must have been met."""
    if missing := set(EndReason) - set(reasons):
        raise ProofError(f"end reasons that no input led to: {sorted(missing)}")


# -- words ----------------------------------------------------------------------------------------


def named(trail: Sequence[Input]) -> str:
    """A trail as a person reads it."""
    return ", ".join(each.name for each in trail) or "nothing"


def short(out: Sequence[Event | EndReason]) -> str:
    """What came out, as a person reads it."""
    return str([it.type if isinstance(it, Event) else str(it) for it in out])
