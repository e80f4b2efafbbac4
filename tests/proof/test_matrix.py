"""The fault matrix in virtual time: each cell that can exist, and a reason for the others."""

import pytest

from proof.simulation.matrix import (
    LOGS,
    PHASES,
    SURFACES,
    VIEWS,
    absences,
    absent,
    cells,
    wrongs,
)
from proof.simulation.plan import CLIENTS
from tests.faults.table import EXPECTED

GROUPS = [(surface, client) for surface in SURFACES for client in CLIENTS]


@pytest.mark.slow
@pytest.mark.timeout(300)  # it is all processor time, and a busy machine has little of that
@pytest.mark.parametrize(("surface", "client"), GROUPS)
def test_every_fault_at_every_phase_ends_once_and_says_why(surface, client, record_property):
    places = [it for it in cells() if it.surface == surface and it.client == client]
    found = {place: wrong for place in places if (wrong := wrongs(place))}
    hangs = sum(line.startswith("hang") for lines in found.values() for line in lines)
    figure = f"{surface}, {client}: {len(places)} cells, {hangs} hangs, {len(found)} not kept"
    record_property("figure", figure)
    assert not found, "".join(f"\n  {place}: {lines}" for place, lines in found.items())


def test_every_cell_of_the_grid_exists_or_says_why_not():
    grid = len(EXPECTED) * len(PHASES) * VIEWS
    assert len(SURFACES) * len(LOGS) * len(CLIENTS) == VIEWS
    assert len(list(cells())) + sum(absences().values()) == grid


def test_a_cell_is_absent_only_where_the_table_has_no_row():
    assert absent("eof", "mid-text") is None
    assert absent("eof", "before-dial") is not None
    assert "strikes in one place" in str(absent("missing-message-stop", "mid-text"))


def test_a_wrong_expectation_is_seen(monkeypatch):
    place = next(it for it in cells() if it.fault == "eof" and it.phase == "mid-text")
    assert wrongs(place) == []
    monkeypatch.setitem(EXPECTED, "eof", EXPECTED["error-overloaded"])
    assert any(line.startswith("reason") for line in wrongs(place))
