"""A simulator that runs in a thread of its own, for callers without an event loop."""

import asyncio
import threading
from typing import Self

from finalstop.simulator.calls import Call
from finalstop.simulator.server import Simulator

# Starting binds one socket; stopping resets a few. Longer than this is a bug, not a wait.
START_STOP_S = 10.0


class SimulatorThread:
    """The same as `Simulator`, synchronous. Use it with `with`, or `start` and `stop`.

    Takes the same keyword arguments.

    Raises:
        OSError: from `start`, when the port is taken.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        default: str = "text",
        pace_ms: int = 0,
        require_key: bool = True,
    ) -> None:
        self._simulator = Simulator(
            host=host, port=port, default=default, pace_ms=pace_ms, require_key=require_key
        )
        self._url = ""
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="finalstop-simulator", daemon=True)

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end. Known once started."""
        return self._url

    @property
    def calls(self) -> list[Call]:
        """The calls so far, oldest first. The records of open calls still change."""
        return self._simulator.calls

    @property
    def connections_open(self) -> int:
        """How many client connections are open now, idle ones included."""
        return self._simulator.connections_open

    @property
    def connections_accepted(self) -> int:
        """How many client connections were made so far."""
        return self._simulator.connections_accepted

    def start(self) -> None:
        """Start the thread; returns once `url` is known."""
        self._thread.start()
        assert self._ready.wait(START_STOP_S), "the simulator's thread did not start"
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop the simulator and its thread. May be called twice."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(START_STOP_S)

    def forget(self) -> None:
        """Forget all calls, and how often each script with `times` was played."""
        self._simulator.forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._simulator.start()
        except OSError as problem:
            self._failure = problem
            self._ready.set()
            return
        self._url = self._simulator.url
        self._ready.set()
        await self._leave.wait()
        await self._simulator.stop()
