"""Carries visits out: clients of a real gateway process, and the record of what each of them saw.

It may not judge. The simulator runs in this process, which is another one than the gateway's, so
that its record of calls can be read.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

from finalstop.simulator import CallEnd, Simulator
from finalstop.simulator.calls import Call
from proof.soak.judge import LET_GO_S, SLACK_S, Seen
from proof.soak.plan import Act, Visit
from tests.faults.client import Answer, Wire, begin, get, read_answer
from tests.gateway.process import GatewayProcess
from tests.gateway.running import name_of

# Nobody may still wait by then: the deadline, and what the busiest machine adds.
PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.02
# Later than this means that the machine, or this process, was busy with something else.
LATE_S: Final = 0.05
# A reader with buffers this small, that rests in between, falls behind.
SMALL_BYTES: Final = 4096
RESTS_S: Final = 0.05
RESTS_MAX: Final = 20
# What the log adds to a receipt.
LOG_FIELDS: Final = {"event", "level", "timestamp"}
# A client waits so long for the moment in which it means to act.
MOMENT_S: Final = 10.0
# What is left to a gateway to note that nobody is there: then its end is read from its log.
TOLD_S: Final = 10.0


class Field:
    """Where visits take place: a gateway process, a simulator, and what both have told so far.

    Attributes:
        ends: stream id -> (instant, receipt) of each of its log lines.
        alarms: log lines that tell of a bug.
        stalled_s: for how long this process had no turn on its processor.
    """

    def __init__(self, gateway: GatewayProcess, simulator: Simulator) -> None:
        self.gateway: Final = gateway
        self.simulator: Final = simulator
        self.ends: Final[dict[str, list[tuple[float, dict[str, Any]]]]] = {}
        self.alarms: Final[list[dict[str, Any]]] = []
        self._calls: Final[dict[str, list[Call]]] = {}
        self._lines_read = 0
        self._calls_read = 0
        self.stalled_s = 0.0

    async def watch(self) -> None:
        """Read what both tell, until cancelled."""
        while True:
            self.look()
            slept_at = time.monotonic()
            await asyncio.sleep(LOOK_S)
            late_s = time.monotonic() - slept_at - LOOK_S
            if late_s > LATE_S:
                self.stalled_s += late_s

    def look(self) -> None:
        """Read what is new."""
        lines = self.gateway.lines
        for line in lines[self._lines_read :]:
            if line["event"] == "stream_ended":
                receipt = {name: it for name, it in line.items() if name not in LOG_FIELDS}
                self.ends.setdefault(receipt["stream"], []).append((time.monotonic(), receipt))
            elif line["event"] in {"handler_failed", "request_failed"} or "Traceback" in str(line):
                self.alarms.append(line)
        self._lines_read = len(lines)
        for call in reversed(self.simulator.calls):
            if call.number <= self._calls_read:
                break
            name = str(name_of(call))  # type: ignore[no-untyped-call]
            self._calls.setdefault(name, []).append(call)
        if self.simulator.calls:
            self._calls_read = self.simulator.calls[-1].number

    def skip(self) -> None:
        """Take what both have told until now as known: it is of no visit of ours."""
        self.look()
        self.ends.clear()
        self._calls.clear()

    def forget(self, visit: Visit) -> None:
        """A visit is judged: its calls are nobody's news any more."""
        self._calls.pop(visit.name, None)

    async def visit(self, visit: Visit) -> Seen:
        """Carry one out, and wait until all that there is to see of it has been seen."""
        receive_bytes = None if visit.act not in SLOW else SMALL_BYTES
        asked_at, stalled_s = time.monotonic(), self.stalled_s
        wire: Wire = await begin(  # type: ignore[no-untyped-call]
            self.gateway.url,
            visit.spec,
            path=visit.path,
            name=visit.name,
            receive_bytes=receive_bytes,
        )
        left_at = await self._act(visit, wire)
        answer = _so_far(wire) if left_at else await _rest_of(wire)
        seen = await self._seen(visit, Seen(answer=answer, asked_at=asked_at, left_at=left_at))
        seen.stalled_s = self.stalled_s - stalled_s
        return seen

    async def _act(self, visit: Visit, wire: Wire) -> float | None:
        """Do what the visit is about; when the client left, if it did."""
        match visit.act:
            case Act.LEAVES_BEFORE_HEAD:
                await asyncio.sleep(visit.after_s)
                return await _leave(wire, visit.way)
            case Act.LEAVES_MID_STREAM:
                await _until(wire, b"data:")
                await asyncio.sleep(visit.after_s)
                return await _leave(wire, visit.way)
            case Act.STOPS:
                await self._stop(visit, wire)
            case Act.READS_SLOWLY:
                await _read_slowly(wire)
            case Act.READS_NOTHING:
                await _until(wire, b"\r\n\r\n")
                wire.transport.pause_reading()
                await self._until_ended(_id_of(wire))
                wire.transport.resume_reading()
            case Act.STAYS:
                pass
        return None

    async def _stop(self, visit: Visit, wire: Wire) -> None:
        await _until(wire, b"\r\n\r\n")
        await asyncio.sleep(visit.after_s)
        if stream := _id_of(wire):
            answer = await get(  # type: ignore[no-untyped-call]
                self.gateway.url, f"/streams/{stream}", method="DELETE", within_s=PATIENCE_S
            )
            assert answer.status in {200, 404}, answer.wire  # 404: its retention is over

    async def _until_ended(self, stream: str | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while stream is not None and stream not in self.ends:  # noqa: ASYNC110 # it polls
                    await asyncio.sleep(LOOK_S)

    async def _seen(self, visit: Visit, seen: Seen) -> Seen:
        """Wait for the gateway's receipt and the simulator's word, within their times."""
        stream = seen.answer.stream_id
        if stream is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(TOLD_S):
                    await self._until_ended(stream)
        await self._upstream_over(visit)
        ends = self.ends.get(stream, []) if stream is not None else []
        if ends:
            seen.ended_at, seen.receipt = ends[0]
            seen.ends = len(ends)
        calls = self._calls.get(visit.name, [])
        seen.upstream_asked = bool(calls)
        if calls and all(call.ended is not CallEnd.OPEN for call in calls):
            seen.upstream_over_at = max(call.ended_at or 0.0 for call in calls)
        return seen

    async def _upstream_over(self, visit: Visit) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S + SLACK_S):
                while True:
                    self.look()
                    calls = self._calls.get(visit.name, [])
                    if all(call.ended is not CallEnd.OPEN for call in calls):
                        return
                    await asyncio.sleep(LOOK_S)


