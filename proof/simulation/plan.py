"""What happens in one schedule, drawn from its seed and written down before anything runs.

A plan is data: a person reads it at the head of a trace. It may not know how it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Literal

from msgspec import Struct

from finalstop.runtime.viewer import OUTLET_BYTES_HIGH, SLICE_BYTES
from finalstop.simulator import describe
from finalstop.upstream.gate import FAST_READS
from proof.simulation.flow import Manners
from proof.simulation.loop import TICK_S

Mode = Literal["safety", "liveness"]
MODES: Final[tuple[Mode, ...]] = ("safety", "liveness")

Client = Literal["direct", "aiohttp"]
CLIENTS: Final[tuple[Client, ...]] = ("direct", "aiohttp")

MESSAGES: Final = "/v1/messages"
PLAIN: Final = "/stream-claude"

# Short, and sums of ticks, so that the limits meet each other and what the plans do.
LIMITS: Final[dict[str, float]] = {
    "commit_s": 0.5,
    "connect_s": 0.75,
    "first_content_s": 1.5,
    "idle_s": 1.0,
    "deadline_s": 4.0,
    "keep_alive_s": 1.0,
    "write_s": 1.5,
    "drain_s": 2.0,
    "body_s": 1.0,
    "retention_s": 1.5,
    "event_bytes": 16 * 1024,
    "stream_bytes": 64 * 1024,
}
# In liveness mode nothing goes wrong any more from here on, and everything must still end.
HEALS_AT_S: Final = 3.0

# What is too much is sized to be just over the limits.
BYTES: Final[dict[str, int]] = {
    "flood": 80_000,
    "gzip-bomb": 400_000,
    "long": 4_000,
    **dict.fromkeys(
        ("huge-event", "huge-line-no-newline", "endless-comment", "endless-fields", "huge-head"),
        20_000,
    ),
}
# How often whatever the simulator can play comes up.
KINDS: Final = {"answer": 5, "form": 2, "fault": 8}
PACES_MS: Final = (0, 0, 0, 125, 250, 500, 1000)

# Beside the 27 ms that it is by itself, which gates only what comes in one instant.
GATES_S: Final = (0.125, 0.25, 0.5)

Leaving = Literal["fin", "rst", "half"]

# A reader that stood still for less than this was never anybody's to cut.
STILL_S: Final = 1.0

CRAWL_BYTES: Final = 10_000


class Asking(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One client, its request, and what happens to its stream. Seconds from the beginning.

    Args:
        at_s: when it connects.
        path: the route.
        stream: whether it asks for a stream.
        spec: what the simulator plays.
        linger_s: what it asks for, if anything.
        leaves: when and how it goes away.
        pauses: when it stops reading, and for how long.
        stop_at_s: when somebody stops the stream.
        joins: when a second viewer comes, and when that one leaves.
        wire: the manners of its connection, there and back.
    """

    at_s: float
    path: str = MESSAGES
    stream: bool = True
    spec: str = "text,words=4"
    linger_s: float | None = None
    leaves: tuple[float, Leaving] | None = None
    pauses: tuple[float, float] | None = None
    stop_at_s: float | None = None
    joins: tuple[float, float] | None = None
    wire: tuple[Manners, Manners] = (Manners(), Manners())

    @property
    def stands_s(self) -> float:
        """How long it may take nothing, all in all: it pauses, or what comes to it stands still."""
        return (self.pauses or (0.0, 0.0))[1] + self.wire[1].stalls_s

    @property
    def wire_s(self) -> float:
        """The longest that the network, and it itself, hold up what comes to it next.

        It is late once, and late again where it had been held up; a pause is a tick longer than
        it says.
        """
        late_ticks = 2 * max(self.wire[1].delays, default=0) + (self.pauses is not None)
        return self.stands_s + late_ticks * TICK_S

    @property
    def may_leave(self) -> bool:
        """Whether it may be gone before its end, by its own doing or cut by us."""
        wire = self.wire[1]
        # A few KB a second at best: what is forgotten in the end was not read by then.
        crawls = bool(wire.delays) and wire.window_bytes < CRAWL_BYTES
        return self.leaves is not None or self.stands_s > STILL_S or crawls


class Plan(Struct, frozen=True, kw_only=True):
    """One schedule.

    Args:
        seed: of everything that is drawn while it runs.
        mode: whether faults go on for ever (safety) or cease (liveness).
        askings: the clients.
        limits: other than `LIMITS`.
        upstream: whether the upstream is there: "up", "refused", "silent" or "unresolvable".
        wires: the manners of the connections to the upstream, in turn.
        drain_at_s: when the process is told to end, and when a second time.
        client: how the gateway asks the upstream.
        fast_reads: how many reads in a row make a flow, for the gate.
        has_descriptors: whether its connections may be read past their transports.
        outlet_bytes: how far behind a reader may be before its viewer reads the log again.
        slice_bytes: how much of the log a viewer reads at once.
        shuffles: whether what is ready runs in any order, or in asyncio's.
    """

    seed: int
    mode: Mode = "safety"
    askings: tuple[Asking, ...] = ()
    limits: dict[str, float] = {}
    upstream: str = "up"
    wires: tuple[tuple[Manners, Manners], ...] = ((Manners(), Manners()),)
    drain_at_s: tuple[float, ...] = ()
    shuffles: bool = True
    client: Client = "direct"
    fast_reads: int = FAST_READS
    has_descriptors: bool = True
    outlet_bytes: int = OUTLET_BYTES_HIGH
    slice_bytes: int = SLICE_BYTES


