"""What was seen, as facts: what can be asked of an exchange."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from finalstop.doctor.observations import (
    Arrival,
    Ending,
    Exchange,
    Framing,
    Observations,
    Question,
    Step,
)

SEEN = Exchange(
    question=Question("GET", "http://host/"),
    connected_s=0.0,
    head_s=0.1,
    status=200,
    version="1.1",
    headers=(("via", "a"), ("via", "b")),
    framing=Framing.CHUNKED,
    arrivals=(Arrival(0.2, b"da", 2), Arrival(0.3, b"", 9), Arrival(0.4, b"ta", 2)),
    ending=Ending.WHOLE,
    ended_s=0.5,
)


def test_the_body_is_all_that_arrived():
    assert SEEN.body == b"data"


def test_of_a_header_the_first_value_counts():
    assert (SEEN.header("via"), SEEN.header("server")) == ("a", "")


def test_facts_do_not_change():
    with pytest.raises(FrozenInstanceError):
        SEEN.status = 500  # type: ignore[misc]


def test_what_was_not_looked_for_was_not_seen():
    seen = Observations("http://host/", 3.0, {Step.ASK: SEEN})
    assert (seen.trials, seen.calls, seen.sources, seen.untold) == ({}, {}, {}, ())
    assert (seen.shutdown, seen.idle_limit_s, seen.command) == (None, None, "")
