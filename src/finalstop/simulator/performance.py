"""From a script to what happens on the wire: looks the builder up and adds the common touches.

The last pure room: what comes out is data. `player.py` carries it out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from finalstop.simulator.answers import Ask
from finalstop.simulator.catalogue import Kind
from finalstop.simulator.faults import FAULTS
from finalstop.simulator.forms import FORMS, SLOW_DRIP_MS, STYLES, Builder
from finalstop.simulator.heads import HEADS
from finalstop.simulator.moves import Move, Wait, compressed
from finalstop.simulator.script import Script, ScriptError
from finalstop.simulator.stage import Stage, Style, plain_stage, set_stage

BUILDERS: Final[dict[str, Builder]] = FORMS | HEADS | FAULTS


@dataclass(frozen=True, slots=True)
class Performance:
    """Moves in order, and how many bytes go out per write (None: as they come)."""

    moves: Iterable[Move]
    segment: int | None = None


def perform(script: Script, ask: Ask, request_id: str, *, pace_ms: int = 0) -> Performance:
    """What a call to /v1/messages gets. `pace_ms` holds where the script does not say.

    Raises:
        ScriptError: the script cannot be played for this call; says why.
    """
    name = script.entry.name
    pace_ms = SLOW_DRIP_MS if name == "slow-drip" else pace_ms
    style = STYLES.get(name, Style())
    if not ask.stream and script.entry.kind is Kind.FAULT and not script.entry.plain:
        message = f"simulator script: {name!r} exists in streams only; this call has stream false"
        raise ScriptError(message)
    stage = set_stage(script, ask, request_id, style=style, pace_ms=pace_ms)
    return _performance(script, stage, plain=not ask.stream)


def perform_plain(script: Script, value: object, request_id: str) -> Performance:
    """What a call to any other endpoint gets: one JSON value, under faults that can strike it."""
    return _performance(script, plain_stage(script, value, request_id), plain=True)


def _performance(script: Script, stage: Stage, *, plain: bool) -> Performance:
    name = script.entry.name
    builder = None if plain and not script.entry.plain else BUILDERS.get(name)
    moves = stage.onward() if builder is None else builder(stage)
    if script.gzip and name not in _OWN_CODING:
        moves = compressed(moves)
    if script.delay_s:
        moves = chain([Wait(script.delay_s)], moves)
    return Performance(moves, 1 if name == "split-everywhere" else script.segment)


# What compresses by itself, or writes its own chunks: the key `gzip` changes nothing there.
_OWN_CODING: Final = {"gzip", "gzip-no-trailer", "cut-gzip", "gzip-bomb", "chunk-extensions"}
