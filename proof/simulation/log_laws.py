"""The laws of a stream as its log has it: one end, in time, well-formed, for a cause, and its cost.

They complain of a story, and look at no wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from finalstop.core.endings import EndReason as R
from finalstop.core.events import BlockDelta, BlockStart, BlockStop, Deltas, Event, MessageDelta
from finalstop.core.receipt import Ended
from finalstop.core.timers import SWEEP_S
from proof.simulation.loop import TICK_S
from proof.simulation.usage_law import of_usage
from proof.simulation.witness import Story
from proof.simulation.world import World

# A sweep comes a tick late at most, and what it does takes effect in that tick.
LATE_S: Final = 2 * TICK_S


def of_a_story(world: World, story: Story) -> Iterator[str]:
    """Whatever a log may not hold."""
    if story.ended is None or story.ended_at is None:
        yield f"I2 {story.stream}: no terminal"
        return
    receipt = story.ended.receipt
    took_s = story.ended_at - story.opened_at
    if took_s > world.limits.deadline_s + LATE_S:
        yield f"I2 {story.stream}: ended after {took_s} s"
    if receipt.last_seq != len(story.entries):
        yield f"I1 {story.stream}: last_seq {receipt.last_seq}, {len(story.entries)} entries"
    complete = receipt.reason is R.COMPLETE
    said_stop = bool(story.ended.json) and json.loads(story.ended.json)["type"] == "message_stop"
    if not complete == receipt.complete == said_stop:
        yield f"I5 {story.stream}: {receipt.reason}, message_stop {said_stop}"
    if complete and not _is_well_formed([entry.event for _, _, entry in story.entries]):
        yield f"I5 {story.stream}: complete, but not well-formed"
    yield from of_usage(story)
    yield from _of_silent_upstream(world, story, story.ended_at)
    yield from _of_presence(world, story, story.ended_at)
    yield from _of_its_reason(world, story, receipt.reason, took_s)


def _of_silent_upstream(world: World, story: Story, ended_at: float) -> Iterator[str]:
    """I2: whatever ends it, no stream outlives `idle_s` after its last content."""
    content = [at_s for _, at_s, entry in story.entries if _is_content(entry.event)]
    if content and ended_at - content[-1] > world.limits.idle_s + SWEEP_S + LATE_S:
        yield f"I2 {story.stream}: {ended_at - content[-1]} s without content"


def _is_content(event: Event | Deltas | Ended) -> bool:
    kinds = BlockStart | BlockDelta | BlockStop | MessageDelta
    return isinstance(event, Event) and isinstance(event.payload, kinds)


def _of_presence(world: World, story: Story, ended_at: float) -> Iterator[str]:
    """I7: when the only reader has gone, the stream ends at once, or when it has lingered."""
    asking, reader = world.reader_of(story.stream) or (None, None)
    joined = any(it.stream == story.stream for it in world.joined)
    if asking is None or reader is None or reader.gone_at is None or joined:
        return
    lingers_s = world.limits.linger_s if asking.linger_s is None else asking.linger_s
    alone_s = ended_at - reader.gone_at
    if alone_s > lingers_s + LATE_S:
        yield f"I7 {story.stream}: it went on for {alone_s} s with nobody there"


def _is_well_formed(events: list[Event | Deltas | Ended]) -> bool:
    """A reading of its own: begun once, blocks opened before they grow, a witness for the end."""
    begun, stopped, opened, still = 0, False, set[int](), set[int]()
    for event in events[:-1]:
        assert isinstance(event, Event)
        said: dict[str, Any] = json.loads(event.json)
        match said["type"]:
            case "message_start":
                begun += 1
            case "content_block_start":
                opened.add(said["index"])
                still.add(said["index"])
            case "content_block_delta" if said["index"] not in still:
                return False
            case "content_block_stop":
                still.discard(said["index"])
            case "message_delta":
                stopped = stopped or said["delta"].get("stop_reason") is not None
            case _:
                pass
    return begun == 1 and (stopped or bool(opened and not still))


def _of_its_reason(world: World, story: Story, reason: R, took_s: float) -> Iterator[str]:
    """A reason needs a cause in the plan."""
    plan, limits = world.plan, world.limits
    causes: dict[R, bool] = {
        R.STOPPED: any(asking.stop_at_s is not None for asking in plan.askings),
        R.ABANDONED: bool(plan.drain_at_s) or any(it.may_leave for it in plan.askings),
        R.DRAINING: bool(plan.drain_at_s),
        R.LOG_FAILED: "log_bytes_total" in plan.limits,
        R.DEADLINE: took_s >= limits.deadline_s,
        R.FIRST_CONTENT_TIMEOUT: took_s >= limits.first_content_s,
        R.IDLE_TIMEOUT: took_s >= limits.idle_s,
        R.UNREACHABLE: plan.upstream != "up",
        R.INTERNAL_ERROR: False,
        R.OWNER_LOST: False,
    }
    if not causes.get(reason, True):
        yield f"reason {story.stream}: {reason} without a cause after {took_s} s"
