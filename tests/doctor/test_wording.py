"""Wording: one fact, one sentence; what is foreign is visible and harmless."""

from __future__ import annotations

import pytest

from finalstop.doctor.dialects import PLAIN
from finalstop.doctor.observations import Case, Ending, Step
from finalstop.doctor.reading import Frame
from finalstop.doctor.transcript import transcribe
from finalstop.doctor.wording import (
    STEPS,
    UPSTREAM,
    counted,
    ending_said,
    frame_said,
    seconds,
    size,
    story,
    told,
    visible,
)
from tests.doctor.exchanges import END, NEVER, A, B, exchange


def test_small_words():
    assert [seconds(it) for it in (0.016, 3.0, 61.26)] == ["0.02 s", "3.00 s", "61.3 s"]
    assert [size(1), size(14_000)] == ["1 byte", "14,000 bytes"]
    assert [counted(1, "delta"), counted(12, "delta")] == ["1 delta", "12 deltas"]


VISIBLE = [
    ("plain", "plain"),
    ("a\x1b[31mb\n\x00", "a\\x1b[31mb\\n\\x00"),
    ("\u202eevil", "\\u202eevil"),
    ("x" * 200, "x" * 120 + "… (200 characters)"),
    ("\ud800", "\\ud800"),
]


@pytest.mark.parametrize(("text", "shown"), VISIBLE)
def test_control_characters_are_seen_and_obeyed_by_nobody(text, shown):
    assert visible(text) == shown


def test_a_frame_is_told_as_it_stood():
    assert frame_said(Frame(0, 0, 1, "end", "{}")) == "event: end, data: {}"
    assert frame_said(Frame(0, 0, 1)) == "no data"


WHOLE = """status 200 after 0.10 s; 2 deltas, the last at 0.20 s;
then at 0.30 s `data: {"event":"end"}`; the body ended properly at 0.30 s"""
OPEN = """status 200 after 0.10 s; 1 delta, the last at 0.10 s; no terminal;
still open at 3.10 s, when we stopped looking"""
CUT = "no response head; the connection closed at 1.00 s, before the body's end"

STORIES = [
    (exchange(A, B, END), WHOLE.replace("\n", " ")),
    (exchange(A, ending=NEVER), OPEN.replace("\n", " ")),
    (exchange(status=None, ending=Ending.NO_CONNECTION), "no connection (refused)"),
    (exchange(status=None, ending=Ending.CUT, ended_s=1.0), CUT),
]


@pytest.mark.parametrize(("it", "said"), STORIES)
def test_an_exchange_is_told_in_one_sentence(it, said):
    transcript = transcribe("the question", it, PLAIN, 3.0)
    assert story(transcript) == said
    assert told(transcript) == f"the question: {said}"


def test_every_ending_every_case_and_every_step_has_its_words():
    assert all(ending_said(exchange(A, ending=it)) for it in Ending)
    assert (set(UPSTREAM), set(STEPS)) == (set(Case), set(Step))
