"""The words of the findings: each can stand alone, in a report and in a table."""

from __future__ import annotations

import pytest

from finalstop.doctor.findings_words import WORDS


@pytest.mark.parametrize("name", WORDS)
def test_titles_and_reasons_are_clauses_without_their_full_stop(name):
    words = WORDS[name]
    for said in (words.title, words.why, words.hurts):
        assert said
        assert not said.endswith(".")
        assert "|" not in said
    assert len(words.title) <= 80
