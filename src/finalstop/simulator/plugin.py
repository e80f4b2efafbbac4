"""The pytest plugin: a simulator per test. Loaded by pytest when finalstop is installed.

It imports nothing but the simulator, and that only when a fixture is used, so that a test run
without the fixtures pays nothing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from finalstop.simulator.thread import SimulatorThread


@pytest.fixture
def claude_simulator() -> "Iterator[SimulatorThread]":
    """A running simulator of the Messages API: `.url`, `.calls`.

    Its healthy answers come without pacing. Choose another answer or a fault per call, with the
    header `x-simulator: SPEC` or the model name `sim:SPEC`.
    """
    from finalstop.simulator.thread import SimulatorThread  # noqa: PLC0415  # see the docstring

    with SimulatorThread() as simulator:
        yield simulator


@pytest.fixture
def claude_simulator_url(claude_simulator: "SimulatorThread") -> str:
    """The base URL of a running simulator; give it to the SDK as `base_url`."""
    return claude_simulator.url
