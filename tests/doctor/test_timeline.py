"""The byte timeline: a line of characters in which no terminal and no end is ever covered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalstop.doctor.chart import chart_of
from finalstop.doctor.observations import Case, Ending, Step
from finalstop.doctor.timeline import (
    LEGEND,
    MARKS_MAX,
    SYMBOLS,
    MarkKind,
    drawn,
    rows_of,
    ruler,
    scale,
)
from tests.doctor.exchanges import END, ERROR, NEVER, SILENT, A, asked, exchange, treated


def line_of(it, *, whole_s=4.0, columns=40):
    (row,) = rows_of(chart_of(asked(it)))
    return drawn(row, whole_s=whole_s, columns=columns)


DRAWN = [
    (exchange(A, A, END, head_s=0.5, every_s=0.5), ".....H|---|----+]"),
    (exchange(A, ERROR, head_s=0.5, every_s=0.5), ".....H|---!]"),
    (exchange(A, head_s=0.5, ending=NEVER, ended_s=2.0), ".....H|------------->"),
    (exchange(A, head_s=0.0, ending=Ending.RESET, ended_s=1.0), "H|--------x"),
    (exchange(A, ": k\n\n", "Oops", head_s=0.0, every_s=0.5), "H|---:----?]"),
    (exchange(status=None, ending=NEVER, ended_s=1.0), "..........>"),
]


@pytest.mark.parametrize(("it", "line"), DRAWN)
def test_an_exchange_is_drawn_in_one_line(it, line):
    # The first frame comes with the head, and steps aside by one column.
    later = exchange_later(it)
    assert line_of(later) == line


def exchange_later(it):
    """The first arrival, a moment after the head: its own column."""
    if not it.arrivals:
        return it
    first, *rest = it.arrivals
    moved = type(first)(first.at_s + 0.1, first.data, first.wire_bytes)
    return type(it)(
        **{name: getattr(it, name) for name in it.__slots__} | {"arrivals": (moved, *rest)}
    )


def test_what_came_at_once_steps_aside_instead_of_covering():
    assert line_of(exchange(A + END, head_s=0.0)).startswith("H+]")
    assert line_of(exchange(A + END + ERROR, head_s=0.0)) == "H+!]"


@pytest.mark.slow
@given(st.lists(st.sampled_from([A, END, ERROR, ": k\n\n", "x"]), max_size=30), st.floats(0, 9))
def test_the_head_and_the_end_are_always_seen(pieces, head_s):
    line = line_of(exchange(*pieces, head_s=head_s, every_s=0.01), whole_s=10.0, columns=20)
    assert "H" in line
    assert line.rstrip().endswith("]")
    assert len(line) <= 20 + len(pieces) + 4


def test_the_rows_are_the_trials_or_else_the_steps():
    treatment = rows_of(chart_of(treated()))
    assert [row.key for row in treatment] == [*(f"trial:{case}" for case in Case), "sigterm"]
    seen = asked(exchange(A), steps={Step.HEAD: exchange(), Step.LEAVE_MID_STREAM: exchange(A)})
    assert [row.key for row in rows_of(chart_of(seen))] == ["step:ask", "step:leave-mid-stream"]


def test_a_long_answer_is_thinned_and_its_terminal_kept():
    (row,) = rows_of(chart_of(asked(exchange(A * 1500 + END))))
    assert len(row.marks) <= MARKS_MAX + 5
    assert MarkKind.SUCCESS in {mark.kind for mark in row.marks}


def test_every_mark_has_a_symbol_of_its_own_and_the_legend_has_all():
    assert len(set(SYMBOLS.values())) == len(MarkKind)
    assert all(f"{SYMBOLS[it]} {it}" in LEGEND for it in MarkKind)


def test_the_ruler_is_as_wide_as_the_lines():
    rows = rows_of(chart_of(asked(SILENT)))
    assert scale(rows) == 3.0
    assert len(ruler(3.0, 40)) == 40
    assert scale(()) == 0.0
