"""One visit to one endpoint: the steps, the trials, the silence, the end. Facts in, none judged.

The composition root of this room's hands: everything that asks, starts or signals is put together
here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from finalstop.doctor.announce import Announce, DoctorError, Notice, in_silence
from finalstop.doctor.cases import ROLE_OF, ROLES, Role
from finalstop.doctor.connection import DIRECT, Way, address_of
from finalstop.doctor.idle import LEAST_S, Idle, find_idle_limit
from finalstop.doctor.observations import (
    Case,
    Observations,
    Question,
    Shutdown,
    Step,
    Trial,
    Untold,
)
from finalstop.doctor.patient import Patient, Recipe, pointed_at, treated
from finalstop.doctor.shutdown import SIGTERM_S, shut_down
from finalstop.doctor.sources import read_sources
from finalstop.doctor.steps import Round, ask_around, is_served, make_round
from finalstop.doctor.trials import FIRST_ANSWER_S, Ears, Ward, try_role, warm_up
from finalstop.simulator import Simulator

WINDOW_S: Final = 3.0
TIME_S: Final = 15.0
# What the trials usually take and what they may, in windows: a sick endpoint uses its window up in
# every trial that hangs.
TRIALS_USUAL_WINDOWS: Final = 12
TRIALS_MAX_WINDOWS: Final = 20
# What the small requests beside the trials may take: three of 2 s.
STEPS_S: Final = 7.0
WAIT_S: Final = 120.0
_TICK_S: Final = 0.05


def _not_kept(seen: Observations) -> None:
    del seen


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A simulator for a server that the person starts: its port, and how long we wait for it.

    `ready` is set by whoever knows that the server is pointed at it; a first call says the same.
    """

    port: int = 0
    wait_s: float = WAIT_S
    ready: asyncio.Event = field(default_factory=asyncio.Event)


async def visit(
    question: Question,
    *,
    run: str = "",
    folder: Path | None = None,
    listens: str = "",
    simulator: Borrowed | None = None,
    way: Way = DIRECT,
    window_s: float = WINDOW_S,
    time_s: float = TIME_S,
    idle_s: float | None = None,
    sigterm_s: float = SIGTERM_S,
    only: Sequence[Case] = (),
    announce: Announce = in_silence,
    interrupted: Callable[[Observations], None] = _not_kept,
) -> Observations:
    """Examine one endpoint and say what was seen. Give the result to `findings.examine`.

    Args:
        question: what to ask; `make_question` makes it.
        run: a command that starts the server behind the URL. It runs in `folder` (by default the
            current one) with ANTHROPIC_BASE_URL set to a simulator, and has ended on return.
        folder: where `run` runs, and whose source files are read to tell the stack apart.
        listens: host:port of the server that `run` starts, where the URL is another's before it.
        simulator: instead of `run`: the person's server is pointed at this one.
        way: proxies, certificates, HTTP version.
        window_s: seconds without progress after which a stream is called open.
        time_s: seconds for all requests, where there is no simulator.
        idle_s: seek the idle limit between the endpoint and us, up to so many seconds.
        sigterm_s: seconds that the server has to end after a SIGTERM.
        only: these trials (and the healthy one); by default all.
        announce: is told what is about to be done.
        interrupted: is given what was seen so far, if this is cancelled.

    Raises:
        DoctorError: the endpoint cannot be examined; says why and what to do.
    """
    _check(run=run, simulator=simulator, only=only, listens=listens, idle_s=idle_s)
    steps = Round(question, window_s, time.monotonic() + time_s, announce, way)
    if not run and simulator is None:
        announce(Notice(f"examine {question.url}; {time_s:g} s at most"))
        with _kept(steps, partial(_asked, steps), interrupted):
            await make_round(steps)
        return _asked(steps)
    chart = _Chart(steps, only, idle_s, sigterm_s)
    folder = folder or Path.cwd()
    known = partial(chart.observations, run, read_sources(run, folder) if run else {})
    async with _simulator(simulator.port if simulator else 0) as stranger:
        ward = Ward(question, stranger, window_s, way)
        async with _served(
            ward, simulator, announce, run=run, folder=folder, listens=listens
        ) as served:
            with _kept(steps, known, interrupted):
                await chart.fill(served)
    return known()


