"""The front door: what is public is pinned here and described in the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

import finalstop

PUBLIC = {
    "EndReason",
    "Ended",
    "Entry",
    "Event",
    "Limits",
    "MemoryLog",
    "NotAcceptingError",
    "Party",
    "Receipt",
    "Refusal",
    "Relay",
    "Stream",
    "Timings",
    "TooManyViewersError",
    "UnknownStreamError",
    "UpstreamRequest",
    "UpstreamSource",
    "Usage",
    "UsageStatus",
    "__version__",
}
REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "library.md"


def test_the_public_names_are_these_and_sorted():
    assert set(finalstop.__all__) == PUBLIC
    assert finalstop.__all__ == sorted(finalstop.__all__)


def test_nothing_else_can_be_reached_by_accident():
    names = {name for name in vars(finalstop) if not name.startswith("_")}
    rooms = {"core", "log", "runtime", "upstream", "wire"}
    tools_of_this_checkout = {"simulator", "gateway", "telemetry", "cli"}
    assert names - rooms - tools_of_this_checkout == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_in_the_reference(name):
    assert f"`{name}" in REFERENCE.read_text()


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_says_what_it_is(name):
    assert (getattr(finalstop, name).__doc__ or "").strip()
