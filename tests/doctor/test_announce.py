"""What is announced: a sentence, and a bound."""

from __future__ import annotations

from finalstop.doctor.announce import Notice, in_silence


def test_a_notice_without_a_bound_is_merely_said():
    assert Notice("ask").at_most_s == 0


def test_silence_takes_any_notice(capsys):
    in_silence(Notice("ask", 3))
    assert capsys.readouterr() == ("", "")
