"""The laws of what was read: by the clients of the gateway, and by viewers that joined a stream.

They hold what came, and when, against the story that the log tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from finalstop.core.endings import EndReason as R
from finalstop.core.events import Deltas, Event
from finalstop.core.receipt import Ended
from proof.simulation.client import Reader
from proof.simulation.joined import Joined
from proof.simulation.log_laws import LATE_S
from proof.simulation.plan import CRAWL_BYTES, MESSAGES, Asking
from proof.simulation.witness import Story
from proof.simulation.world import World
from tests.faults.client import Answer, read_answer
from tests.faults.table import EXPECTED, Cell
from tests.faults.verdict import complaints

# The verdict's plain reader wants one `data:` line in a frame.
SPREAD: Final = "multi-line-data"

# Answers with deltas that nobody knows.
UNACCOUNTABLE: Final = ("unknown-events",)

# Good answers that are silent for longer than the limits here.
SILENT: Final = "pause@", "pause-pings@"

# After a reset the network may have lost what was on its way, message_stop included.
LOSSY: Final = ("rst", "eof", "reset-on-reuse")


def of_a_reader(world: World, asking: Asking, reader: Reader) -> Iterator[str]:
    """Whatever a client of the gateway may not see, or miss."""
    answer = read_answer(bytes(reader.data), reader.left)  # type: ignore[no-untyped-call]
    story = world.witness.stories.get(answer.stream_id or "")
    calm = not asking.may_leave and not world.plan.drain_at_s
    if story is None:
        # Refused at the door, or gone before the head: then nothing was promised.
        # 408: on the slowest of networks a request takes longer than `body_s`.
        if calm and answer.status not in {408, 429, 503, 529}:
            yield f"wire: no stream, {answer.status} {answer.ended}"
        return
    if story.ended is None:
        return  # I2 has complained of that
    if calm:
        yield from _of_a_calm_reader(story.ended, asking, answer)
        yield from _of_the_script(world, asking, story.ended.receipt.reason)
        yield from _of_the_last_bytes(story, asking, reader)
        if answer.is_stream:
            yield from _of_silence(world, asking, reader)
    if answer.is_stream:
        yield from _of_order(story, asking, reader, answer)
        yield from _of_what_follows(story, answer)


def of_a_broken_reader(world: World, asking: Asking, reader: Reader) -> Iterator[str]:
    """What it may not see also where something of ours was made to fail."""
    answer = read_answer(bytes(reader.data), reader.left)  # type: ignore[no-untyped-call]
    story = world.witness.stories.get(answer.stream_id or "")
    if story is None or story.ended is None or not answer.is_stream:
        return
    yield from _of_order(story, asking, reader, answer)
    yield from _of_what_follows(story, answer)
    says_whole = b"event: message_stop" in reader.data or b'"event":"end"' in reader.data
    if says_whole and not story.ended.receipt.complete:
        yield f"I5 {story.stream}: the wire says complete, and it is {story.ended.receipt.reason}"


def _of_what_follows(story: Story, answer: Answer) -> Iterator[str]:
    """Behind a body the next answer begins, and nothing else."""
    if answer.ended == "bytes after the last chunk":
        yield f"I1 {story.stream}: {answer.ended}"


def _of_a_calm_reader(ended: Ended, asking: Asking, answer: Answer) -> Iterator[str]:
    """Nothing came between it and its end: it saw a whole answer, and the truth."""
    receipt, name = ended.receipt, asking.spec.partition(",")[0]
    if receipt.complete and not asking.stream:
        # A delta of unknown type cannot be put together into a Message, and is refused.
        wanted = 502 if name in UNACCOUNTABLE else 200
        if (answer.status, answer.ended) != (wanted, "whole"):
            yield f"wire {receipt.stream}: {answer.status} {answer.ended} for a whole Message"
        return
    if answer.status not in {200, ended.status}:
        yield f"wire {receipt.stream}: status {answer.status}, not {ended.status}"
    if name != SPREAD:
        cell = Cell(receipt.reason, answer.status)
        told = json.loads(receipt.to_json())
        try:
            wrong = complaints(answer, cell, asking.path, told)  # type: ignore[no-untyped-call]
        except AssertionError as error:
            wrong = [f"{answer.ended}: {error}"]
        # A whole Message that fails is a status also when the stream had begun.
        begun = "status: the stream had begun"
        yield from (
            f"wire {receipt.stream}: {line}"
            for line in wrong
            if asking.stream or not line.startswith(begun)
        )


def _of_the_script(world: World, asking: Asking, reason: R) -> Iterator[str]:
    """What the upstream did decides, unless somebody or something of ours was first."""
    ours = {
        R.STOPPED, R.ABANDONED, R.LOG_FAILED, R.DEADLINE, R.FIRST_CONTENT_TIMEOUT, R.IDLE_TIMEOUT,
        R.UNREACHABLE,
    }  # fmt: skip
    name, _, phase = asking.spec.partition(",")[0].partition("@")
    row = EXPECTED.get(name, {})
    told = row[phase].reason if phase in row else R.COMPLETE
    if not asking.stream and name not in EXPECTED:
        told = R.COMPLETE
    lost = reason is R.TRUNCATED and name.startswith(LOSSY)
    silent = {R.IDLE_TIMEOUT, R.FIRST_CONTENT_TIMEOUT}
    if told is R.COMPLETE and reason in silent and _talks(world, asking):
        yield f"reason: {reason}, but {asking.spec} is never silent, nor is its wire"
    if reason not in ours and reason is not told and not lost:
        yield f"reason: {reason}, but {asking.spec} is {told}"


def _talks(world: World, asking: Asking) -> bool:
    """Whether the upstream goes on talking, and nothing on its way holds that up."""
    wires = [wire for pair in world.plan.wires for wire in pair]
    # Through a window of a few words, a gate of half a second lets too little.
    slow = (it.delays or it.stalls_s or it.window_bytes < CRAWL_BYTES for it in wires)
    if world.plan.upstream != "up" or any(slow):
        return False
    name, *options = asking.spec.split(",")
    paces = {it for it in options if it.startswith(("pace_ms", "delay_s"))}
    return not name.startswith(SILENT) and paces <= {"pace_ms=125"}


def _of_the_last_bytes(story: Story, asking: Asking, reader: Reader) -> Iterator[str]:
    """I2: once the log has the terminal, its reader has all of the rest as fast as the wire goes.

    A wire of a small window carries what is left in many goes, and each may be late: the bound is
    on each. The product gets no time at all, as writing an end waits for nothing; with the ticks
    that other laws allow, an end that is written by the next sweep would be early enough.
    """
    assert story.ended_at is not None
    seen = [at_s for _, at_s, _ in reader.reads if at_s > story.ended_at]
    waits = [after - before for before, after in pairwise([story.ended_at, *seen])]
    if max(waits, default=0.0) > asking.wire_s:
        yield f"I2 {story.stream}: its reader waited {max(waits)} s for what follows the terminal"


def _of_silence(world: World, asking: Asking, reader: Reader) -> Iterator[str]:
    """I6: bytes at least every `keep_alive_s`, as far as the network lets them through."""
    most_s = world.limits.keep_alive_s + asking.wire_s + LATE_S
    gaps = [after - before for (_, before, _), (_, after, _) in pairwise(reader.reads)]
    if max(gaps, default=0.0) > most_s:
        yield f"I6: {max(gaps)} s of silence"


def _of_order(story: Story, asking: Asking, reader: Reader, answer: Answer) -> Iterator[str]:
    """I3 and I4 on the raw reads: each entry once, in order, and never before the log has it."""
    seq = 0
    turns = iter(reader.reads)
    turn, _, came = next(turns)
    for at, number in _ids(bytes(reader.data)):
        while came < at:
            turn, _, came = next(turns)
        if number != seq + 1 if asking.path == MESSAGES else number < seq:
            yield f"I4 {story.stream}: entry {number} after {seq}"
        if number > len(story.entries) or story.entries[number - 1][0] > turn:
            yield f"I3 {story.stream}: entry {number} was seen before the log had it"
        seq = number
    yield from _of_what_was_said(story, asking, answer)
    if answer.ended == "whole" and seq != len(story.entries):
        yield f"I1 {story.stream}: a whole body that lacks the terminal"
    last = answer.body.rpartition(b"id: 1-")[2]
    if answer.ended == "whole" and last.count(b"\n\n") != 1:
        yield f"I1 {story.stream}: something follows the terminal on the wire"


def _of_what_was_said(story: Story, asking: Asking, answer: Answer) -> Iterator[str]:
    """I4: a frame on the wire says what the log holds under its number, and no text is left out."""
    seen = 0
    for block in answer.body.split(b"\n\n")[:-1]:
        if not block.startswith(b"id: "):
            continue
        number, said = _frame(block)
        if not seen < number <= len(story.entries):
            return  # complained of already
        held = [entry.event for _, _, entry in story.entries[seen:number]]
        seen = number
        if asking.path != MESSAGES and any(_text_in(event) for event in held[:-1]):
            yield f"I4 {story.stream}: text before entry {number} was left out"
        if not isinstance(held[-1], Event):
            return  # what the last frame must say is a table of its own
        if asking.path == MESSAGES:
            is_told = said == held[-1].json
        else:
            is_told = json.loads(said) == {"text": _text_in(held[-1])}
        if not is_told:
            yield f"I4 {story.stream}: entry {number} is not what the log holds"


def _text_in(event: Event | Deltas | Ended) -> str:
    """A reading of its own of an event's JSON: its text, half a surrogate pair as U+FFFD."""
    if not isinstance(event, Event):
        return ""
    fields = json.loads(event.json)
    match fields:
        case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
            pass
        case {"type": "content_block_start", "content_block": {"type": "text", "text": str(text)}}:
            pass
        case _:
            return ""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _ids(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each `id:` line ends, and its sequence number."""
    at = data.find(b"id: 1-")
    while at >= 0:
        end = data.find(b"\n", at)
        if end < 0:
            return
        yield end + 1, int(data[at + 6 : end])
        at = data.find(b"id: 1-", end)


def of_a_view(world: World, joined: Joined) -> Iterator[str]:
    """A second viewer: from its cursor, contiguous, and what the log holds; whole if it was."""
    story = world.witness.stories[joined.stream]
    blocks = bytes(joined.data).split(b"\n\n")[:-1]
    frames = [block for block in blocks if block.startswith(b"id: ")]
    for place, block in enumerate(frames, joined.after + 1):
        number, event = _frame(block)
        if number != place:
            yield f"I4 {joined.stream}: the joined viewer saw {number}, not {place}"
            return
        if number > len(story.entries):
            yield f"I3 {joined.stream}: the joined viewer saw {number}"
            return
        held = story.entries[number - 1][2].event
        if isinstance(held, Event) and event != held.json:
            yield f"I4 {joined.stream}: entry {number} is not what the log holds"
    yield from _of_its_leaving(world, story, joined)
    if joined.over and joined.after + len(frames) != len(story.entries):
        yield f"I4 {joined.stream}: the joined viewer's end is not the log's"


def _of_its_leaving(world: World, story: Story, joined: Joined) -> Iterator[str]:
    """I2: who pulls waits for nothing once the log has the terminal: there is no wire.

    Also where it was cut or cancelled in the end: until then it waited.
    """
    if joined.began_at is None or story.ended_at is None:
        return
    left_at = world.loop.time() if joined.left_at is None else joined.left_at
    waited_s = left_at - max(joined.began_at, story.ended_at)
    if waited_s > 0:
        yield f"I2 {story.stream}: the joined viewer waited {waited_s} s after the terminal"


def _frame(block: bytes) -> tuple[int, bytes]:
    lines = [line.partition(b": ")[::2] for line in block.split(b"\n")]
    data = b"\n".join(value for name, value in lines if name == b"data")
    return int(lines[0][1].removeprefix(b"1-")), data