SLOW: Final = (Act.READS_SLOWLY, Act.READS_NOTHING)


def _so_far(wire: Wire) -> Answer:
    answer: Answer = read_answer(bytes(wire.data), wire.left)  # type: ignore[no-untyped-call]
    return answer


async def _rest_of(wire: Wire) -> Answer:
    answer: Answer = await wire.answer(PATIENCE_S)  # type: ignore[no-untyped-call]
    return answer


async def _until(wire: Wire, token: bytes) -> None:
    with suppress(TimeoutError):
        await wire.until(token, MOMENT_S)  # type: ignore[no-untyped-call]


async def _leave(wire: Wire, way: str) -> float | None:
    """Leave, unless the end was first."""
    if wire.over.is_set():
        return None
    left_at: float = wire.leave(way)  # type: ignore[no-untyped-call]
    await asyncio.sleep(0)
    return left_at


async def _read_slowly(wire: Wire) -> None:
    for _ in range(RESTS_MAX):
        if wire.over.is_set() or wire.transport.is_closing():
            return
        wire.transport.pause_reading()
        await asyncio.sleep(RESTS_S)
        wire.transport.resume_reading()
        await asyncio.sleep(0.002)


def _id_of(wire: Wire) -> str | None:
    head = bytes(wire.data).partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name == "finalstop-stream-id":
            return value.strip()
    return None
