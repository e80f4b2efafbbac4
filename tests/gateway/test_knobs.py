"""Knobs: what may be set is read off the annotations, and a value is read by them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from finalstop.gateway.knobs import knobs_of


class Held(Struct, frozen=True):
    plain: int = 0
    wait_s: Annotated[float, Meta(gt=0, le=2.5, description="why")] = 1.0
    pace_ms: Annotated[int, Meta(ge=0, lt=5, description="why")] = 1
    cap_s_max: Annotated[float, Meta(ge=0, description="why")] = 1.0
    log_bytes_total: Annotated[int, Meta(ge=1, description="why")] = 1
    count: Annotated[int, Meta(ge=1, le=10, description="why")] = 1
    is_on: Annotated[bool, Meta(description="why")] = False
    form: Annotated[Literal["a", "b"], Meta(description="why")] = "a"
    names: Annotated[
        tuple[str, ...], Meta(description="why", extra={"allowed": "names", "secret": True})
    ] = ()


HELD = {knob.name: knob for knob in knobs_of(Held)}

ALLOWED = [
    ("wait_s", "a number of seconds, more than 0 and at most 2.5"),
    ("pace_ms", "a whole number of milliseconds, at least 0"),
    ("cap_s_max", "a number of seconds, at least 0"),
    ("log_bytes_total", "a whole number of bytes, at least 1"),
    ("count", "a whole number, at least 1 and at most 10"),
    ("is_on", "true or false"),
    ("form", "a or b"),
    ("names", "names"),
]


@pytest.mark.parametrize(("name", "allowed"), ALLOWED)
def test_what_is_allowed_is_said_from_the_annotation(name, allowed):
    assert HELD[name].allowed == allowed


def test_a_field_without_a_reason_is_no_knob():
    assert list(HELD) == [name for name, _ in ALLOWED]
    assert HELD["count"].env == "FINALSTOP_COUNT"
    assert (HELD["count"].reason, HELD["count"].default) == ("why", 1)
    assert [name for name, knob in HELD.items() if knob.secret] == ["names"]


READ = [
    ("wait_s", " 2 ", 2.0),
    ("wait_s", 2, 2.0),
    ("count", "7", 7),
    ("is_on", "true", True),
    ("names", "a, b,,", ("a", "b")),
    ("names", ["a", "b"], ("a", "b")),
    ("form", "b", "b"),
]


@pytest.mark.parametrize(("name", "given", "value"), READ)
def test_a_value_is_read_by_its_type(name, given, value):
    assert HELD[name].read(given) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [("wait_s", "0"), ("wait_s", True), ("count", 1.5), ("form", "c"), ("names", [1])],
)
def test_a_value_outside_its_range_is_refused(name, given):
    with pytest.raises(msgspec.ValidationError):
        HELD[name].read(given)


def test_a_text_that_says_nothing_of_what_is_allowed_is_our_mistake():
    class Silent(Struct):
        name: Annotated[str, Meta(description="why")] = ""

    with pytest.raises(AssertionError, match="say what is allowed"):
        list(knobs_of(Silent))
