"""One schedule, carried out: a whole gateway, its upstream and its clients on one `SimLoop`.

The gateway is `gateway.serve.open_gateway` as it is served, the upstream is the simulator behind
aiohttp's own client. What is opened up for the proof is said in `openings`, and nothing else is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from typing import Any, Final

import msgspec
from msgspec import structs

from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.gateway import serve
from finalstop.gateway.config import Settings
from finalstop.log.contract import UnknownStreamError
from finalstop.runtime.stream import Stream, TooManyViewersError
from finalstop.simulator import CallEnd, Simulator
from proof.simulation.client import HOST, Reader, request_of, wire_request
from proof.simulation.flow import Manners
from proof.simulation.joined import Joined
from proof.simulation.loop import BEGIN_S, TICK_S, NothingLeftError, SimLoop, run
from proof.simulation.network import Address
from proof.simulation.openings import Ordered, openings
from proof.simulation.plan import HEALS_AT_S, LIMITS, Asking, Plan
from proof.simulation.transport import Side
from proof.simulation.witness import Story, Witness
from tests.gateway.running import name_of

# Until the deadline and 7 s after the last client has come a network may be as slow as it likes.
# Then it heals: who still waits after another 3 s does not wait for bytes that are on their way.
HEALED_S: Final = 1.0 + LIMITS["deadline_s"] + 7.0
HANG_S: Final = HEALED_S + 3.0
# After the terminal, I7 says, and two ticks for who comes late to the same instant.
LET_GO_S: Final = 1.0 + 2 * TICK_S
SETTLED_S: Final = 2.0

AlsoDo = Callable[["World"], None]


class World:
    """What happened, for `laws` to judge.

    Attributes:
        plan: what was to happen.
        loop: where.
        readers: the clients that could connect, with what they asked.
        joined: the second viewers.
        stories: the streams, as their log has them.
        is_closing: whether all is over, and the gateway is being closed.
        wrong: what was seen on the way and must not be; `laws` adds what can be said afterwards.
        hash: of everything that happened, in order.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan: Final = plan
        self.loop: Final = SimLoop(plan.seed, shuffles=plan.shuffles)
        self.loop.network.has_descriptors = plan.has_descriptors
        self.limits: Final = msgspec.convert({**LIMITS, **plan.limits}, Limits)
        self.readers: Final[list[tuple[Asking, Reader]]] = []
        self.joined: Final[list[Joined]] = []
        self.wrong: list[str] = []
        self.is_closing = False
        self.hash = ""
        self.upstream_url = ""
        self.witness: Witness
        self.relay: Any = None
        self.simulator: Any = None
        self._upstream_wires = 0
        self._dialling: tuple[Manners, Manners] | None = None
        self.gateway_port = 0
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._timers: Final[list[asyncio.TimerHandle]] = []
        self._askers: Final[list[Reader]] = []
        self._busy_until = BEGIN_S
        self._names: Final[dict[str, str]] = {}
        self._reader_of: Final[dict[str, tuple[Asking, Reader]]] = {}

    @property
    def stories(self) -> list[Story]:
        """The streams, in order of opening."""
        return list(self.witness.stories.values())

    def reader_of(self, stream: str) -> tuple[Asking, Reader] | None:
        """The client that opened a stream; None where that was no connection."""
        return self._reader_of.get(self._names.get(stream, ""))

    # -- the run ----------------------------------------------------------------------------------

    async def play(self, also: AlsoDo) -> None:
        """The whole of it."""
        loop, plan = self.loop, self.plan
        loop.network.policy = self
        async with Simulator(require_key=False) as simulator:
            simulator._connections = Ordered()  # type: ignore[assignment] # noqa: SLF001
            self.simulator = simulator
            port = int(simulator.url.rpartition(":")[2])
            self.upstream_url = self._upstream(port)
            # No rest: here time stands still while anything is ready.
            settings = Settings(limits=self.limits, port=0, upstream=self.upstream_url, rest_s=0)
            async with serve.open_gateway(settings) as gateway:
                self.gateway_port = int(gateway.url.rpartition(":")[2])
                self._open_up(gateway.relay)
                also(self)
                for number, asking in enumerate(plan.askings):
                    self._schedule(number, asking)
                if plan.drain_at_s:
                    await self._until_drained()
                else:
                    await self._until_over()
                    self._check_at_rest()
                self.is_closing = True
                self.loop.network.heal()
            for reader in [reader for _, reader in self.readers] + self._askers:
                await self._gone(reader)
            for task in tuple(self._tasks):
                task.cancel()
        for timer in self._timers:
            timer.cancel()
        await asyncio.sleep(SETTLED_S)
        self._check_nothing_left()

    def _upstream(self, port: int) -> str:
        match self.plan.upstream:
            case "refused":
                port = 1
            case "silent":
                self.loop.network.silent.add((HOST, port))
                if self.plan.mode == "liveness":
                    self._at(HEALS_AT_S, self.loop.network.silent.clear)
            case "unresolvable":
                return "https://finalstop-simulator.invalid"
            case _:
                pass
        return f"http://{HOST}:{port}"

    def _open_up(self, relay: Any) -> None:
        self.relay = relay
        self.witness = Witness(relay._log, self.loop)  # noqa: SLF001 - see `openings`
        relay._log = self.witness  # noqa: SLF001
        relay._on_ended = self._ended  # noqa: SLF001
        numbers = count(1)
        relay._new_id = lambda: f"{next(numbers):032x}"  # noqa: SLF001
        relay_open = relay.open

        def note_name(source: Any, **how: Any) -> Stream:
            stream: Stream = relay_open(source, **how)
            body = json.loads(source._request.body)  # noqa: SLF001
            self._names[stream.id] = body["metadata"]["user_id"]
            return stream

        relay.open = note_name

    def _at(self, after_s: float, act: Callable[..., object], *args: object) -> None:
        self._timers.append(self.loop.call_at(BEGIN_S + after_s, act, *args))

    def _schedule(self, number: int, asking: Asking) -> None:
        self._at(asking.at_s, self._begin, number, asking)
        self._busy_until = max(
            self._busy_until,
            BEGIN_S + asking.at_s,
            BEGIN_S + (asking.stop_at_s or 0.0),
            BEGIN_S + max(asking.joins or (0.0,)),
        )
        if asking.stop_at_s is not None:
            self._at(asking.stop_at_s, self._stop, number)
        if asking.joins is not None:
            self._at(asking.joins[0], self._join, number, asking.joins)

    async def _until_over(self) -> None:
        """Wait for every client, every stream and their retention."""
        over = asyncio.Event()
        # Looked at when the loop rests: what is waited for must not be touched by the waiting.
        self.loop.at_rest = lambda: None if self._is_busy() else over.set()
        # It rests at every timer; these two are there where there is no other.
        settled = self.loop.call_at(self._busy_until + TICK_S, lambda: None)
        healed = self.loop.call_at(BEGIN_S + HEALED_S, self.loop.network.heal)
        hang = self.loop.call_at(BEGIN_S + HANG_S, over.set)
        await over.wait()
        self.loop.at_rest = None
        for timer in (settled, healed, hang):
            timer.cancel()
        waiting = [number for number, (_, it) in enumerate(self.readers) if it.is_served]
        self.wrong += [f"hang: client {number}" for number in waiting]
        waits = list(filter(_is_library, self._tasks))
        self.wrong += ["hang: a reader of the library"] * len(waits)
        self.wrong += [f"hang: {self.relay.live} live streams"] if self.relay.live else []
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.sleep(
            max(LET_GO_S, self.limits.retention_s + self.limits.write_s + 4 * TICK_S)
        )

    def _is_busy(self) -> bool:
        return (
            self.loop.time() <= self._busy_until
            or self.relay.live > 0
            or any(reader.is_served for _, reader in self.readers)
            # A client may have left before its request has arrived.
            or any(not side.inward.dead for side in self._served())
            or any(map(_is_library, self._tasks))
        )

    def _served(self) -> list[Side]:
        """The gateway's sides of its clients' connections."""
        port = self.gateway_port
        return [it for it in self.loop.network.open if it.get_extra_info("sockname")[1] == port]

    async def _until_drained(self) -> None:
        signals: asyncio.Queue[str] = asyncio.Queue()
        for at_s in self.plan.drain_at_s:
            self._at(at_s, signals.put_nowait, "SIGTERM")
        await serve._until_signalled(signals, self.relay)  # noqa: SLF001 - what `serve` waits for

    async def _gone(self, reader: Reader) -> None:
        """The gateway is closed: whoever still has a connection has to see its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_S if reader.is_served else 0):
                await reader.over.wait()
        if reader.is_served:
            self.wrong.append("hang: a client outlives the gateway")
        reader.leave("rst")

    # -- the clients ------------------------------------------------------------------------------

    def begin_task(
        self, coro: Coroutine[Any, Any, None], name: str = "joined"
    ) -> asyncio.Task[None]:
        """Run a reader that is no connection. One named "library" is waited for, others are not."""
        task = self.loop.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, number: int, asking: Asking) -> None:
        if not asking.path.startswith("/"):
            return  # no route: somebody else asks it
        reader = self._dial(asking.wire)
        if reader is None:
            return
        self.readers.append((asking, reader))
        self._reader_of[f"client {number}"] = (asking, reader)
        self._send(reader, request_of(asking, f"client {number}", self.gateway_port))
        if asking.leaves is not None:
            at_s, how = asking.leaves
            self._at(asking.at_s + at_s, reader.leave, how)
        if asking.pauses is not None:
            self._at(asking.at_s + asking.pauses[0], self._pause, reader, asking.pauses[1])

    def _pause(self, reader: Reader, for_s: float) -> None:
        reader.pause()
        self._timers.append(self.loop.call_later(for_s + TICK_S, reader.resume))

    def _dial(self, wire: tuple[Manners, Manners]) -> Reader | None:
        reader = Reader(self.loop)
        self._dialling = wire
        try:
            reader.transport = self.loop.dial(self.gateway_port, reader)
        except ConnectionRefusedError:
            return None  # the gateway has closed
        return reader

    def _send(self, reader: Reader, data: bytes) -> None:
        assert reader.transport is not None
        reader.transport.write(data)

    def _stop(self, number: int) -> None:
        if number >= len(self.stories):
            return
        reader = self._dial((Manners(), Manners()))
        if reader is not None:
            self._askers.append(reader)
            path = f"/streams/{self.stories[number].stream}"
            self._send(reader, wire_request("DELETE", path, self.gateway_port, []))

    def _join(self, number: int, joins: tuple[float, float]) -> None:
        if number >= len(self.stories):
            return
        story = self.stories[number]
        after = self.loop.dice.randrange(len(story.entries) + 1)
        joined = Joined(story.stream, after, bytearray())
        self.joined.append(joined)
        self._at(joins[1], self.begin_task(self._view(joined)).cancel)

    async def _view(self, joined: Joined) -> None:
        stream = self.relay._streams.get(joined.stream)  # noqa: SLF001 - whoever opened it
        if stream is None:
            return
        with suppress(ConnectionError, UnknownStreamError, TooManyViewersError):
            await joined.pull(stream, self.loop.time)

    # -- the network's policy ---------------------------------------------------------------------

    def manners(self, to: Address) -> tuple[Manners, Manners]:
        """Those of the plan."""
        if to[1] == self.gateway_port and self._dialling is not None:
            wire = self._dialling
        else:
            wires = self.plan.wires
            wire = wires[self._upstream_wires % len(wires)]
            self._upstream_wires += 1
        return self._dated(wire[0]), self._dated(wire[1])

    def delay_ticks(self) -> int:
        """Mostly none."""
        return (0, 0, 0, 1, 2)[int(self.loop.dice.random() * 5)]

    def _dated(self, manners: Manners) -> Manners:
        if not manners.stalls_s:
            return manners
        until_s = manners.stalls_at_s + manners.stalls_s
        if self.plan.mode == "liveness":
            until_s = min(until_s, HEALS_AT_S)
        stalls_s = max(0.0, until_s - manners.stalls_at_s)
        at_s = BEGIN_S + manners.stalls_at_s
        return structs.replace(manners, stalls_at_s=at_s, stalls_s=stalls_s)

    # -- what must be gone ------------------------------------------------------------------------

    def _ended(self, _stream: Stream, ended: Ended) -> None:
        self.loop.call_later(LET_GO_S, self._check_let_go, ended.receipt.stream)

    def _check_let_go(self, stream: str) -> None:
        """Every call of the stream is over, or its connection is closed on our side."""
        for call in self.simulator.calls:
            name = name_of(call)  # type: ignore[no-untyped-call]
            if name == self._names.get(stream) and self._is_held(call):
                self.wrong.append(
                    f"I7 {stream}: its upstream connection is neither closed nor free"
                )

    def _is_held(self, call: Any) -> bool:
        if call.ended is not CallEnd.OPEN:
            return False
        for it in self.simulator._connections:  # noqa: SLF001 - whose calls are judged
            if it._number == call.connection:  # noqa: SLF001
                return not it._transport.inward.sender.is_closing()  # noqa: SLF001
        return False

    def _check_at_rest(self) -> None:
        """Every stream is over and forgotten, and the gateway still serves."""
        own = {asyncio.current_task(), *self.simulator._tasks, *self._tasks}  # noqa: SLF001
        left = sorted(repr(task.get_coro()) for task in asyncio.all_tasks() - own)
        self.wrong += [f"I7 a task is left: {task}" for task in left]
        self.wrong += [f"I7 a client's connection is held: {side!r}" for side in self._served()]
        if self.relay._streams:  # noqa: SLF001
            self.wrong.append("I7 a stream is kept beyond its retention")
        if self.witness._log.size_bytes:  # type: ignore[attr-defined] # noqa: SLF001 # memory's
            self.wrong.append("I7 the log keeps bytes of forgotten streams")

    def _check_nothing_left(self) -> None:
        own = {asyncio.current_task()}
        self.wrong += [f"left: task {task.get_coro()!r}" for task in asyncio.all_tasks() - own]
        self.wrong += [f"left: {side!r}" for side in self.loop.network.open]
        self.wrong += [f"left: timer {timer!r}" for timer in self.loop.timers]  # not ours
        self.wrong += [f"reported: {context}" for context in self.loop.reported]


def _is_library(task: asyncio.Task[None]) -> bool:
    return task.get_name() == "library"


def simulate(plan: Plan, also: AlsoDo = lambda _world: None) -> World:
    """Carry out a plan; `also` is called once the gateway listens."""
    world = World(plan)
    with openings(world.loop, world.wrong, plan):
        try:
            run(world.loop, world.play(also))
        except NothingLeftError as hang:
            world.wrong.append(f"hang: {hang}")
    world.wrong += world.witness.wrong
    told = (world.loop.network.record, world.witness.heard(), world.loop.dice.random())
    world.hash = blake2b(msgspec.msgpack.encode(told), digest_size=8).hexdigest()
    return world