def plan_of(seed: int, mode: Mode) -> Plan:
    """The plan of a seed."""
    dice = Random(f"{mode} {seed}")
    # Its own dice: what they decide came later, and a seed keeps the rest of its plan.
    later_dice = Random(f"gate {seed}")
    return Plan(
        seed=seed,
        mode=mode,
        askings=tuple(_asking(dice, mode) for _ in range(dice.choice((1, 1, 2, 2, 3)))),
        limits={**_limits(dice), **_gate(later_dice)},
        upstream=_weighed(dice, {"up": 30, "refused": 1, "silent": 1, "unresolvable": 1}),
        wires=tuple(_wire(dice, mode, client=False) for _ in range(2)),
        drain_at_s=_drain(dice),
        shuffles=dice.random() < 0.75,
        client=dice.choice(("direct", "direct", "aiohttp")),
        fast_reads=later_dice.choice((0, 0, 1, FAST_READS)),
        has_descriptors=later_dice.random() < 0.8,
        # Answers here are short: few readers are ever as far behind as the product allows.
        outlet_bytes=later_dice.choice((OUTLET_BYTES_HIGH, 2_000, 300)),
        slice_bytes=later_dice.choice((SLICE_BYTES, 2_000, 300)),
    )


def _asking(dice: Random, mode: Mode) -> Asking:
    stream = dice.random() < 0.85
    return Asking(
        at_s=_instant(dice, 0.5),
        path=MESSAGES if not stream else dice.choice((MESSAGES, PLAIN)),
        stream=stream,
        spec=_spec(dice),
        linger_s=_maybe(dice, 0.3, lambda: _instant(dice, 2.0)),
        leaves=_maybe(
            dice, 0.3, lambda: (_instant(dice, 3.0), dice.choice(("fin", "rst", "half")))
        ),
        pauses=_maybe(dice, 0.2, lambda: (_instant(dice, 2.0), _instant(dice, 4.0))),
        stop_at_s=_maybe(dice, 0.2, lambda: _instant(dice, 3.0)),
        joins=_maybe(dice, 0.25, lambda: (_instant(dice, 2.5), _instant(dice, 6.0))),
        wire=_wire(dice, mode, client=True),
    )


def _limits(dice: Random) -> dict[str, float]:
    limits: dict[str, float] = {}
    if dice.random() < 0.04:
        limits["log_bytes_total"] = dice.choice((8_000, 12_000, 16_000))
    if dice.random() < 0.1:
        limits["retention_s"] = 0.0
    if dice.random() < 0.1:
        limits["commit_s"] = 0.0
    if dice.random() < 0.05:
        limits["max_streams"] = 1
    if dice.random() < 0.05:
        limits["max_viewers"] = 1
    return limits


def _gate(dice: Random) -> dict[str, float]:
    return {"gate_s": dice.choice(GATES_S)} if dice.random() < 0.6 else {}


def _spec(dice: Random) -> str:
    kind = _weighed(dice, KINDS)
    name, phases = dice.choice(_PLAYED[kind])
    phase = f"@{dice.choice(phases)}" if phases else ""
    options = [f"words={dice.choice((4, 4, 8))}"]
    if name in BYTES:
        options.append(f"bytes={BYTES[name]}")
    if pace_ms := dice.choice(PACES_MS):
        options.append(f"pace_ms={pace_ms}")
    if dice.random() < 0.1:
        options.append(f"delay_s={_instant(dice, 2.0)}")
    return ",".join([name + phase, *options])


def _wire(dice: Random, mode: Mode, *, client: bool) -> tuple[Manners, Manners]:
    if dice.random() < 0.5:
        return Manners(), Manners()
    delays = dice.choice(((), (0, 1), (0, 0, 0, 3), (1, 2)))
    cuts = dice.choice((0.0, 0.3, 0.8))
    joins = dice.random() < 0.7
    loses = dice.random() < 0.5
    there = Manners(cuts=cuts, joins=joins, delays=delays, loses=loses)
    stalls = not client or mode == "safety" or dice.random() < 0.5
    return there, Manners(
        cuts=cuts,
        joins=joins,
        delays=delays,
        loses=loses,
        window_bytes=dice.choice((200, 2_000, 1 << 20)),
        stalls_at_s=_instant(dice, 2.0),
        stalls_s=_instant(dice, 6.0) if stalls and dice.random() < 0.2 else 0.0,
    )


def _drain(dice: Random) -> tuple[float, ...]:
    if dice.random() > 0.2:
        return ()
    first = _instant(dice, 3.0)
    return (first, first + _instant(dice, 2.0)) if dice.random() < 0.2 else (first,)


def _instant(dice: Random, until_s: float) -> float:
    """An instant on a grid that the limits are on, too: then they meet."""
    return dice.randrange(int(until_s * 8) + 1) / 8


def _maybe(dice: Random, chance: float, make: Callable[[], Any]) -> Any:
    return make() if dice.random() < chance else None


def _weighed(dice: Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


def _played(kind: str) -> list[tuple[str, Sequence[str]]]:
    return [(name, phases) for name, its, phases, _ in describe() if its == kind]


_PLAYED: Final = {kind: _played(kind) for kind in KINDS}
