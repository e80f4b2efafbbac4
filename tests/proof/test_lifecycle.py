"""The exhaustive search, cut off early: every input in every state that few inputs reach.

`make prove ARGS=lifecycle` searches all of them.
"""

from __future__ import annotations

from collections import Counter

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.timers import next_wakeup
from proof import lifecycle, states
from proof.inputs import LIMITS
from proof.ledger import ProofError
from proof.lifecycle import check_edges, check_reasons, search, table_edges

DEPTH = 4


@pytest.mark.slow
def test_every_input_in_every_state_keeps_the_laws(record_property):
    found = search(DEPTH)
    check_edges(found.edges)
    check_reasons(found.reasons)
    said = f"{found.states} states, {found.transitions} transitions, 0 violations"
    record_property("figure", f"lifecycle, every input to depth {DEPTH}: {said}")
    assert found.terminals > found.states


@pytest.mark.slow
def test_a_machine_that_swallows_the_end_of_the_body_is_seen(monkeypatch):
    monkeypatch.setattr(Lifecycle, "eof", lambda self, **said: [])
    with pytest.raises(ProofError, match=r"came \[\], not \['truncated'\]; after: end of body"):
        search(DEPTH)


@pytest.mark.slow
def test_a_machine_that_raises_is_seen_with_what_was_given_to_it(monkeypatch):
    monkeypatch.setattr(Lifecycle, "_invalid", lambda *said: 1 / 0)
    with pytest.raises(ProofError, match=r"ZeroDivisionError.*; after: text block 0 opens"):
        search(DEPTH)


@pytest.mark.slow
def test_a_machine_that_sleeps_too_long_is_seen(monkeypatch):
    monkeypatch.setattr(
        Lifecycle,
        "next_wakeup",
        property(lambda self: next_wakeup(self.clocks, LIMITS) + 0.5),
    )
    with pytest.raises(ProofError, match=r"wakes at|not bounded"):
        search(DEPTH)


@pytest.mark.slow
def test_a_machine_that_says_two_last_words_is_seen(monkeypatch):
    one = Lifecycle.eof
    monkeypatch.setattr(Lifecycle, "eof", lambda self, **said: one(self, **said) * 2)
    with pytest.raises(ProofError, match=r"came \['truncated', 'truncated'\]"):
        search(DEPTH)


@pytest.mark.slow
def test_a_key_that_leaves_out_what_decides_is_seen(monkeypatch):
    monkeypatch.setattr(states, "TOLD_ONLY", states.TOLD_ONLY | {"_used"})
    monkeypatch.setattr(lifecycle, "COMPARED_EVERY", 1)
    with pytest.raises(ProofError, match="the key hides what 'text block 0 opens' shows"):
        search(5)


def test_an_edge_that_is_missing_or_new_is_seen():
    edge = next(iter(table_edges()))
    check_edges(table_edges())
    with pytest.raises(ProofError, match="the edges taken are not those of the table"):
        check_edges(table_edges() - {edge})


def test_a_reason_that_nothing_leads_to_is_seen():
    with pytest.raises(ProofError, match="owner_lost"):
        check_reasons(Counter(set(EndReason) - {EndReason.OWNER_LOST}))
