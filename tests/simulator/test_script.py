"""The grammar: what is read, and how what cannot be read is explained."""

import pytest

from finalstop.simulator.catalogue import ENTRIES, Kind, Phase
from finalstop.simulator.script import HOLD_S, KEYS, ScriptError, healthy_again, parse_script


def test_a_name_alone_has_defaults():
    script = parse_script("text")
    assert (script.entry.name, script.phase, script.answer, script.seed) == (
        "text",
        None,
        "text",
        0,
    )
    assert script.held_s() == HOLD_S
    assert script.pace_s(20) == 0.02


def test_every_key_is_read():
    script = parse_script(
        " stall@mid-text , answer=cached,pace_ms=5,words=9,seed=3,times=2,retry_after=7,hold_s=0.5,"
        "delay_s=1,segment=1,gzip=1,bytes=99 "
    )
    assert len(KEYS) == 11
    assert (script.answer, script.pace_ms, script.words, script.seed) == ("cached", 5, 9, 3)
    assert (script.times, script.retry_after, script.held_s(), script.delay_s) == (2, 7, 0.5, 1.0)
    assert (script.segment, script.gzip, script.bytes) == (1, True, 99)
    assert script.pace_s(20) == 0.005


@pytest.mark.parametrize(
    ("spec", "phase", "answer"),
    [
        ("stall", Phase.MID_TEXT, "text"),
        ("stall@mid-thinking", Phase.MID_THINKING, "thinking"),
        ("stall@mid-tool-json", Phase.MID_TOOL_JSON, "tools"),
        ("stall@mid-text,answer=tools", Phase.MID_TEXT, "tools"),
        ("status-529", Phase.BEFORE_HEAD, "text"),
        ("never-closed", None, "text"),
        ("never-closed,answer=unicode", None, "unicode"),
    ],
)
def test_a_fault_has_its_place_and_an_answer_to_strike(spec, phase, answer):
    script = parse_script(spec)
    assert (script.phase, script.answer) == (phase, answer)


@pytest.mark.parametrize(
    ("spec", "bad", "allowed"),
    [
        ("", "''", "overloaded"),
        ("nonsense", "'nonsense'", "never-closed"),
        ("nonsense", "'nonsense'", "thinking"),
        ("refused", "'refused'", "simulator.connect"),
        ("text@mid-text", "'mid-text'", "none, it happens in one place"),
        ("stall@lunch", "'lunch'", "before-message-stop"),
        ("stall@", "''", "mid-text"),
        ("status-500@mid-text", "'mid-text'", "before-head"),
        ("stall,colour=blue", "'colour=blue'", "pace_ms"),
        ("stall,gzip", "'gzip'", "segment"),
        ("stall,", "''", "answer"),
        ("stall,seed=1,seed=2", "'seed'", "twice"),
        ("stall,words=-1", "words='-1'", "0 to"),
        ("stall,words=\u0663", "words='\u0663'", "whole number"),
        ("stall,times=0", "times='0'", "1 to"),
        ("stall,hold_s=1e3", "hold_s='1e3'", "seconds"),
        ("stall,hold_s=inf", "hold_s='inf'", "86400"),
        ("stall,hold_s=", "hold_s=''", "seconds"),
        ("stall,gzip=yes", "gzip='yes'", "0 or 1"),
        ("stall,answer=rst", "'rst'", "unicode"),
        ("stall,segment=0", "segment='0'", "1 to"),
    ],
)
def test_a_bad_script_is_refused_with_the_bad_part_and_what_is_allowed(spec, bad, allowed):
    with pytest.raises(ScriptError) as refused:
        parse_script(spec)
    assert bad in str(refused.value)
    assert allowed in str(refused.value)


def test_every_name_and_each_of_its_phases_is_readable():
    for entry in ENTRIES:
        if entry.kind is not Kind.CONNECT:
            assert parse_script(entry.name).entry is entry
            for phase in entry.phases:
                assert parse_script(f"{entry.name}@{phase.value}").phase is phase


def test_a_used_up_fault_leaves_its_answer_behind():
    after = healthy_again(parse_script("eof@mid-tool-json,times=1,words=7,pace_ms=3,seed=4"))
    assert (after.entry.name, after.phase, after.answer) == ("tools", None, "tools")
    assert (after.words, after.pace_ms, after.seed, after.times) == (7, 3, 4, None)
