"""The words: sensible, repeatable, and cut without loss."""

from random import Random

import pytest

from finalstop.simulator import prose


@pytest.mark.parametrize("seed", range(12))
def test_the_explanation_is_some_paragraphs_of_a_readable_length(seed):
    text = prose.explanation(Random(seed), prompt="Why is the ocean salty?")
    assert 150 <= len(text.split()) <= 260
    assert text.count("\n\n") == 4
    assert not text.startswith(prose.NOT_A_MODEL)


def test_the_seed_varies_the_words_and_repeats_them():
    texts = {seed: prose.explanation(Random(seed)) for seed in range(8)}
    assert len(set(texts.values())) > 4
    assert texts[3] == prose.explanation(Random(3))


def test_another_question_is_told_that_no_model_was_asked():
    assert prose.explanation(Random(0), prompt="Write a poem.").startswith(prose.NOT_A_MODEL)


@pytest.mark.parametrize("words", [0, 1, 7, 200, 1000])
def test_words_are_exactly_as_many_as_asked_for(words):
    assert len(prose.explanation(Random(0), prompt="poem", words=words).split()) == words


@pytest.mark.parametrize("text", ["", " ", "one", "a  b\n\nc ", prose.THOUGHTS, prose.UNICODE])
def test_cutting_loses_nothing(text):
    assert "".join(prose.word_groups(Random(1), text)) == text
    assert "".join(prose.shards(Random(1), text, 5)) == text


def test_pieces_stay_within_their_size():
    assert all(1 <= len(p) <= 3 for p in prose.shards(Random(0), prose.THOUGHTS, 3))
    assert all(1 <= len(g.split()) <= 4 for g in prose.word_groups(Random(0), prose.THOUGHTS))
