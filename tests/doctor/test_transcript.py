"""A transcript: where an exchange progressed, where it ended, how it was left."""

from __future__ import annotations

import pytest

from finalstop.doctor.dialects import PLAIN, TEXT
from finalstop.doctor.observations import Ending
from finalstop.doctor.transcript import transcribe
from tests.doctor.exchanges import END, ERROR, NEVER, WINDOW_S, A, B, exchange

PING = ": ping\n\n"


def of(*pieces, dialect=PLAIN, **more):
    return transcribe("it", exchange(*pieces, **more), dialect, WINDOW_S)


JUDGED = [
    # exchange, succeeded, failed, hangs
    (of(A, END), True, False, False),
    (of(A, ERROR), False, True, False),
    (of(A), False, False, False),
    (of(A, ending=Ending.RESET), False, True, False),
    (of(A, END, ending=NEVER), True, False, True),
    (of(A, ending=NEVER), False, False, True),
    (of(A, *[PING] * 40, ending=NEVER, ended_s=4.2), False, False, True),
    (of(*[A] * 40, ending=NEVER, ended_s=4.1), False, False, False),
    (of(status=None, ending=NEVER, ended_s=3.0), False, False, True),
    (of("x", status=503), False, True, False),
    (of("The end", dialect=TEXT, kind="text/plain"), True, False, False),
    (of("The e", dialect=TEXT, kind="text/plain", ending=Ending.CUT), False, True, False),
]


@pytest.mark.parametrize(("it", "succeeded", "failed", "hangs"), JUDGED)
def test_what_a_client_can_tell(it, succeeded, failed, hangs):
    assert (it.succeeded, it.failed, it.hangs) == (succeeded, failed, hangs)


def test_pings_and_comments_are_no_progress():
    assert of(A, *[PING] * 20, ending=NEVER).progress_s == pytest.approx(0.1)


def test_frames_that_come_together_are_one_burst():
    assert [it.frames for it in of(A + A, A, A + A + A).bursts] == [2, 1, 3]
    assert [it.frames for it in of(A, A, A, every_s=0.01).bursts] == [3]


def test_what_comes_after_the_terminal_is_told_apart_from_its_closing_mark():
    it = of(A, END, "data: [DONE]\n\n", B)
    assert [said.frame.data for said in it.after_verdict] == ['{"text":"b"}']


def test_the_longest_silence_may_be_the_last():
    assert of(A, A, ending=NEVER).longest_silence == pytest.approx((0.2, 3.2))
    assert of(A, A, every_s=2.0).longest_silence == pytest.approx((0.1, 2.1))


BROKEN = [
    # how it ended, whether something broke in the middle
    (of(A, ending=Ending.CUT), True),
    (of(A, ending=Ending.NOT_HTTP), True),
    (of(status=None, ending=Ending.NOT_HTTP), False),
    (of(A, END), False),
]


@pytest.mark.parametrize(("it", "broken"), BROKEN)
def test_a_body_whose_framing_breaks_is_broken_and_what_is_no_http_is_not(it, broken):
    assert it.broken is broken


BINARY = [
    (bytes(range(256)), True),
    (b"data: caf\xe9\r\n\r\n", False),
    ("日本語".encode("shift-jis"), False),
    (b"", False),
]


@pytest.mark.parametrize(("body", "binary"), BINARY)
def test_binary_is_what_is_no_text_in_any_charset(body, binary):
    assert of(body).is_binary is binary


def test_frames_without_a_delta_or_a_terminal_speak_an_unknown_dialect():
    assert of('data: {"candidates":[]}\n\n').speaks_unknown
    assert not of(PING).speaks_unknown
    assert not of(A).speaks_unknown