def _asked(steps: Round) -> Observations:
    return Observations(steps.question.url, steps.window_s, steps.steps, untold=tuple(steps.untold))


@asynccontextmanager
async def _served(
    ward: Ward,
    borrowed: Borrowed | None,
    announce: Announce,
    *,
    run: str,
    folder: Path,
    listens: str,
) -> AsyncIterator[Ward]:
    """The ward with its server: the person's own, or one that is started and ended here."""
    if borrowed is not None:
        await _wait_for_calls(ward.simulator, borrowed, announce)
        yield ward
        return
    env = pointed_at(ward.simulator.url, os.environ, limit_s=ward.window_s * 2 / 3)
    recipe = Recipe(run, _address(ward.question.url, listens), folder, env)
    announce(Notice(f"start: {run}"))
    async with treated(recipe) as patient:
        yield replace(ward, patient=patient)


@contextmanager
def _kept(
    steps: Round, known: Callable[[], Observations], interrupted: Callable[[Observations], None]
) -> Iterator[None]:
    """Who cancels what is under way is given what is known by then."""
    try:
        yield
    except asyncio.CancelledError:
        steps.untold.append(Untold("all that was still to be asked", "it was interrupted"))
        interrupted(known())
        raise


def _check(
    *,
    run: str,
    simulator: Borrowed | None,
    only: Sequence[Case],
    listens: str,
    idle_s: float | None,
) -> None:
    if run and simulator:
        raise DoctorError("--run brings its own simulator: give --run or --simulator, not both")
    if listens and not run:
        raise DoctorError("--listens is the address of the server that --run starts: give --run")
    simulated = bool(run or simulator)
    if only and not simulated:
        raise DoctorError("--only chooses trials with the simulator: give --run or --simulator")
    if idle_s is None:
        return
    if not simulated:
        raise DoctorError("--idle needs silence of the upstream: give --run or --simulator")
    if idle_s < LEAST_S:
        raise DoctorError(f"--idle {idle_s:g}: it must be at least {LEAST_S:g} seconds")


@asynccontextmanager
async def _simulator(port: int) -> AsyncIterator[Simulator]:
    simulator = Simulator(port=port)
    try:
        await simulator.start()
    except OSError as bad:
        told = f"the simulator cannot listen on port {port}: {bad.strerror}; give another, or 0"
        raise DoctorError(told) from None
    try:
        yield simulator
    finally:
        await simulator.stop()


