"""What the table of transitions must say: for the test of it, and those of its use."""

from __future__ import annotations

from finalstop.core.transitions import Move, Phase

# What the table must say, written down a second time and another way: a row per phase, a column per
# move. A letter is the phase that follows; a dot is an illegal move.
EXPECTED = """
            BEGIN OPEN GROW CLOSE METER REPORT FINISH FAIL OTHER
    WAITING   A    .    .     .     .     .      .     E    W
  ANSWERING   .    A    A     A     A     R      E     E    A
   REPORTED   .    .    .     R     R     R      E     E    R
      ENDED   .    .    .     .     .     .      .     .    .
"""
LETTERS = {phase.name[0]: phase for phase in Phase} | {".": None}
HEADER, *LINES = (line.split() for line in EXPECTED.strip().splitlines())
PAIRS = [
    (Phase[name], Move[column], LETTERS[letter])
    for name, *letters in LINES
    for column, letter in zip(HEADER, letters, strict=True)
]
