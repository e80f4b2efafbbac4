"""The opening: what can be refused before anything starts is, and nothing is left behind."""

from __future__ import annotations

import inspect

import pytest

from finalstop import shared
from finalstop.adapters.opening import Opening, Options
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.runtime.relay import NotAcceptingError
from tests.adapters.answers import Unread
from tests.runtime.fakes import Bench, ScriptedSource, settle


@pytest.fixture
async def bench():
    bench = Bench(Limits(idle_s=7.0))
    yield bench
    await bench.close()


# the limits asked for, whether a relay is given, the limits kept
OWN = Limits(idle_s=3.0)
BOUNDS = [(OWN, True, 3.0), (OWN, False, 3.0), (None, True, 7.0), (None, False, DEFAULTS.idle_s)]


@pytest.mark.parametrize(("asked", "given", "idle_s"), BOUNDS)
async def test_a_streams_own_limits_come_before_the_relays(bench, asked, given, idle_s):
    opening = Opening([], relay=bench.relay if given else None, limits=asked)
    assert opening.limits.idle_s == idle_s


async def test_what_is_asked_reaches_the_stream(bench):
    opening = Opening(ScriptedSource(), relay=bench.relay, principal="ann", linger_s=9.0)
    stream = opening.open()
    assert stream.principal == "ann"
    with stream.presence():
        pass
    assert stream.ended is None


async def test_without_a_relay_the_loops_shared_one_opens_it(monkeypatch):
    monkeypatch.setattr(shared, "drain_on_signals", lambda relay: None)
    stream = Opening(ScriptedSource()).open()
    assert shared.shared_relay().find(stream.id) is stream
    shared.shared_relay().close()
    shared._relays.clear()


async def test_an_object_that_was_refused_is_closed_unread(bench):
    pulls = Unread()
    await bench.relay.drain()
    with pytest.raises(NotAcceptingError):
        Opening(pulls, relay=bench.relay).open()
    await settle()
    assert pulls.closed


async def test_a_source_of_the_callers_own_that_was_refused_was_never_started(bench):
    source = ScriptedSource()
    await bench.relay.drain()
    with pytest.raises(NotAcceptingError):
        Opening(source, relay=bench.relay).open()
    assert source._producer is None


# what is given, the error, what it says
MISTAKES = [
    ({"source": 7}, TypeError, "int"),
    ({"source": [], "format": "morse"}, ValueError, "morse"),
    ({"source": [], "fromat": "text"}, TypeError, "fromat"),
]


@pytest.mark.parametrize(("given", "error", "says"), MISTAKES)
def test_a_mistake_is_named_at_once(given, error, says):
    with pytest.raises(error, match=says):
        Opening(**given)


def test_every_option_is_taken_and_there_is_no_other():
    taken = set(inspect.signature(Opening).parameters) - {"source", "relay"}
    assert taken == set(Options.__annotations__)
