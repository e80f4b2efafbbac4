"""A few golden runs, with each of their points failed in each way; `make prove` does all."""

import pytest

from finalstop.runtime.stream import Stream
from proof.simulation.awaits import GOLDEN, Failure, run_with, sweep
from proof.simulation.laws import judge_broken

# A stream, a whole Message, the plain route, the library; aiohttp's client; a second viewer.
FEW = (0, 1, 2, 3, 40, 51)


@pytest.mark.slow
@pytest.mark.parametrize("number", FEW)
def test_a_failure_at_any_await_breaks_no_law(number, record_property):
    found = sweep(number)
    assert not found.wrong, "".join(f"\n  {line}" for line in found.wrong)
    assert set(found.failures) == {failure.value for failure in Failure}
    golden, failed = GOLDEN[number], sum(found.failures.values())
    record_property("figure", f"{golden.spec} on {golden.surface[0]}: {failed} failed runs")


def test_there_are_thirty_golden_runs_at_least():
    assert len(GOLDEN) >= 30
    assert len(set(map(repr, GOLDEN))) == len(GOLDEN)


def test_a_run_has_the_same_points_each_time():
    first, second = (run_with(GOLDEN[0], 0, Failure.CANCEL)[0].count for _ in range(2))
    assert first == second > 5


def test_a_stream_that_goes_on_after_its_reader_failed_is_seen(monkeypatch):
    monkeypatch.setattr(Stream, "_abandon_if_due", lambda self: None)
    number = next(n for n, it in enumerate(GOLDEN) if it.spec.startswith("stall@"))
    points = range(1, run_with(GOLDEN[number], 0, Failure.CANCEL)[0].count + 1)
    worlds = [run_with(GOLDEN[number], at, Failure.CANCEL)[1] for at in points]
    found = [line for world in worlds for line in judge_broken(world)]
    assert any("with nobody there" in line for line in found)
