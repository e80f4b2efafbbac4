"""The words of the findings: each can stand alone, in a report and in a table."""

from __future__ import annotations

import pytest

from finalstop.doctor.findings import examine
from finalstop.doctor.findings_words import OPEN_UPSTREAM, WORDS
from finalstop.doctor.observations import Case
from tests.doctor.exchanges import END, NEVER, A, B, asked, exchange, treated


@pytest.mark.parametrize("name", WORDS)
def test_titles_and_reasons_are_clauses_without_their_full_stop(name):
    words = WORDS[name]
    for said in (words.title, words.why, words.hurts):
        assert said
        assert not said.endswith(".")
        assert "|" not in said
    assert len(words.title) <= 80


@pytest.mark.parametrize("name", WORDS)
def test_no_word_is_true_of_one_sdk_only(name):
    words = WORDS[name]
    said = f"{words.title} {words.why} {words.hurts}"
    assert "finalMessage" not in said
    assert "maxRetries" not in said
    assert "`message_stop`" not in words.title


def test_the_title_says_what_it_waits_for_where_that_was_seen():
    base = asked(exchange(A, END, ending=NEVER))
    never = treated({Case.NEVER_CLOSED: exchange(A, B, ending=NEVER)})
    titles = [examine(it)[0].title for it in (base, never)]
    assert titles == [WORDS["open_after_terminal"].title, OPEN_UPSTREAM]
    assert "body is not ended" in OPEN_UPSTREAM
