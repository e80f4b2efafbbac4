from __future__ import annotations

import pytest

from bench.stages import ORDER, divided, profile, stage_of


@pytest.mark.parametrize(
    ("function", "stage"),
    [
        ("wire/sse.py:feed", "parser"),
        ("wire/frames.py:encode_frame", "encoder"),
        ("wire/anthropic.py:decode_event", "decoder"),
        ("core/lifecycle.py:receive", "lifecycle"),
        ("log/memory.py:append", "log"),
        ("runtime/viewer.py:entries", "viewer and write"),
        ("runtime/producer.py:receive", "producer and intake"),
        ("beside:write", "beside"),
    ],
)
def test_a_function_belongs_to_the_stage_of_its_room(function, stage):
    assert stage_of(function) == stage
    assert stage in ORDER


def test_the_stages_add_up_to_the_whole():
    stages = divided([("wire/sse.py:feed", 2.0), ("log/memory.py:append", 1.0)], 6.0)
    assert stages == {"parser": 4.0, "log": 2.0}


@pytest.mark.slow
def test_the_chain_as_it_is_has_every_stage(record_property, monkeypatch):
    monkeypatch.setattr("bench.stages.EVENTS", 500)
    monkeypatch.setattr("bench.hot_path.EVENTS", 500)
    monkeypatch.setattr("bench.stages.ROUNDS", 1)
    found = profile()
    assert {"parser", "decoder", "lifecycle", "log", "encoder"} <= found.keys()
    assert sum(found[stage] for stage in ORDER if stage in found) == pytest.approx(found["total"])
    record_property(
        "figure", f"push chain: {found['total']:.1f} us/event, {found['bare']:.1f} bare"
    )
