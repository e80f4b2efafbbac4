"""The comparison: what the page says of hand-made relays and of ours is what happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.browser import End, Reply
from examples.compare.compare import main
from examples.compare.conditions import (
    BAD,
    DATA_LINES,
    DEPARTURES,
    NATIVE,
    RELAYS,
    ROWS,
    SIGTERM,
    TEXT,
    Cell,
    Results,
    Side,
    Verdict,
    cell_of_departure,
    cell_of_reply,
    cell_of_signal,
    is_kept,
    judge,
)
from examples.compare.report import (
    VERDICTS,
    broken_words,
    grade,
    read_verdicts,
    table_of,
    verdict_in,
    verdicts_of,
    versions,
)
from examples.compare.stage import run
from examples.faults import FAULTS
from tests.doors import ROOT
from tools.compare_page import compared_markdown

# Those whose verdict is that nothing ends, that nobody can tell, or that nobody stops the bill,
# with a healthy answer beside them, and one fault that most relays handle well.
TELLING = (
    "text",
    "never-closed",
    "stall@mid-text",
    "pings-forever@mid-text",
    "no-head",
    "fin@mid-text",
    "error-overloaded@mid-text",
    "status-429",
    "leaves-before-head",
    "leaves-in-silence",
)
LINES_MAX = 45


def fault(spec):
    return next(it for it in FAULTS if it.spec == spec)


def relay(key):
    return next(it for it in RELAYS if it.key == key)


# --- the run -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_the_committed_verdicts_are_what_happens(record_property):
    # By hand the signal is left out: what never ends is watched for 35 s in the whole run only.
    results = await run({Side.BY_HAND: TELLING, Side.FINALSTOP: (*TELLING, SIGTERM)})
    assert broken_words(results) == []
    seen, written = verdicts_of(results)["cells"], read_verdicts()["cells"]
    differ = [
        (row, key, side, text, written[row][key][side])
        for row, by_relay in seen.items()
        for key, by_side in by_relay.items()
        for side, text in by_side.items()
        if text != written[row][key][side]
    ]
    assert differ == []
    assert seen.keys() == {*TELLING, SIGTERM}
    record_property("figure", f"hand-made relays, {len(TELLING)} conditions: {_bad(seen)}")


def _bad(cells):
    texts = [by_side["by hand"] for row in TELLING for by_side in cells[row].values()]
    return f"{sum(grade(text) == 'bad' for text in texts)} of {len(texts)} never end, leak or lie"


# --- what is written ---------------------------------------------------------------------------


def test_every_condition_of_every_relay_is_written():
    cells = read_verdicts()["cells"]
    assert list(cells) == list(ROWS)
    assert {frozenset(by_relay) for by_relay in cells.values()} == {
        frozenset(it.key for it in RELAYS)
    }


def test_with_finalstop_no_written_cell_is_other_than_good():
    cells = read_verdicts()["cells"]
    ours = {(row, it.key): cells[row][it.key]["finalstop"] for row in ROWS for it in RELAYS}
    assert {at: text for at, text in ours.items() if grade(text) != "good"} == {}


HANGS_BY_HAND = ("never-closed", "never-closed-pings", "stall@mid-text", "pings-forever@mid-text")


@pytest.mark.parametrize("row", HANGS_BY_HAND)
def test_by_hand_every_relay_hangs_where_the_upstream_does(row):
    cells = read_verdicts()["cells"][row]
    assert {verdict_in(cells[it.key]["by hand"]) for it in RELAYS} == {Verdict.HANGS}


def test_by_hand_a_cut_answer_passes_for_whole_where_only_the_text_is_read():
    cells = read_verdicts()["cells"]["fin@mid-text"]
    liars = {it.key for it in RELAYS if verdict_in(cells[it.key]["by hand"]) is Verdict.LIES}
    assert liars == {"fastapi-streaming", "sse-starlette", "flask-gunicorn"}


def test_what_is_written_was_measured_with_what_is_installed():
    assert read_verdicts()["versions"] == versions(), "make compare runs it anew"


def test_the_page_shows_a_row_for_every_condition():
    page = (ROOT / "docs" / "reference" / "compared.md").read_text("utf-8")
    assert compared_markdown() in page
    assert [says for says in ROWS.values() if f"| {says} |" not in page] == []


def test_the_handlers_are_as_short_as_those_people_write():
    sources = [VERDICTS.parent / it.key / f"{name}.py" for it in RELAYS for name in NAMES]
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in sources}
    assert max(lines.values()) <= LINES_MAX, lines


NAMES = ("by_hand", "with_finalstop")


# --- judging -----------------------------------------------------------------------------------


def reply(body=b"", *, status=200, end=End.WHOLE, headers=None) -> Reply:
    return Reply(status, headers or {}, bytearray(body), end)


HALF = b'data: {"text": "The ocean"}\n\n'
DONE = HALF + b"data: [DONE]\n\n"
ERROR = HALF + b'event: error\ndata: {"type": "error"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
BROKEN = b'event: content_block_delta\ndata: {"type":"content\n\n' + STOP

JUDGED = [
    # fault,                 marks,      what came,                    verdict
    ("text",                 DATA_LINES, reply(DONE),                  Verdict.WHOLE),
    ("text",                 DATA_LINES, reply(HALF),                  Verdict.FALSE_ALARM),
    ("text",                 DATA_LINES, reply(HALF, end=End.CUT),     Verdict.BREAKS),
    ("never-closed",         DATA_LINES, reply(DONE, end=End.OPEN),    Verdict.HANGS),
    ("no-head",              DATA_LINES, reply(status=0, end=End.OPEN), Verdict.HANGS),
    ("no-head",              DATA_LINES, reply(status=504),            Verdict.STATUS),
    ("fin@mid-text",         DATA_LINES, reply(DONE),                  Verdict.LIES),
    ("fin@mid-text",         DATA_LINES, reply(HALF),                  Verdict.MUTE),
    ("fin@mid-text",         DATA_LINES, reply(ERROR),                 Verdict.TOLD),
    ("fin@mid-text",         TEXT,       reply(DONE),                  Verdict.MUTE),
    ("bad-json@mid-text",    NATIVE,     reply(BROKEN),                Verdict.PASSED),
    ("bad-json@mid-text",    NATIVE,     reply(STOP),                  Verdict.LIES),
    ("status-429",           DATA_LINES, reply(status=429),            Verdict.STATUS),
    ("status-429",           DATA_LINES, reply(status=500),            Verdict.FLATTENED),
    ("status-429",           DATA_LINES, reply(ERROR),                 Verdict.TOLD),
    ("rst@mid-text",         DATA_LINES, reply(status=502),            Verdict.FLATTENED),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "marks", "what", "verdict"), JUDGED)
def test_a_verdict_holds_what_came_against_what_is_true(spec, marks, what, verdict):
    assert judge(fault(spec), marks, what) is verdict


OURS = b'data: {"event":"error","reason":"truncated"}\n\n'
NOTED = [
    # relay,              side,           fault,          what came,                   cell
    ("fastapi-streaming", Side.BY_HAND,   "status-529",   reply(HALF, end=End.CUT),
     "breaks off (200 for a 529)"),
    ("flask-gunicorn",    Side.BY_HAND,   "status-429",   reply(status=500),
     "another status (500 for a 429)"),
    ("httpx-proxy",       Side.BY_HAND,   "status-429",
     reply(status=429, headers={"retry-after": "1"}), "true status (429, retry-after kept)"),
    ("httpx-proxy",       Side.BY_HAND,   "never-closed", reply(STOP, end=End.OPEN),
     "HANGS (after its end mark)"),
    ("httpx-proxy",       Side.BY_HAND,   "error-then-open@mid-text", reply(ERROR, end=End.OPEN),
     "HANGS (after its error event)"),
    ("httpx-proxy",       Side.BY_HAND,   "no-head",      reply(status=0, end=End.OPEN),
     "HANGS (no head)"),
    ("fastapi-sse",       Side.BY_HAND,   "rst@mid-text", reply(end=End.CUT),
     "ends without a word, or breaks off"),
    ("fastapi-sse",       Side.BY_HAND,   "fin@mid-text", reply(),   "ends without a word"),
    ("fastapi-sse",       Side.FINALSTOP, "rst@mid-text", reply(),   "ends without a word"),
    ("flask-gunicorn",    Side.FINALSTOP, "fin@mid-text", reply(OURS),
     "ends, error told (truncated)"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "side", "spec", "what", "text"), NOTED)
def test_a_cell_says_what_else_was_seen(key, side, spec, what, text):
    assert str(cell_of_reply(relay(key), side, fault(spec), what, 0.5)) == text


def test_a_call_that_is_not_closed_leaks():
    assert cell_of_departure(None).verdict is Verdict.LEAKS
    assert cell_of_departure(0.1) == Cell(Verdict.CLOSED, after_s=0.1)


SIGNALLED = [
    # what came,                seconds, verdict
    (reply(OURS),               18.0,    Verdict.DRAINED),
    (reply(HALF),               18.0,    Verdict.CUT),
    (reply(OURS, end=End.CUT),  18.0,    Verdict.CUT),
    (reply(HALF, end=End.OPEN), None,    Verdict.STAYS),
    (reply(OURS),               None,    Verdict.STAYS),
]  # fmt: skip


@pytest.mark.parametrize(("what", "after_s", "verdict"), SIGNALLED)
def test_a_process_has_to_end_and_its_stream_to_say_so(what, after_s, verdict):
    assert cell_of_signal(TEXT, what, after_s).verdict is verdict


KEPT = [
    # condition,          cell,                                                       kept
    ("text",              Cell(Verdict.WHOLE),                                        True),
    ("text",              Cell(Verdict.TOLD, "truncated"),                            False),
    ("fin@mid-text",      Cell(Verdict.TOLD, "truncated"),                            True),
    ("fin@mid-text",      Cell(Verdict.TOLD, "idle_timeout"),                         False),
    ("no-head",           Cell(Verdict.STATUS, "504, first_content_timeout"),         True),
    ("status-429",        Cell(Verdict.STATUS, "429, retry-after kept, upstream_error"), True),
    ("status-429",        Cell(Verdict.STATUS, "429, upstream_error"),                False),
    (DEPARTURES[0].key,   Cell(Verdict.CLOSED, after_s=0.1),                          True),
    (DEPARTURES[0].key,   Cell(Verdict.LEAKS),                                        False),
    (SIGTERM,             Cell(Verdict.DRAINED, "draining", 18.0),                    True),
    (SIGTERM,             Cell(Verdict.CUT, "", 0.5),                                 False),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "cell", "kept"), KEPT)
def test_our_word_is_kept_only_by_the_true_reason_or_status(condition, cell, kept):
    assert is_kept(condition, cell) is kept
    results = Results()
    results.put(condition, RELAYS[0], Side.FINALSTOP, cell)
    assert bool(broken_words(results)) is not kept


def test_the_table_has_a_row_for_each_condition_and_only_ours_is_joined():
    results = Results()
    for it in RELAYS:
        results.put("text", it, Side.BY_HAND, Cell(Verdict.WHOLE))
        results.put("text", it, Side.FINALSTOP, Cell(Verdict.WHOLE))
    table = table_of(results)
    assert table.row_count == 1
    assert len(table.columns) == len(RELAYS) + 2


def test_the_bad_ones_are_those_that_never_end_leak_or_lie():
    assert {it for it in Verdict if grade(it.value) == "bad"} == BAD
    assert grade("breaks off (200 for a 529)") == "so-so"
    assert grade("ends, error told (200 for a 529)") == "so-so"
    assert grade("true status (529)") == "good"


# --- the command -------------------------------------------------------------------------------


def test_a_condition_that_there_is_not_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "earthquake"])
    assert "earthquake" in capsys.readouterr().err


def test_the_command_can_be_run_from_anywhere(tmp_path):
    command = [sys.executable, str(VERDICTS.parent / "compare.py"), "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--window-s" in ran.stdout


def test_the_makefile_runs_it():
    assert "examples/compare/compare.py" in (ROOT / "Makefile").read_text("utf-8")
