"""The words of the fixes: whole sentences, in the imperative, that fit a table."""

from __future__ import annotations

import pytest

from finalstop.doctor.fixes_words import FIX_WORDS, fix_words
from finalstop.doctor.stacks import Language


@pytest.mark.parametrize("name", FIX_WORDS)
def test_a_fix_is_said_in_whole_sentences(name):
    for language in (None, *Language):
        _is_whole(fix_words(name, language))


def _is_whole(said):
    assert said[0].isupper()
    assert said.endswith(".")
    assert "|" not in said
    assert "  " not in said


@pytest.mark.parametrize("name", FIX_WORDS)
def test_nobody_is_told_how_it_is_done_in_another_language(name):
    for typescript in ("finalMessage", "maxRetries", "res.status", "===", "AbortController"):
        assert typescript not in fix_words(name, Language.PYTHON)
        assert typescript not in fix_words(name, None)
    for python in ("max_retries", "text_stream", "In Python"):
        assert python not in fix_words(name, Language.JAVASCRIPT)
        assert python not in fix_words(name, None)


def test_what_is_true_of_one_language_is_said_where_it_is_spoken():
    assert "`maxRetries: 0`" in fix_words("status_flattened", Language.JAVASCRIPT)
    assert "`max_retries=0`" in fix_words("status_flattened", Language.PYTHON)