class _Chart:
    """What is known of an endpoint that stands before a simulator."""

    def __init__(
        self, steps: Round, only: Sequence[Case], idle_s: float | None, sigterm_s: float
    ) -> None:
        self._round = steps
        self._only = only
        self._idle_s = idle_s
        self._sigterm_s = sigterm_s
        self._trials: dict[Case, Trial] = {}
        self._shutdown: Shutdown | None = None
        self._idle: Idle | None = None

    async def fill(self, ward: Ward) -> None:
        """Everything, in the order in which it disturbs the server the least."""
        self._announce_plan(ward)
        if ward.patient is not None:
            self._round.announce(Notice("wait for its first answer", FIRST_ANSWER_S))
            await warm_up(ward)
        if not (await self._is_up(ward) and await self._ask_healthy(ward)):
            return
        await self._ask_around(ward)
        await self._try_all(ward)
        if self._idle_s is not None and await self._is_up(ward):
            self._idle = await find_idle_limit(
                ward, most_s=self._idle_s, announce=self._round.announce
            )
        if ward.patient is not None and not self._only and await self._is_up(ward):
            await self._shut_down(ward, ward.patient)

    def observations(self, command: str, sources: Mapping[str, str]) -> Observations:
        """The chart, closed."""
        steps = self._round.steps
        if self._idle is not None:
            steps[Step.IDLE] = self._idle.exchange
        idle = self._idle
        return Observations(
            url=self._round.question.url,
            window_s=self._round.window_s,
            steps=steps,
            calls=self._round.calls,
            trials=self._trials,
            shutdown=self._shutdown,
            idle_limit_s=(idle.survived_s, idle.cut_s) if idle else None,
            command=command,
            sources=sources,
            untold=tuple(self._round.untold),
        )

    def _announce_plan(self, ward: Ward) -> None:
        roles = self._roles()
        share = len(roles) / len(ROLES)
        usual_s, most_s = (
            ward.window_s * windows * share
            for windows in (TRIALS_USUAL_WINDOWS, TRIALS_MAX_WINDOWS)
        )
        says = (
            f"{len(roles)} trials with the simulator: about {usual_s:.0f} s, {most_s:.0f} s at most"
        )
        self._round.announce(Notice(says, most_s))

    def _roles(self) -> list[Role]:
        wanted = {Case.HEALTHY, *self._only} if self._only else {role.case for role in ROLES}
        return [role for role in ROLES if role.case in wanted]

    async def _ask_healthy(self, ward: Ward) -> bool:
        """Whether the endpoint answers and asks our simulator: only then can faults be tried."""
        self._announce_role(ward, ROLE_OF[Case.HEALTHY])
        trial = await try_role(ward, ROLE_OF[Case.HEALTHY])
        self._round.steps[Step.ASK] = trial.exchange
        if trial.calls:
            self._trials[Case.HEALTHY] = trial
        if trial.calls and is_served(trial.exchange):
            return True
        self._round.untold.append(_untold_upstream(trial, ward))
        return False

    async def _ask_around(self, ward: Ward) -> None:
        self._round.hear = lambda: Ears(ward.simulator, time.monotonic()).calls
        self._round.deadline = time.monotonic() + STEPS_S
        await ask_around(self._round)

    async def _try_all(self, ward: Ward) -> None:
        deadline = time.monotonic() + ward.window_s * TRIALS_MAX_WINDOWS
        for role in self._roles():
            if role.case in self._trials:
                continue
            if time.monotonic() >= deadline:
                self._untold(str(role.case), "the time was over; try it with --only")
            elif await self._is_up(ward):
                self._announce_role(ward, role)
                self._trials[role.case] = await try_role(ward, role)
            else:
                self._untold(str(role.case), "the server could not be started again")

    async def _shut_down(self, ward: Ward, patient: Patient) -> None:
        self._round.announce(Notice("SIGTERM with a stream open", self._sigterm_s))
        self._shutdown = await shut_down(ward, patient, within_s=self._sigterm_s)
        if self._shutdown is None:
            self._untold("SIGTERM", "no stream came to be open")

    async def _is_up(self, ward: Ward) -> bool:
        """Start a patient that has died again; whether there is one to ask."""
        if ward.patient is None or ward.patient.alive:
            return True
        try:
            await ward.patient.end()
            self._round.announce(Notice("the server has died: start it again"))
            await ward.patient.start()
        except DoctorError:
            return False
        return True

    def _announce_role(self, ward: Ward, role: Role) -> None:
        self._round.announce(Notice(f"{role.case}: the upstream {role.says}", ward.total_s))

    def _untold(self, what: str, why: str) -> None:
        self._round.untold.append(Untold(what, why))


def _address(url: str, listens: str) -> tuple[str, int]:
    if not listens:
        return address_of(urlsplit(url))
    parts = urlsplit(f"//{listens}")
    with contextlib.suppress(ValueError):
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    raise DoctorError(f"--listens {listens}: it must be host:port, e.g. localhost:3000")


async def _wait_for_calls(simulator: Simulator, borrowed: Borrowed, announce: Announce) -> None:
    says = (
        f"start your server with ANTHROPIC_BASE_URL={simulator.url} and any ANTHROPIC_API_KEY, "
        "then press Enter, or ask it something"
    )
    announce(Notice(says, borrowed.wait_s))
    deadline = time.monotonic() + borrowed.wait_s
    while not simulator.calls and time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await borrowed.ready.wait()
                return


def _untold_upstream(trial: Trial, ward: Ward) -> Untold:
    what = "what the endpoint does when its upstream fails"
    if trial.calls:
        return Untold(what, f"it answered {trial.exchange.status} to a healthy upstream")
    why = (
        f"it never called the simulator at {ward.simulator.url}: its Claude client must take "
        "ANTHROPIC_BASE_URL from the environment, or be given it as its base URL"
    )
    return Untold(what, why)
