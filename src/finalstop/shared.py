"""The relay that a process's handlers share, made on first use; the library's composition root.

One relay per event loop: its streams, its sweeper and its drain belong to that loop. Programs that
want other limits or another log make their own `Relay`, hand it to the adapters, and call
`drain_on_signals` with it once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Final

from finalstop.core.limits import DEFAULTS
from finalstop.log.memory import MemoryLog
from finalstop.runtime.relay import Relay

DRAIN_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

# Modules whose signal handler cuts every open response at once: it is called after the drain.
# Daphne's is Twisted's.
CUTTERS: Final = ("twisted.",)

# How often an ended drain is looked for, by what comes after it.
LOOK_S: Final = 0.05

_relays: Final[dict[asyncio.AbstractEventLoop, Relay]] = {}
_drains: Final[list[Drain]] = []
_before: Final[dict[int, object]] = {}


def shared_relay() -> Relay:
    """The running loop's relay, with the default limits and a memory log.

    The first call in the main thread also makes SIGTERM and SIGINT begin its drain: see
    `drain_on_signals`.

    Raises:
        RuntimeError: no event loop is running.
    """
    loop = asyncio.get_running_loop()
    relay = _relays.get(loop)
    if relay is None:
        for closed in [it for it in _relays if it.is_closed()]:
            del _relays[closed]
        relay = _relays[loop] = Relay(MemoryLog(DEFAULTS), DEFAULTS)
        drain_on_signals(relay)
    return relay


def drain_on_signals(relay: Relay) -> None:
    """Begin `relay`'s drain when the process is told to end, and do what was done before as well.

    Web servers wait for open responses when they shut down, most of them without a limit, and tell
    no application until the last is closed. So the streams must learn of it from us. What handled
    the signal before is called at once, where it is known to cut open responses after the drain.
    A second signal ends the streams `draining` at once. A signal that was ignored stays so.

    Call it in the relay's running loop, after the server has set up its own handlers: in a handler
    or a startup hook. Idempotent. Outside the main thread, where Python allows no signal handlers,
    the relay is drained only if another call has come from the main thread, before or after.
    """
    loop = asyncio.get_running_loop()
    _drains[:] = [it for it in _drains if not it.loop.is_closed()]
    if not any(it.relay is relay for it in _drains):
        _drains.append(Drain(relay, loop))
    if threading.current_thread() is threading.main_thread():
        for number in DRAIN_SIGNALS:
            _listen(number)


class Drain:
    """One relay's drain, which a signal handler can begin from any point of the program."""

    def __init__(self, relay: Relay, loop: asyncio.AbstractEventLoop) -> None:
        self.relay = relay
        self.loop = loop
        self._begun = False
        self._task: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether somebody should wait for it."""
        done = self._task is not None and self._task.done()
        return self._begun and not done and not self.loop.is_closed()

    def begin_soon(self) -> None:
        """Begin; when it has begun before, end every stream at once. From any thread."""
        if not self.loop.is_closed():
            self._begun = True
            self.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._task is None:
            self._task = self.loop.create_task(self._run(), name="drain")
        else:
            self.relay.cut("A second signal.")

    async def _run(self) -> None:
        over_at = self.loop.time() + self.relay.limits.drain_s
        await self.relay.drain()
        # The streams have ended. Who reads them is told now, and takes a moment to write it.
        while self.relay.watched and self.loop.time() < over_at:  # noqa: ASYNC110 - soon over
            await asyncio.sleep(LOOK_S)


def _listen(number: int) -> None:
    before = signal.getsignal(number)
    # None: not set from Python, so it could not be called; SIG_IGN: the signal ends nothing.
    if before is _on_signal or before is None or before == signal.SIG_IGN:
        return
    _before[number] = before
    signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    drains = tuple(_drains)
    for drain in drains:
        drain.begin_soon()
    before = _before[number]
    if callable(before) and not _cuts(before):
        before(number, frame)
        return
    # As it was before: a second signal does at once what would have been done.
    signal.signal(number, before)  # type: ignore[arg-type] # it is what getsignal returned
    alive = [it for it in drains if not it.loop.is_closed()]
    if alive:
        alive[0].loop.call_soon_threadsafe(_raise_when_drained, alive, number)
    else:
        signal.raise_signal(signal.Signals(number))


def _cuts(handler: object) -> bool:
    module = getattr(handler, "__module__", None) or ""
    return module.startswith(CUTTERS)


def _raise_when_drained(drains: list[Drain], number: int) -> None:
    if any(it.under_way for it in drains):
        drains[0].loop.call_later(LOOK_S, _raise_when_drained, drains, number)
    else:
        signal.raise_signal(signal.Signals(number))
