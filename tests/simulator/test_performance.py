"""From script to performance: the touches that any script can have."""

import json

import pytest

from finalstop.simulator.answers import Ask
from finalstop.simulator.catalogue import ENTRIES, Kind
from finalstop.simulator.moves import Wait
from finalstop.simulator.performance import BUILDERS, perform, perform_plain
from finalstop.simulator.script import ScriptError, parse_script
from tests.simulator.rawclient import played


def performed(spec, **ask):
    return perform(parse_script(spec), Ask(**ask), "req_1")


def test_a_delay_comes_before_everything():
    assert next(iter(performed("text,delay_s=2").moves)) == Wait(2.0)


def test_segments_are_passed_on_and_split_everywhere_means_one_byte():
    assert performed("text").segment is None
    assert performed("text,segment=7").segment == 7
    assert performed("split-everywhere").segment == 1


def test_a_slow_drip_is_slow_unless_told_otherwise():
    assert Wait(0.25) in list(performed("slow-drip").moves)
    assert Wait(0.001) in list(performed("slow-drip,pace_ms=1").moves)


async def test_any_answer_and_any_fault_can_be_compressed():
    assert (await played("text,gzip=1")).text == (await played("text")).text
    assert (await played("fin,gzip=1")).text == (await played("fin")).text
    for itself in ("gzip", "chunk-extensions"):
        assert (await played(f"{itself},gzip=1")).text == (await played("text")).text
    assert (await played("no-content-204,gzip=1")).wire.endswith(b"204 No Content\r\n\r\n")


async def test_an_answer_that_is_no_stream_is_the_message():
    whole = (await played("thinking", stream=False)).json
    assert whole["type"] == "message"
    assert whole["content"][0]["type"] == "thinking"


STREAM_ONLY = [e.name for e in ENTRIES if e.kind is Kind.FAULT and not e.plain]
PLAIN = [e.name for e in ENTRIES if e.plain and e.kind in {Kind.FAULT, Kind.FORM}]
SAME_BYTES = {"close-while-idle", "reset-on-reuse", "json-200"}


@pytest.mark.parametrize("name", STREAM_ONLY)
def test_a_fault_of_streams_is_refused_where_there_is_none(name):
    with pytest.raises(ScriptError, match=f"{name}.*streams only"):
        performed(name, stream=False)


@pytest.mark.parametrize("name", PLAIN)
async def test_a_fault_of_both_can_strike_an_answer_that_is_no_stream(name):
    reply = await played(f"{name},hold_s=0,bytes=2000", stream=False)
    whole = await played("text", stream=False)
    assert reply.wire != whole.wire or name in SAME_BYTES


async def test_a_form_of_streams_leaves_other_answers_alone():
    assert (await played("crlf", stream=False)).wire == (await played("text", stream=False)).wire


@pytest.mark.parametrize("spec", ["text", "bad-json", "stall,hold_s=0"])
def test_other_endpoints_answer_with_their_value(spec):
    moves = perform_plain(parse_script(spec), {"n": 1}, "req_1").moves
    body = b"".join(move.data for move in moves if hasattr(move, "data"))
    assert body == (b'{"n' if spec.startswith("stall") else json.dumps({"n": 1}).encode())[:3] + (
        b"" if spec.startswith("stall") else b'":1}'
    )


def test_answers_need_no_builder_and_all_else_has_one():
    assert {e.name for e in ENTRIES if e.kind in {Kind.FORM, Kind.FAULT}} == set(BUILDERS)


@pytest.mark.parametrize("spec", ["thinking,seed=3", "gzip,seed=3", "cut-gzip", "server-tools"])
async def test_the_same_seed_is_the_same_bytes(spec):
    assert (await played(spec)).wire == (await played(spec)).wire


async def test_another_seed_is_other_bytes():
    assert (await played("text,seed=1")).wire != (await played("text,seed=2")).wire
