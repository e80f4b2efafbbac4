"""Trials: the simulator plays a fault, we ask the endpoint, and note what came and what it called.

One after the other, because a call to the simulator does not say which question it is for. It may
not know what a good answer looks like.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from finalstop import simulator as simulation
from finalstop.doctor.cases import ROLE_OF, Leaving, Role
from finalstop.doctor.connection import DIRECT, Way
from finalstop.doctor.observations import Call, Case, Ending, Exchange, Question, Trial
from finalstop.doctor.patient import Patient
from finalstop.doctor.probe import Watch, after_first_bytes, ask, never
from finalstop.simulator import CallEnd, Simulator

# A stream that does nothing but ping lasts so many windows, and this long on top.
WINDOWS_MAX: Final = 2
TOTAL_EXTRA_S: Final = 4.0
# After we have left, the upstream call should end within 1 s; the rest is for a busy machine.
LEAVE_WATCH_S: Final = 2.5
# The same for a call whose answer has ended while its upstream goes on.
END_WATCH_S: Final = 1.0
# A process that dies of what happened does so at once; so does a late line of its log.
SETTLE_S: Final = 0.15
# The first answer of a server that has just been started.
FIRST_ANSWER_S: Final = 30.0
LEAVE_AFTER_BODY_S: Final = 0.3
LEAVE_AFTER_CALL_S: Final = 0.3
_TICK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Ward:
    """Where trials are made: the question, the simulator behind the endpoint, and its process.

    `patient` is None where the process is not ours.
    """

    question: Question
    simulator: Simulator
    window_s: float
    way: Way = DIRECT
    patient: Patient | None = None

    @property
    def total_s(self) -> float:
        """How long one exchange is watched at most."""
        return self.window_s * WINDOWS_MAX + TOTAL_EXTRA_S


async def try_role(ward: Ward, role: Role) -> Trial:
    """Play one fault through the endpoint. A patient that has died is not started again."""
    ward.simulator.play(role.script(ward.window_s))
    mark = ward.patient.mark() if ward.patient else 0
    began = time.monotonic()
    ears = Ears(ward.simulator, began)
    watch = Watch(
        ward.window_s * role.windows,
        ward.total_s,
        leaves=_leaves(role.leaving, ears),
        stirred=ears.stirred,
    )
    exchange = await ask(ward.question, watch, way=ward.way, began=began)
    await _settle(ward, ears, exchange)
    calls = ears.calls()
    # A server of few workers would be busy with them for all of the trials to come.
    ward.simulator.hang_up()
    return Trial(
        case=role.case,
        exchange=exchange,
        calls=calls,
        left_s=exchange.ended_s if exchange.ending is Ending.LEFT else None,
        survived=ward.patient.alive if ward.patient else None,
        said=ward.patient.said(since=mark) if ward.patient else "",
    )


async def warm_up(ward: Ward) -> None:
    """Ask until the first answer comes: a server may listen long before it has loaded its program.

    What it does is not kept. The upstream is healthy.
    """
    ward.simulator.play(ROLE_OF[Case.HEALTHY].script(ward.window_s))
    ears = Ears(ward.simulator, time.monotonic())
    begun_s: list[float] = []

    def leaves(at_s: float, body_bytes: int) -> bool:
        if not begun_s and (body_bytes or ears.heard()):
            begun_s.append(at_s)
        return bool(begun_s) and at_s - begun_s[0] >= ward.window_s

    watch = Watch(FIRST_ANSWER_S, FIRST_ANSWER_S, leaves=leaves)
    exchange = await ask(ward.question, watch, way=ward.way)
    await _settle(ward, ears, exchange)


class Ears:
    """Hears the calls that the simulator gets from now on; times count from `began`."""

    def __init__(self, simulator: Simulator, began: float) -> None:
        self._simulator = simulator
        self._began = began
        self._before = _newest(simulator)

    def heard(self) -> list[simulation.Call]:
        """The calls so far."""
        return [call for call in self._simulator.calls if call.number > self._before]

    def stirred(self) -> float:
        """When the newest call came, as `time.monotonic`; 0 without one."""
        return max((call.accepted_at for call in self.heard()), default=0.0)

    def all_ended(self) -> bool:
        """Whether no call is open."""
        return all(call.ended_at is not None for call in self.heard())

    def calls(self) -> tuple[Call, ...]:
        """The calls as observations."""
        return tuple(self._observed(call) for call in self.heard())

    def _observed(self, call: simulation.Call) -> Call:
        closed_s = None if call.ended_at is None else call.ended_at - self._began
        finished = call.ended in {CallEnd.FINISHED, CallEnd.CUT}
        return Call(call.accepted_at - self._began, closed_s, finished)


def _newest(simulator: Simulator) -> int:
    return simulator.calls[-1].number if simulator.calls else 0


def _leaves(leaving: Leaving, ears: Ears) -> Callable[[float, int], bool]:
    match leaving:
        case Leaving.NEVER:
            return never
        case Leaving.MID_STREAM:
            return after_first_bytes(LEAVE_AFTER_BODY_S)
        case Leaving.BEFORE_HEAD:
            return lambda _at_s, _bytes: _since(ears.stirred()) >= LEAVE_AFTER_CALL_S
        case _:
            assert_never(leaving)


def _since(at: float) -> float:
    return time.monotonic() - at if at else 0.0


async def _settle(ward: Ward, ears: Ears, exchange: Exchange) -> None:
    """Give the endpoint its moment to close its calls, and the process its moment to die."""
    await asyncio.sleep(SETTLE_S)
    watched_s = LEAVE_WATCH_S if exchange.ending is Ending.LEFT else END_WATCH_S
    if exchange.ending is Ending.STILL_OPEN:
        return
    deadline = time.monotonic() + watched_s - SETTLE_S
    while not ears.all_ended() and time.monotonic() < deadline:
        if ward.patient is not None and not ward.patient.alive:
            return
        await asyncio.sleep(_TICK_S)
