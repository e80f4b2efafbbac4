"""The stranger: a fake of the Anthropic Messages API that can fail in every way we know.

It needs no key and no network, and imports nothing else of finalstop: it writes its own HTTP and
its own SSE, so that a mistake in our codec cannot agree with itself. Standard library only.
"""

from finalstop.simulator.calls import Call, CallEnd, key_digest
from finalstop.simulator.catalogue import catalogue_markdown, describe
from finalstop.simulator.script import ScriptError, parse_script
from finalstop.simulator.server import PACE_MS, Simulator
from finalstop.simulator.thread import SimulatorThread

__all__ = [
    "PACE_MS",
    "Call",
    "CallEnd",
    "ScriptError",
    "Simulator",
    "SimulatorThread",
    "catalogue_markdown",
    "describe",
    "key_digest",
    "parse_script",
]
