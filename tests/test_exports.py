"""The front door: what is public is pinned here and described in the reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import finalstop

PUBLIC = {
    "Deltas",
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
    "StreamError",
    "Timings",
    "TooManyViewersError",
    "UnknownStreamError",
    "UpstreamRequest",
    "UpstreamSource",
    "Usage",
    "UsageStatus",
    "__version__",
    "drain_on_signals",
    "guard",
    "shared_relay",
    "source_of",
}
REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "library.md"


def test_the_public_names_are_these_and_sorted():
    assert set(finalstop.__all__) == PUBLIC
    assert finalstop.__all__ == sorted(finalstop.__all__)


def test_nothing_else_can_be_reached_by_accident():
    """In a process of its own: what other tests import hangs on the package, too."""
    said = "import finalstop; print(*(n for n in vars(finalstop) if n[0] not in '_@'))"
    names = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    rooms = {"core", "guarded", "log", "runtime", "shared", "upstream", "wire"}
    assert set(names.stdout.split()) - rooms == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_in_the_reference(name):
    assert f"`{name}" in REFERENCE.read_text()


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_says_what_it_is(name):
    assert (getattr(finalstop, name).__doc__ or "").strip()
