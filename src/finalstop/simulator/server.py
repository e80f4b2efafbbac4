"""The simulator itself: a small HTTP/1.1 server on raw sockets, and its record of calls.

One task per connection reads a request, plays its answer, and starts again. What the peer does is
noticed in the protocol callbacks, at once, also while the answer is silent.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Final, Self, cast

from finalstop.simulator.calls import Call, CallEnd, key_of, without_secrets
from finalstop.simulator.heads import respond_error, respond_json
from finalstop.simulator.performance import Performance
from finalstop.simulator.player import Player
from finalstop.simulator.requests import BadRequest, Request, RequestReader
from finalstop.simulator.routes import Setting, respond_to, spec_of
from finalstop.simulator.script import Script, healthy_again, parse_script

CALLS_PATH: Final = "/simulator/calls"
# What `serve` uses between deltas, so that a person sees the answer being written.
PACE_MS: Final = 20
# Calls remembered, and scripts with `times` counted: a simulator may run for days.
CALLS_MAX: Final = 10_000
_LINGER_RESET: Final = struct.pack("ii", 1, 0)


class Simulator:
    """A fake of the Messages API on a local port, with faults on demand.

    Start it with `async with` (or `start` and `stop`); its base URL is then `url`. `default` is the
    script of calls that name none, `pace_ms` the milliseconds between deltas where the script does
    not say, `require_key` whether a call without an API key is a 401. What the calls did is in
    `calls`, oldest first; of very many only the last CALLS_MAX are kept.

    Raises:
        ScriptError: `default` is no script.
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
        parse_script(default)
        self.calls: list[Call] = []
        self.connections_accepted = 0
        self._address = (host, port)
        self._setting = Setting(self._choose, default, pace_ms, require_key)
        self._times_played: Counter[str] = Counter()
        self._answered = 0
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end. Known once started."""
        assert self._server is not None, "the simulator is not running"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def connections_open(self) -> int:
        """How many client connections are open now, idle ones included."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), *self._address)

    async def stop(self) -> None:
        """Stop listening, reset every connection, and leave no task. May be called twice."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.reset()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def play(self, spec: str) -> None:
        """From now on, calls that name no script get this one. Open calls go on as they began.

        Raises:
            ScriptError: `spec` is no script.
        """
        parse_script(spec)
        self._setting = replace(self._setting, default=spec)

    def hang_up(self) -> None:
        """Break off every call that is open by closing its connection; idle ones stay."""
        for connection in list(self._connections):
            connection.hang_up()

    def forget(self) -> None:
        """Forget all calls, and how often each script with `times` was played."""
        self.calls.clear()
        self._times_played.clear()

    def enter(self, connection: "_Connection") -> int:
        """A connection was made; returns its number and runs it in a task of its own."""
        self.connections_accepted += 1
        self._connections.add(connection)
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection.task = task
        return self.connections_accepted

    def leave(self, connection: "_Connection") -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def answer(self, request: Request, connection: int) -> tuple[Call, Performance]:
        """Record a request and decide its answer."""
        call = _record(request, connection, number=self._answered + 1)
        if request.path == CALLS_PATH:
            return call, self._own_answer(request)
        self._answered += 1
        self.calls.append(call)
        del self.calls[:-CALLS_MAX]
        call.spec = spec_of(request, self._setting.default)
        return call, respond_to(request, self._setting, _request_id(call.number))

    def _own_answer(self, request: Request) -> Performance:
        if request.method == "DELETE":
            self.forget()
        if request.method not in {"GET", "HEAD", "DELETE"}:
            message = f"{CALLS_PATH} takes GET or DELETE, not {request.method}"
            return Performance(respond_error(405, "invalid_request_error", message, "req_own"))
        return Performance(respond_json(200, [c.as_json() for c in self.calls], "req_own"))

    def _choose(self, spec: str) -> Script:
        script = parse_script(spec)
        if script.times is None:
            return script
        if len(self._times_played) >= CALLS_MAX:
            self._times_played.clear()
        self._times_played[spec] += 1
        return script if self._times_played[spec] <= script.times else healthy_again(script)


class _Connection(asyncio.Protocol):
    """One client connection: a `Wire` for the player, and a watch on the peer."""

    task: asyncio.Task[None]
    _transport: asyncio.Transport

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._reader = RequestReader()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._call: Call | None = None
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop has transports of its own that are no subclasses of asyncio's.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        # Nothing may wait in our own buffer: a write is done when the kernel has it.
        transport.set_write_buffer_limits(high=0)
        self._writable.set()
        self._number = self._simulator.enter(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._arrived.set()

    def eof_received(self) -> bool:
        # A client that only shut its sending side counts as gone too.
        self._record_unanswered()
        self._peer_left()
        self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._record_unanswered()
        self._peer_left()
        self._simulator.leave(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()

    async def wait_for_bytes(self) -> None:
        while not self._reader.pending:
            await self._more()

    def close(self) -> None:
        self._transport.close()

    def hang_up(self) -> None:
        """Close, if a call is open: it is cut."""
        if self._call is not None:
            self._end(CallEnd.CUT)
            self._transport.close()

    def reset(self) -> None:
        """Reset. A call still open is cut: it is we who leave."""
        self._end(CallEnd.CUT)
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._transport.abort()

    async def serve(self) -> None:
        """Answer requests until one of the two sides closes."""
        try:
            while await self._serve_one():
                pass
        except BadRequest as bad:
            moves = respond_error(bad.status, "invalid_request_error", str(bad), "req_unreadable")
            await self._play(Performance(moves), _record(Request("", "", {}), self._number, 0))
        self.close()

    async def _serve_one(self) -> bool:
        request = await self._next_request()
        call, performance = self._simulator.answer(request, self._number)
        self._call = call
        reusable = await self._play(performance, call, bodiless=request.method == "HEAD")
        self._call = None
        return reusable and request.keep_alive

    async def _play(self, performance: Performance, call: Call, *, bodiless: bool = False) -> bool:
        player = Player(self, call, segment=performance.segment, bodiless=bodiless)
        return await player.play(performance)

    async def _next_request(self) -> Request:
        continued = False
        while (request := self._reader.next_request()) is None:
            if self._reader.awaits_continue and not continued:
                await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                continued = True
            await self._more()
        return request

    async def _more(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _record_unanswered(self) -> None:
        """Record a request that came together with the peer's leaving: it was a call, too."""
        with contextlib.suppress(BadRequest):
            if self._call is None and (request := self._reader.next_request()):
                self._call, _ = self._simulator.answer(request, self._number)

    def _peer_left(self) -> None:
        self._end(CallEnd.PEER_CLOSED)
        self.task.cancel()

    def _end(self, how: CallEnd) -> None:
        if self._call is not None:
            self._call.end(how, now=time.monotonic())


def _record(request: Request, connection: int, number: int) -> Call:
    key_header, digest = key_of(request.headers) or (None, None)
    return Call(
        number=number,
        connection=connection,
        method=request.method,
        path=request.path,
        headers=without_secrets(request.headers),
        body=request.json(),
        key_header=key_header,
        key_digest=digest,
        accepted_at=time.monotonic(),
    )


def _request_id(number: int) -> str:
    # Repeatable, like all the rest; looks like the API's own.
    return f"req_{Random(number).getrandbits(96):024x}"
