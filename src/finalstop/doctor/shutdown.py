"""SIGTERM with a stream open, as a deployment does it: what becomes of the reader and the server.

The upstream goes on for ever meanwhile: a server that only waits for its streams does not end.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

from finalstop.doctor.cases import ENDLESS
from finalstop.doctor.observations import Shutdown
from finalstop.doctor.patient import Patient
from finalstop.doctor.probe import Watch, ask
from finalstop.doctor.trials import Ward

# The signal comes this long after the first bytes of the body.
AFTER_BODY_S: Final = 0.3
# What Kubernetes gives is 30 s, and something has to be left for the server's own end.
SIGTERM_S: Final = 25.0
_TICK_S: Final = 0.02


async def shut_down(
    ward: Ward, patient: Patient, *, within_s: float = SIGTERM_S
) -> Shutdown | None:
    """Open a stream, send SIGTERM, and watch. None when no stream could be opened.

    The patient is not running afterwards.
    """
    ward.simulator.play(ENDLESS)
    began = time.monotonic()
    signalled: list[float] = []
    first: list[float] = []

    def leaves(at_s: float, body_bytes: int) -> bool:
        if body_bytes and not first:
            first.append(at_s)
        if first and not signalled and at_s - first[0] >= AFTER_BODY_S:
            patient.signal(signal.SIGTERM)
            signalled.append(time.monotonic())
        return bool(signalled) and time.monotonic() - signalled[0] >= within_s

    watch = Watch(max(within_s, ward.window_s), ward.window_s + within_s, leaves=leaves)
    exited = asyncio.get_running_loop().create_task(_exited(patient))
    exchange = await ask(ward.question, watch, way=ward.way, began=began)
    if not signalled:
        exited.cancel()
        return None
    left_s = within_s - (time.monotonic() - signalled[0])
    await asyncio.wait([exited], timeout=max(left_s, _TICK_S))
    at = exited.result() if exited.done() else None
    exited.cancel()
    status = patient.status
    return Shutdown(exchange, signalled[0] - began, None if at is None else at - began, status)


async def _exited(patient: Patient) -> float:
    """The moment in which the process ended, as `time.monotonic`."""
    while not await patient.wait(_TICK_S):
        pass
    return time.monotonic()
