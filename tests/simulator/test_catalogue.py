"""The catalogue: one list, and everything that must agree with it."""

from pathlib import Path

import pytest

from finalstop.simulator import catalogue_markdown, describe
from finalstop.simulator.catalogue import ENTRIES, HEAD, Kind, Phase, names
from finalstop.simulator.connect import CONNECT_FAULTS
from finalstop.simulator.faults import FAULTS
from finalstop.simulator.forms import FORMS
from finalstop.simulator.heads import HEADS
from finalstop.simulator.recipes import RECIPES

PAGE = Path(__file__).parents[2] / "docs/reference/simulator.md"
BEGIN, END = "<!-- generated: simulator-catalogue -->\n", "<!-- /generated -->"


def test_there_are_at_least_forty_faults_an_upstream_can_commit():
    assert len(names(Kind.FAULT)) >= 40


def test_every_name_is_listed_once():
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("kinds", "table"),
    [
        ((Kind.ANSWER,), RECIPES),
        ((Kind.FORM,), FORMS),
        ((Kind.FAULT,), HEADS | FAULTS),
        ((Kind.CONNECT,), CONNECT_FAULTS),
    ],
)
def test_what_is_listed_can_be_done_and_what_can_be_done_is_listed(kinds, table):
    assert set(names(*kinds)) == set(table)


def test_every_phase_of_a_stream_has_its_faults():
    struck = {phase for entry in ENTRIES for phase in entry.phases}
    assert struck == set(Phase)


def test_what_replaces_the_head_strikes_before_the_head_only():
    assert all(entry.phases == HEAD for entry in ENTRIES if entry.name in HEADS)


def test_healthy_kinds_are_whole_and_connect_faults_are_not():
    for entry in ENTRIES:
        if entry.kind is not Kind.FAULT:
            assert entry.whole == (entry.kind is not Kind.CONNECT), entry.name


def test_describe_tells_name_kind_phases_and_one_line():
    rows = {name: (kind, phases, says) for name, kind, phases, says in describe()}
    assert len(rows) == len(ENTRIES)
    assert rows["rst"][0] == "fault"
    assert rows["rst"][1][0] == "before-head"
    assert rows["refused"][:2] == ("connect", ("before-dial",))
    assert all(says and "\n" not in says and "|" not in says for _, _, says in rows.values())


def test_the_reference_page_shows_this_catalogue():
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, end, _ = rest.partition(END)
    assert before
    assert begin
    assert end
    assert shown.strip() == catalogue_markdown().strip()
