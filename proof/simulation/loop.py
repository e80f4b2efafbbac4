"""An event loop with no clock, no thread and no socket of its own: a schedule is a seed.

Time is virtual: it stands still while anything is ready, and then jumps to the next timer. Timers
are rounded up to a coarse tick, so that what may race does meet; what is ready at once runs in an
order drawn from the seed. Everything that asyncio promises beside the order of `call_soon` holds.

It may not know what runs on it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from heapq import heappop, heappush
from math import ceil
from random import Random
from typing import Any, Final

from proof.simulation.network import Listener, Network

# A power of two, so that sums of ticks are exact and two timers of the same instant do meet. Just
# over half the sweeper's 0.1 s, which becomes two ticks.
TICK_S: Final = 1 / 16

# An instant like any other: nothing may depend on time beginning at 0.
BEGIN_S: Final = 1024.0

# More turns than any schedule needs: a loop that spins without time passing is a hang, too.
TURNS_MAX: Final = 500_000

Callback = Callable[..., object]


class NothingLeftError(RuntimeError):
    """No callback is ready, no timer is set, and somebody still waits: a hang for ever."""


class SoonHandle(asyncio.Handle):
    """As asyncio's, made in one call: debug mode is nothing that this loop has."""

    __slots__ = ()

    def __init__(
        self, callback: Callback, args: tuple[Any, ...], loop: SimLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None

    def cancel(self) -> None:
        """It is passed over when its turn comes."""
        self._cancelled = True
        self._callback = self._args = None  # type: ignore[assignment]


class LaterHandle(SoonHandle, asyncio.TimerHandle):
    """A timer's, made in two."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callback,
        args: tuple[Any, ...],
        loop: SimLoop,
        context: Context | None,
    ) -> None:
        SoonHandle.__init__(self, callback, args, loop, context)
        self._when = when
        self._scheduled = False


class SimLoop(asyncio.BaseEventLoop):
    """Run a coroutine with `run_until_complete`; close it afterwards.

    Args:
        seed: decides the order of what is ready and what the network does.
        shuffles: False keeps the order that asyncio documents for `call_soon`.

    Attributes:
        turns: how often the loop has gone round.
        reported: what was handed to the exception handler: each of them is a bug of somebody's.
        before: called with each callback that is about to run; the sweep of failures uses it.
        at_rest: called when nothing is ready, before time passes; it may make something ready.
    """

    def __init__(self, seed: int, *, shuffles: bool = True) -> None:
        super().__init__()
        self.dice: Final = Random(seed)
        self.network: Final = Network(self, self.dice)
        self.turns = 0
        self.reported: Final[list[dict[str, Any]]] = []
        self.before: Callable[[asyncio.Handle], None] | None = None
        self.at_rest: Callable[[], None] | None = None
        self._shuffles: Final = shuffles
        self._now = BEGIN_S
        # The timers of each tick, in the order in which they were set, and the ticks, as a heap.
        self._timers_at: Final[dict[float, list[asyncio.TimerHandle]]] = {}
        self._ticks: Final[list[float]] = []
        self._soon: list[asyncio.Handle] = []
        self.set_exception_handler(lambda _loop, context: self.reported.append(context))

    # -- time -------------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def call_at(  # type: ignore[override] # any arguments, as they are only passed on
        self, when: float, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at the first tick that is not before `when`."""
        tick = max(self._now, ceil(when / TICK_S) * TICK_S)
        timer = LaterHandle(tick, callback, args, self, context)
        others = self._timers_at.get(tick)
        if others is None:
            self._timers_at[tick] = [timer]
            heappush(self._ticks, tick)
        else:
            others.append(timer)
        return timer

    def call_later(  # type: ignore[override] # any arguments, as they are only passed on
        self, delay: float, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call after `delay` seconds, rounded up to a tick."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_soon(  # type: ignore[override] # any arguments, as they are only passed on
        self, callback: Callback, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call in the next turn, in an order drawn from the seed."""
        handle = SoonHandle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment] # as above

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are set, but for bytes that are on their way."""
        timers = [it for at in self._timers_at.values() for it in at if not it.cancelled()]
        return [timer for timer in timers if "Flow._deliver" not in repr(timer)]

    def _run_once(self) -> None:
        # Not once: as asyncio asks after each turn whether it shall stop, so do we, and stay here.
        while True:
            self.turns += 1
            if self.turns > TURNS_MAX:
                raise NothingLeftError(f"{TURNS_MAX} turns of the loop and no end")
            if not self._soon and self.at_rest is not None:
                self.at_rest()
            if not self._soon:
                self._let_time_pass()
            batch, self._soon = self._soon, []
            if self._shuffles and len(batch) > 1:
                self._shuffle(batch)
            for handle in batch:
                if not handle._cancelled:  # noqa: SLF001 - as every loop does
                    if self.before is not None:
                        self.before(handle)
                    handle._run()  # noqa: SLF001 - as every loop does
            if self._stopping:  # type: ignore[attr-defined] # asyncio's own
                return

    def _shuffle(self, batch: list[asyncio.Handle]) -> None:
        # As `Random.shuffle`, whose exact fairness costs more than all that is shuffled here.
        dice = self.dice.random
        for last in range(len(batch) - 1, 0, -1):
            other = int(dice() * (last + 1))
            batch[last], batch[other] = batch[other], batch[last]

    def _let_time_pass(self) -> None:
        while self._ticks:
            tick = heappop(self._ticks)
            timers = self._timers_at.pop(tick)
            due: list[asyncio.Handle] = []
            due += [it for it in timers if not it._cancelled]  # noqa: SLF001 - as every loop does
            if due:
                self._now, self._soon = tick, due
                return
        raise NothingLeftError("nothing is ready and no timer is set, but somebody waits")

    def close(self) -> None:
        """Let go of what is left: each of them knows who set it, and that one knows the loop."""
        super().close()
        self._timers_at.clear()
        self._ticks.clear()
        self._soon.clear()

    # -- no threads -------------------------------------------------------------------------------

    def run_in_executor(  # type: ignore[override] # as above
        self, _executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call `func` in a later turn of this very loop."""
        future: asyncio.Future[Any] = self.create_future()

        def call() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - it belongs to who awaits the future
                future.set_exception(error)

        self.call_soon(call)
        return future

    def _write_to_self(self) -> None:
        """There is no thread to be woken from."""

    def _process_events(self, _events: object) -> None:
        """The network pushes; nothing is polled."""

    # -- the network ------------------------------------------------------------------------------

    async def getaddrinfo(  # type: ignore[override] # only IPv4, whatever is hinted
        self, host: Any, port: Any, **_hints: Any
    ) -> list[tuple[Any, Any, int, str, tuple[str, int]]]:
        """Resolve a name as the network has it."""
        await self.network.delay()
        address = self.network.resolve(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; `sock` is only a ticket for `create_connection` and never touches a wire."""
        await self.network.connect(sock, (address[0], address[1]))

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        **_more: Any,
    ) -> asyncio.Transport:
        return self.network.transport_of(sock, protocol, waiter)

    async def create_server(  # type: ignore[override] # only what a server here is asked for
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | Sequence[str] | None = None,
        port: int = 0,
        **_options: Any,
    ) -> Listener:
        """Listen in memory."""
        assert isinstance(host, str)
        return self.network.listen(protocol_factory, (host, port))

    def dial(self, url_port: int, protocol: asyncio.Protocol) -> asyncio.Transport:
        """A client's connection, made at once: for those who play the clients."""
        return self.network.dial(("127.0.0.1", url_port), protocol)


def run(loop: SimLoop, main: Awaitable[Any]) -> Any:
    """Run `main` to its end on `loop`, and close the loop."""
    asyncio.set_event_loop(None)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
