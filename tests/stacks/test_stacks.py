"""Every framework under its usual servers, as real processes: each keeps its row of the table.

The page docs/reference/servers.md is written from a run of the same trials (`make stacks`); here
that run is held to the table, and the table, by some of its pairs, to what the servers do today.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.stacks.run import VERDICTS, text_of, versions, written
from tests.stacks.table import COLUMNS, LIMITS, PAIRS, SHUTDOWN, Pair, limit_of
from tests.stacks.trial import KINDS, Departure, Ending, Shutdown, observe
from tests.stacks.verdict import complaints

# What a busy machine may add to any bound before a test fails.
BUSY_S = 1.5

pairs = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name.replace(" ", ""))


def some() -> list[Pair]:
    """Each framework and each server at least once: what every test run has the time for."""
    frameworks = {pair.framework: pair for pair in reversed(PAIRS)}
    servers = {pair.server: pair for pair in PAIRS}
    return [it for it in PAIRS if it in (frameworks[it.framework], servers[it.server])]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("pair", some(), ids=lambda pair: pair.name.replace(" ", ""))
def test_the_pair_keeps_its_row(pair, tmp_path, record_property):
    seen = observe(pair, tmp_path)
    left_s = [cell.left_s for cell in seen.values() if isinstance(cell, Departure)]
    record_property("figure", f"{pair.name}: left after {left_s} s, {seen[SHUTDOWN]}")
    assert complaints(pair, seen, busy_s=BUSY_S) == []


# -- the run that the page is written from --------------------------------------------------------


def test_the_run_has_a_row_for_every_pair_and_no_other():
    assert list(written()) == [pair.name for pair in PAIRS]


@pairs
def test_the_run_keeps_the_row(pair):
    assert complaints(pair, written()[pair.name]) == []


def test_every_pair_is_asked_everything():
    assert tuple(KINDS) == COLUMNS
    assert all(tuple(cells) == COLUMNS for cells in written().values())


def test_the_run_says_which_versions_it_met():
    assert set(json.loads(VERDICTS.read_text("utf-8"))["versions"]) == set(versions())


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_there_for_something_that_the_run_saw(name, monkeypatch):
    run = written()
    limited = [pair for pair in PAIRS if any(limit_of(pair, it)[0] == name for it in COLUMNS)]
    monkeypatch.delitem(LIMITS, name)
    assert limited
    assert all(complaints(pair, run[pair.name]) for pair in limited)


def test_what_is_written_is_what_is_read():
    said = json.loads(VERDICTS.read_text("utf-8"))
    assert text_of(said["versions"], written()) == VERDICTS.read_text("utf-8")


# -- the judge ------------------------------------------------------------------------------------

PAIR = PAIRS[0]
GOOD: dict[str, Any] = {
    "healthy": Ending(200, "complete", "whole", 0.1, 1.0),
    "stall": Ending(200, "idle_timeout", "whole", 0.1, 0.7),
    "gone mid-stream": Departure(0.01),
    "SIGTERM": Shutdown("complete", "draining", 1.6, 1.7, PAIR.exits),
}

# column, what is seen instead of the good, what the judge says of it
BAD = [
    ("healthy", {"reason": "truncated"}, "truncated"),
    ("healthy", {"status": 502}, "502"),
    ("healthy", {"body": "cut, eof"}, "cut, eof"),
    ("healthy", {"first_s": 1.0}, "first words"),
    ("healthy", {"first_s": None}, "first words"),
    ("stall", {"body": "hang"}, "hang"),
    ("stall", {"took_s": 4.0}, "ended after 4.0"),
    ("gone mid-stream", {"left_s": 0.3}, "not within 0.2"),
    ("gone mid-stream", {"left_s": None}, "not within 0.2"),
    ("SIGTERM", {"short": "cut"}, "ended cut and draining"),
    ("SIGTERM", {"endless": "hang"}, "ended complete and hang"),
    ("SIGTERM", {"exits": 1}, "exit status"),
    ("SIGTERM", {"exits": None}, "exit status"),
    ("SIGTERM", {"ended_s": 2.5}, "took 2.5 s to end"),
    ("SIGTERM", {"gone_s": 21.0}, "took 21.0 s to go"),
]


def judged(seen):
    return [it for it in complaints(PAIR, seen) if "not measured" not in it]


def test_what_is_promised_is_no_complaint():
    assert judged(GOOD) == []


@pytest.mark.parametrize(("column", "instead", "said"), BAD, ids=[f"{r[0]}: {r[1]}" for r in BAD])
def test_what_is_not_promised_is_a_complaint(column, instead, said):
    (complaint,) = judged(GOOD | {column: replace(GOOD[column], **instead)})
    assert complaint.startswith(f"{column}: ")
    assert said in complaint


def test_a_column_that_was_not_measured_is_a_complaint():
    assert sum("not measured" in it for it in complaints(PAIR, GOOD)) == len(COLUMNS) - len(GOOD)
