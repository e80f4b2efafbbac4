from __future__ import annotations

import pytest

from bench.figures import Figure, figure_of, rotated


def test_a_figure_is_the_median_with_its_span():
    assert figure_of([3.0, 1.0, 2.0]) == Figure(median=2.0, least=1.0, most=3.0, rounds=3)
    assert figure_of([16.14, 15.8, 16.9]).text() == "16.1 (15.8..16.9)"


def test_one_round_has_no_span():
    assert figure_of([1234.5]).text(0) == "1,234"


def test_no_round_is_no_figure():
    with pytest.raises(ValueError, match="at least one round"):
        figure_of([])


def test_everybody_is_first_equally_often():
    orders = [rotated(["a", "b", "c"], number) for number in range(3)]
    assert [order[0] for order in orders] == ["a", "b", "c"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert rotated([], 1) == []
