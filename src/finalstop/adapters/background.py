"""A relay in the background, for programs that have no event loop.

One thread, one loop, one relay, started on first use. Here are the three moments at which such a
thread goes wrong: a fork leaves it behind, the interpreter's exit stops it without a word, and a
signal ends the process while answers are under way. This room may not know what the jobs do.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import FrameType
from typing import Any, Final
from weakref import WeakSet

from finalstop.runtime.relay import TERMINALS_S, Relay
from finalstop.shared import DRAIN_SIGNALS, shared_relay

log = logging.getLogger("finalstop.adapters")

Job = Callable[[Relay], Coroutine[Any, Any, None]]

# How often whoever waits for the thread makes sure that it still lives.
ALIVE_CHECK_S: Final = 1.0

# For a server to write what ends a body, after it has let go of the body: waitress hands it to
# another thread. Ending the process earlier would cut a whole answer.
LAST_BYTES_S: Final = 0.2

UNTOLD: Final = (
    "streams begin, and nothing tells their relay when this process is told to end: it may be "
    "killed with answers cut off and on_end never called. Call finalstop.adapters.background."
    "drain_on_signals() where the application is set up, in each worker process"
)


class BackgroundRelay:
    """A relay on a loop and a thread of its own; safe to use from any thread, and after a fork.

    It starts on first use, once in each process, and drains when the interpreter exits. If nobody
    has called `drain_on_signals` for it by then, the start is logged as a warning, once.

    Args:
        make: makes the relay. Called on the loop, once in each process.
    """

    def __init__(self, make: Callable[[], Relay] = shared_relay) -> None:
        self._make = make
        self._starting = threading.Lock()
        self._engine: _Engine | None = None
        self._told_of_signals = False
        atexit.register(self.close)
        _all.add(self)

    def run(self, job: Job) -> Callable[[], None]:
        """Start `job(relay)` on the loop, in the caller's context; return what cancels it.

        A job deals with its own failures. Cancelling one that is over does nothing.

        Raises:
            RuntimeError: the relay was closed.
        """
        with self._starting:
            if self._engine is None:
                self._engine = _Engine(self._make)
                if not self._hears_signals():
                    log.warning(UNTOLD)
        return self._engine.run(job)

    @property
    def alive(self) -> bool:
        """Whether jobs make progress: not before the first use, and not after `close`."""
        return self._engine is not None and self._engine.alive

    def drain(self, then: Callable[[], None] = lambda: None) -> None:
        """Begin the drain, if there is anything to drain; returns at once.

        Args:
            then: called when no stream and no job is left, in whatever thread.
        """
        if self._engine is None:
            then()
        else:
            self._engine.drain(then)

    def close(self) -> None:
        """Drain, at most `drain_s`, and stop the thread. Runs at the interpreter's exit by itself.

        A KeyboardInterrupt meanwhile ends the waiting.
        """
        engine = self._engine
        if engine is not None:
            engine.close()

    def hurry(self) -> None:
        """Begin the drain, or, where it has begun, end every stream now."""
        engine = self._engine
        if engine is not None and engine.draining:
            engine.cut("A second signal.")
        self.drain()

    def listen(self) -> None:
        """What `drain_on_signals` does, which is its public name."""
        self._told_of_signals = True
        for number in DRAIN_SIGNALS:
            _chain(self, number)

    def _hears_signals(self) -> bool:
        # After a fork a handler may still be there, or a server may have put its own in its place.
        return self._told_of_signals or any(
            getattr(signal.getsignal(number), "relay", None) is self for number in DRAIN_SIGNALS
        )

    def _forked(self) -> None:
        # The parent's thread and relay are not here, but its loop's descriptors are, and they are
        # the parent's, too: closing them, as garbage would, would disturb its poll.
        if self._engine is not None:
            _left_behind.append(self._engine)
        self._engine = None
        self._told_of_signals = False
        self._starting = threading.Lock()


def drain_on_signals(relay: BackgroundRelay | None = None) -> None:
    """Make SIGTERM and SIGINT begin the drain, and then do what was done before.

    No WSGI server tells its application that it shuts down, so live streams learn of it here or
    not at all. Call it once, in the main thread, where the application is set up; with a server
    that forks after loading it (gunicorn's `--preload`), in each worker instead. A second signal
    ends the streams at once.

    Args:
        relay: whose drain; the default is the relay that all handlers of the process share.

    Raises:
        RuntimeError: this is not the main thread, the only one that may handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("drain_on_signals must be called in the main thread")
    (relay or SHARED).listen()


def _chain(relay: BackgroundRelay, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    if before is not None and before != signal.SIG_IGN:
        signal.signal(number, _Handler(relay, before))
    # Else somebody decided that this signal does not end the process.


class _Handler:
    """What a signal does once it also begins the drain of `relay`."""

    def __init__(self, relay: BackgroundRelay, before: object) -> None:
        self.relay = relay
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            self.relay.hurry()
            self._before(number, frame)
        else:
            # By default it ends the process: when the streams have ended, or the second time.
            signal.signal(number, signal.SIG_DFL)
            self.relay.drain(then=lambda: os.kill(os.getpid(), number))


class _Engine:
    """The thread, while it lives. Everything but `run`, `drain` and `close` is on its loop."""

    def __init__(self, make: Callable[[], Relay]) -> None:
        self._leave = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self._drain: asyncio.Task[None] | None = None
        self._drained = threading.Event()
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(make, started)),
            name="finalstop-relay",
            daemon=True,  # at exit, `close` is what waits for it, and with a bound
        )
        self._thread.start()
        self._loop = started.result()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def draining(self) -> bool:
        return not self._relay.accepting

    def run(self, job: Job) -> Callable[[], None]:
        tasks: list[asyncio.Task[None]] = []
        self._loop.call_soon_threadsafe(lambda: tasks.append(self._begin(job)))

        def cancel() -> None:
            with suppress(RuntimeError):  # the loop is closed, and the job with it
                self._loop.call_soon_threadsafe(_cancel, tasks)

        return cancel

    def drain(self, then: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin_drain, then)
        except RuntimeError:  # the loop is closed: nothing is left
            then()

    def cut(self, why: str) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing is left
            self._loop.call_soon_threadsafe(self._relay.cut, why)

    def close(self) -> None:
        self.drain(self._drained.set)
        with suppress(KeyboardInterrupt):
            while self.alive and not self._drained.wait(ALIVE_CHECK_S):
                pass
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(TERMINALS_S)

    async def _live(
        self, make: Callable[[], Relay], started: Future[asyncio.AbstractEventLoop]
    ) -> None:
        try:
            self._relay = make()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the start
            started.set_exception(error)
            return
        started.set_result(asyncio.get_running_loop())
        await self._leave.wait()
        self._relay.close()

    def _begin(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(job(self._relay), name="wsgi")
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _begin_drain(self, then: Callable[[], None]) -> None:
        if self._drain is None:
            self._drain = asyncio.get_running_loop().create_task(self._drain_all(), name="drain")
        self._drain.add_done_callback(lambda _: then())

    async def _drain_all(self) -> None:
        await self._relay.drain()
        # Every stream has ended; the server's threads still need a moment to write how.
        if self._jobs:
            await asyncio.wait(tuple(self._jobs), timeout=TERMINALS_S)
            await asyncio.sleep(LAST_BYTES_S)


def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


_all: Final[WeakSet[BackgroundRelay]] = WeakSet()
_left_behind: Final[list[_Engine]] = []


def _forked() -> None:
    for relay in tuple(_all):
        relay._forked()  # noqa: SLF001 - the same module: nobody else is to call it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

# The relay that all WSGI handlers of a process share.
SHARED: Final = BackgroundRelay()
