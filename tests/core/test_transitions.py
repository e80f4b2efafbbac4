"""The table of transitions, and what each event asks of it."""

import pytest

from finalstop.core.events import Payload
from finalstop.core.transitions import GROWING, TRANSITIONS, Move, Phase, move_of
from tests import builders as b
from tests.core.expected import PAIRS


def test_every_phase_and_every_move_is_in_the_expected_table():
    assert {(phase, move) for phase, move, _ in PAIRS} == {(p, m) for p in Phase for m in Move}


@pytest.mark.parametrize(("phase", "move", "then"), PAIRS)
def test_the_table_of_transitions_is_the_expected_one(phase, move, then):
    assert TRANSITIONS[phase].get(move) is then


def test_a_block_may_grow_in_one_phase_and_growth_changes_none():
    assert {phase for phase, move, then in PAIRS if move is Move.GROW and then} == GROWING
    assert all(TRANSITIONS[phase][Move.GROW] is phase for phase in GROWING)


ASKED: list[tuple[Payload, Move | None]] = [
    (b.message_start().payload, Move.BEGIN),
    (b.text_start().payload, Move.OPEN),
    (b.text_delta("Hi").payload, Move.GROW),
    (b.block_stop().payload, Move.CLOSE),
    (b.message_delta(None).payload, Move.METER),
    (b.message_delta("end_turn").payload, Move.REPORT),
    (b.message_stop().payload, Move.FINISH),
    (b.error().payload, Move.FAIL),
    (b.unknown().payload, Move.OTHER),
    (b.ping().payload, None),
]


@pytest.mark.parametrize(("payload", "move"), ASKED)
def test_what_an_event_asks_for(payload, move):
    assert move_of(payload) is move


def test_every_move_is_asked_for_by_some_event():
    assert {move for _, move in ASKED} == {*Move, None}
