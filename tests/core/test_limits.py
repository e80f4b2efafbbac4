"""The limits: their defaults, their ranges, their reasons, and that they fit together."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from finalstop.core.limits import DAY_S, DEFAULTS, GIB, MIB, Limits, limits_of

# Pinned, not derived: these are promises of the documentation.
# limit, default, values at the edge that are allowed, values just over it that are not
ABOVE_ZERO = ([0.001, 1, DAY_S], [0, -1, DAY_S + 1])
FROM_ZERO = ([0, 0.5, DAY_S], [-0.001, DAY_S + 1])
BYTES = ([1024, 1024 * GIB], [1023, 0, -1, 1024 * GIB + 1, 2048.5])
COUNT = ([1, 1_000_000], [0, -1, 1_000_001, 1.5])
ATTEMPTS = ([1, 10], [0, 11, 1.5])
ROWS = [
    ("connect_s", 4.0, *ABOVE_ZERO),
    ("commit_s", 5.0, *FROM_ZERO),
    ("first_content_s", 300.0, *ABOVE_ZERO),
    ("idle_s", 120.0, *ABOVE_ZERO),
    ("deadline_s", 3600.0, *ABOVE_ZERO),
    ("keep_alive_s", 15.0, *ABOVE_ZERO),
    ("gate_s", 0.027, [0.0, 1.0], [-0.001, 1.001]),
    ("body_s", 30.0, *ABOVE_ZERO),
    ("write_s", 30.0, *ABOVE_ZERO),
    ("linger_s", 0.0, *FROM_ZERO),
    ("linger_s_max", 300.0, *FROM_ZERO),
    ("drain_s", 20.0, *ABOVE_ZERO),
    ("attempts_sdk", 1, *ATTEMPTS),
    ("attempts_own", 2, *ATTEMPTS),
    ("event_bytes", 16 * MIB, *BYTES),
    ("stream_bytes", 64 * MIB, *BYTES),
    ("body_bytes", 32 * MIB, *BYTES),
    ("max_streams", 10_000, *COUNT),
    ("log_bytes_total", 2 * GIB, *BYTES),
    ("max_viewers", 1_000, *COUNT),
    ("retention_s", 300.0, *FROM_ZERO),
]
# A number that is none would make a timer that never runs out.
NEVER_ALLOWED = [math.nan, math.inf, -math.inf, "5", None, True]

FIELDS = {field.name: field for field in msgspec.structs.fields(Limits)}


def allowed(name: str, value: Any) -> bool:
    """Whether `value` is in the range of this limit, taken by itself."""
    try:
        return bool(msgspec.convert(value, FIELDS[name].type) == value)
    except msgspec.ValidationError:
        return False


def test_the_table_above_lists_every_limit():
    assert [row[0] for row in ROWS] == list(FIELDS)


@pytest.mark.parametrize(("name", "default"), [row[:2] for row in ROWS])
def test_the_defaults_are_the_designs(name, default):
    assert getattr(DEFAULTS, name) == default
    assert type(getattr(DEFAULTS, name)) is type(default)


def test_the_defaults_are_allowed():
    assert msgspec.convert(msgspec.to_builtins(DEFAULTS), Limits) == DEFAULTS


@pytest.mark.parametrize(("name", "edges"), [(row[0], row[2]) for row in ROWS])
def test_a_range_includes_its_edges(name, edges):
    assert [value for value in edges if not allowed(name, value)] == []


@pytest.mark.parametrize(("name", "beyond"), [(row[0], row[3]) for row in ROWS])
def test_a_range_ends_at_its_edges(name, beyond):
    assert [value for value in [*beyond, *NEVER_ALLOWED] if allowed(name, value)] == []


@pytest.mark.parametrize(("name", "beyond"), [(row[0], row[3][0]) for row in ROWS])
def test_a_value_out_of_range_is_refused_by_name(name, beyond):
    with pytest.raises(ValueError, match=rf"`\$\.{name}`"):
        msgspec.convert({name: beyond}, Limits)


def test_a_limit_that_does_not_exist_cannot_be_set():
    with pytest.raises(TypeError, match="idle_ms"):
        Limits(idle_ms=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", FIELDS)
def test_every_limit_states_its_reason(name):
    reason = msgspec.json.schema(FIELDS[name].type)["description"]
    assert len(reason.split()) >= 3
    assert not reason.endswith(".")


# Two limits that contradict each other, and the two facts that the message must name.
CONTRADICTIONS = [
    ({"commit_s": 15}, "commit_s=15 must be less than keep_alive_s=15"),
    ({"commit_s": 16.5}, "commit_s=16.5 must be less than keep_alive_s=15"),
    ({"keep_alive_s": 5}, "commit_s=5 must be less than keep_alive_s=5"),
    ({"linger_s": 301}, "linger_s=301 must not exceed linger_s_max=300"),
    ({"linger_s": 1, "linger_s_max": 0}, "linger_s=1 must not exceed linger_s_max=0"),
    ({"event_bytes": 64 * MIB + 1}, "event_bytes=67108865 must not exceed stream_bytes=67108864"),
    ({"stream_bytes": 1024}, "event_bytes=16777216 must not exceed stream_bytes=1024"),
]


@pytest.mark.parametrize(("values", "message"), CONTRADICTIONS)
def test_limits_that_contradict_each_other_are_refused_by_both_names(values, message):
    with pytest.raises(ValueError, match=message):
        Limits(**values)
    with pytest.raises(ValueError, match=message):
        msgspec.convert(values, Limits)


# Just not a contradiction.
CONCORDS = [
    {"commit_s": 14.999},
    {"commit_s": 0, "keep_alive_s": 0.001},
    {"linger_s": 300},
    {"linger_s_max": 0},
    {"event_bytes": 64 * MIB},
    {"stream_bytes": 16 * MIB},
]


@pytest.mark.parametrize("values", CONCORDS)
def test_limits_at_the_edge_of_a_contradiction_are_allowed(values):
    assert msgspec.structs.replace(DEFAULTS, **values) == Limits(**values)


def test_nothing_given_means_the_default_limits_and_what_is_no_limits_is_refused():
    own = Limits(idle_s=1.0)
    assert limits_of(None, DEFAULTS) is DEFAULTS
    assert limits_of(own, DEFAULTS) is own
    with pytest.raises(TypeError, match=r"finalstop.Limits, e.g. Limits\(idle_s=60\), not dict"):
        limits_of({"idle_s": 1}, DEFAULTS)


def test_limits_are_frozen():
    with pytest.raises(AttributeError, match="immutable"):
        DEFAULTS.idle_s = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadline_s", float("nan")),
        ("first_content_s", float("inf")),
        ("idle_s", 0.0),
        ("idle_s", -1.0),
        ("max_streams", 0),
        ("event_bytes", 1),
        ("attempts_own", 11),
    ],
)
def test_a_limit_out_of_range_is_refused_however_it_is_set(name, value):
    with pytest.raises(ValueError, match=f"^{name}={value}"):
        Limits(**{name: value})
