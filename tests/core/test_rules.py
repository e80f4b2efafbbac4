"""The rules are rows of a page: each says its verdict first. test_lifecycle shows each."""

from __future__ import annotations

import pytest

from finalstop.core.rules import Rule


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_says_its_verdict_and_then_what_it_is_about(rule):
    verdict, colon, what = rule.value.partition(": ")
    assert verdict in {"forgiven", "invalid"}
    assert colon
    assert len(what) > 20
