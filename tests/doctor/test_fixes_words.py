"""The words of the fixes: whole sentences, in the imperative, that fit a table."""

from __future__ import annotations

import pytest

from finalstop.doctor.fixes_words import FIX_WORDS


@pytest.mark.parametrize("name", FIX_WORDS)
def test_a_fix_is_said_in_whole_sentences(name):
    said = FIX_WORDS[name]
    assert said[0].isupper()
    assert said.endswith(".")
    assert "|" not in said
    assert "  " not in said
