"""The laws of the lifecycle: true of every history, not only of those somebody thought of.

Method: an upstream speaks a plausible answer that was then damaged (words dropped, doubled,
moved, put in), while time passes and others act. What comes out is compared with what the same
law says about the whole history at once, never with a second state machine. The dice are seeded by
the test's own name; a failure prints the smallest history that shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import groupby, pairwise

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finalstop.core.endings import EndReason
from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Deltas,
    Event,
    MessageDelta,
    Ping,
    Unknown,
)
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended, OpenBlock, UsageStatus
from finalstop.core.transitions import Phase
from tests import builders as b
from tests.core.score import (
    Bytes,
    Connected,
    End,
    Eof,
    Given,
    LogRefused,
    Refused,
    Written,
    opened,
    perform,
)
from tests.properties.words import (
    GROWS,
    INDEXES,
    METERS,
    NEW,
    OPENS,
    PING,
    REPORTS,
    START,
    STARTS,
    STOP,
    WORDS,
)

# Many histories each, a second or so: over the bound of a unit test, and worth it.
pytestmark = pytest.mark.slow
law = settings(max_examples=150, deadline=None, derandomize=True, database=None)

LIMITS = Limits(first_content_s=10, idle_s=4, deadline_s=60)
Log = list[Event | Deltas | Ended]

# -- histories ------------------------------------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn, damages_max: int = 3) -> list[Event]:
    """What an upstream says: an answer, damaged in a few places, or not at all."""
    said = [draw(st.sampled_from(STARTS))]
    for index in range(draw(st.integers(0, 3))):
        said.append(draw(st.sampled_from(OPENS))(index))
        said += [make(index) for make in draw(st.lists(st.sampled_from(GROWS), max_size=3))]
        said += [b.block_stop(index)]
    said += draw(st.lists(st.sampled_from(METERS + REPORTS), max_size=3))
    said += [STOP]
    for _ in range(draw(st.integers(0, damages_max))):
        at, to = (draw(st.integers(0, len(said) - 1)) for _ in range(2))
        match draw(st.sampled_from(["drop", "double", "put in", "move", "move"])):
            case "drop":
                said[at : at + 1] = [] if len(said) > 1 else said
            case "double":
                said.insert(at, said[at])
            case "put in":
                said.insert(at, draw(st.sampled_from(WORDS)))
            case _:
                said.insert(to, said.pop(at))
    return said


ANYBODY = [reason for reason in EndReason if reason not in {"complete", "upstream_error"}]
# Mostly quick, so that a history goes on; some gaps are just below a limit, some at it.
GAPS_S = st.sampled_from([*[0.0] * 24, 0.25, 1.0, 3.75, 4.0, 10.0, 60.0])
INTERRUPTIONS: st.SearchStrategy[Given] = st.one_of(
    st.sampled_from([None, Connected(), Written(), Bytes(), PING, NEW]),
    st.sampled_from([Eof(), Refused(), *map(End, ANYBODY)]),
    st.integers(0, 9).map(LogRefused),
)
Moment = tuple[float, Given]  # seconds since the moment before, what is given


@st.composite
def histories(draw: st.DrawFn) -> list[Moment]:
    """Everything that can happen to a stream: an answer, some acts in between, and time."""
    given_: list[Given] = list(draw(answers()))
    for _ in range(draw(st.integers(0, 4))):
        # Counted from the end: small numbers are drawn more often, and late is more telling.
        at = len(given_) - draw(st.integers(0, len(given_)))
        given_.insert(at, draw(INTERRUPTIONS))
    return [(draw(GAPS_S), it) for it in given_]


def live(history: Sequence[Moment], *, swept: bool = True) -> tuple[Lifecycle, Log]:
    """Play `history`; return the stream and its log. With `swept`, no limit is overrun unseen."""
    life, log, now = opened(limits=LIMITS), Log(), 0.0
    for gap_s, it in history:
        now += gap_s
        if swept and now >= life.next_wakeup:
            log += life.tick(now=life.next_wakeup)
        if isinstance(it, LogRefused) and life.ended is None:
            accepted = it.accepted % (len(log) + 1)
            del log[accepted:]
            log += life.log_refused(accepted, it.detail, now=now)
        else:
            log += perform(life, it, now)
    return life, log


def finished(history: Sequence[Moment]) -> tuple[Ended, Log]:
    """Play `history`, then let time pass until the stream ends."""
    life, log = live(history)
    log += life.tick(now=life.next_wakeup)
    assert life.ended is not None
    return life.ended, log


def whole(events: Sequence[Event]) -> tuple[Ended, Log]:
    """Play `events` at once, and then the end of the body."""
    life = opened(limits=LIMITS)
    log = life.receive(events, now=0.0)
    log += life.eof(now=0.0)
    assert life.ended is not None
    return life.ended, log


# -- one end --------------------------------------------------------------------------------------


@law
@given(histories())
def test_whatever_happens_there_is_exactly_one_terminal_and_nothing_follows_it(history):
    ended, log = finished(history)
    assert [it for it in log if isinstance(it, Ended)] == [ended]
    assert log[-1] is ended


@law
@given(histories(), st.lists(st.one_of(st.sampled_from(WORDS), INTERRUPTIONS), max_size=8))
def test_the_first_reason_wins_and_later_ones_return_nothing(history, later):
    life, _ = live([*history, (60.0, None)])
    first = life.ended
    assert first is not None
    assert [perform(life, it, 1000.0) for it in later] == [[]] * len(later)
    assert life.ended is first
    assert life.phase is Phase.ENDED


@law
@given(histories())
def test_the_last_sequence_number_is_the_number_of_entries(history):
    ended, log = finished(history)
    assert ended.receipt.last_seq == len(log)


# -- an honest complete ---------------------------------------------------------------------------

# The life of one block, a letter per event.
BLOCK_LIFE = re.compile("od*c?")


def is_an_answer(events: Sequence[Event]) -> bool:
    """Whether `events` are well-formed as a whole, `message_stop` being the last of them."""
    said = [it for it in events if not isinstance(it.payload, Ping | Unknown)]
    types = [it.type for it in said]
    once = all(types.count(type_) == 1 for type_ in ("message_start", "message_stop"))
    if not once or types[0] != "message_start" or types[-1] != "message_stop" or "error" in types:
        return False
    told = [at for at, it in enumerate(said) if says_why(it)]
    after = types[told[0] :] if told else []
    if {"content_block_start", "content_block_delta"} & set(after):
        return False
    lives = [life_of(index, said) for index in INDEXES]
    closed = any(lives) and all(it.endswith("c") for it in lives if it)
    return bool(told or closed) and all(BLOCK_LIFE.fullmatch(it) for it in lives if it)


def says_why(event: Event) -> bool:
    payload = event.payload
    return isinstance(payload, MessageDelta) and payload.delta.stop_reason is not None


def life_of(index: int, events: Sequence[Event]) -> str:
    letters = {BlockStart: "o", BlockDelta: "d", BlockStop: "c"}
    payloads = [it.payload for it in events if getattr(it.payload, "index", None) == index]
    return "".join(letters[type(it)] for it in payloads)


@law
@given(answers())
@example([START, STOP])
@example([START, b.text_start(), b.block_stop(), STOP])
@example([START, b.text_start(), REPORTS[0], b.block_stop(), b.text_start(1), STOP])
def test_complete_if_and_only_if_message_stop_after_a_well_formed_sequence(events):
    ended, _ = whole(events)
    stops = [at for at, it in enumerate(events) if it.type == "message_stop"]
    honest = bool(stops) and is_an_answer(events[: stops[0] + 1])
    assert ended.receipt.complete is honest
    assert (ended.reason is EndReason.COMPLETE) is honest
    assert ended.json == (STOP.json if honest else b"")


@law
@given(answers(damages_max=0))
def test_without_message_stop_nothing_is_complete(events):
    ended, log = whole(events[:-1])
    assert ended.reason in {EndReason.TRUNCATED, EndReason.UPSTREAM_INVALID}
    assert not ended.receipt.whole
    assert len(log) <= len(events)


# -- batches --------------------------------------------------------------------------------------


@law
@given(answers(), st.lists(st.integers(0, 20), max_size=6))
def test_batch_boundaries_never_change_the_result(events, cuts):
    ended, log = whole(events)
    life = opened(limits=LIMITS)
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    parts: Log = []
    for start, stop in pairwise(edges):
        parts += life.receive(events[start:stop], now=0.0)
    parts += life.eof(now=0.0)
    assert parts == log
    assert life.ended == ended


@law
@given(answers(), st.data())
def test_deltas_together_never_change_the_result(events, data):
    ended, log = whole(events)
    life = opened(limits=LIMITS)
    batch: list[Event | Deltas] = []
    for grows, group in groupby(events, lambda it: isinstance(it.payload, BlockDelta)):
        several = list(group)
        together = grows and data.draw(st.booleans())
        batch += [b.together(*several)] if together else several
    assert b.apart([*life.receive(batch, now=0.0), *life.eof(now=0.0)]) == log
    assert life.ended == ended


# -- untouched ------------------------------------------------------------------------------------


@law
@given(answers())
def test_what_is_logged_is_what_came_untouched_and_in_order_but_for_pings(events):
    _, log = whole(events)
    words = [it for it in events if it is not PING]
    assert all(kept is came for kept, came in zip(log[:-1], words, strict=False))


# -- a bounded end --------------------------------------------------------------------------------


@law
@given(histories())
def test_every_history_ends_by_its_deadline_if_ticked(history):
    ended, _ = finished(history)
    assert ended.receipt.timings.total_s <= LIMITS.deadline_s


@law
@given(histories())
def test_a_tick_ends_the_stream_at_its_next_wakeup_and_not_before(history):
    life, _ = live(history)
    if life.ended is None:
        wakeup = life.next_wakeup
        assert wakeup <= LIMITS.deadline_s
        assert life.tick(now=math.nextafter(wakeup, -math.inf)) == []
        assert len(life.tick(now=wakeup)) == 1


@law
@given(histories())
def test_pings_and_bare_bytes_change_nothing_but_when_the_upstream_was_last_heard(history):
    quiet = [(gap_s, None if it in (PING, Bytes()) else it) for gap_s, it in history]
    (life, log), (other, other_log) = live(history), live(quiet)
    assert [without_detail(it) for it in log] == [without_detail(it) for it in other_log]
    assert life.next_wakeup == other.next_wakeup


def without_detail(event: Event | Deltas | Ended) -> Event | Deltas | Ended:
    """The event, without the sentence for a person, which may say when the last ping came."""
    if not isinstance(event, Ended):
        return event
    receipt = msgspec.structs.replace(event.receipt, detail="")
    return msgspec.structs.replace(event, receipt=receipt)


@law
@given(histories())
def test_unknown_events_move_no_timer_and_no_phase(history):
    history = [it for it in history if not isinstance(it[1], LogRefused)]
    quiet = [(gap_s, None if it is NEW else it) for gap_s, it in history]
    (life, log), (other, other_log) = live(history), live(quiet)
    assert essence(log) == essence(other_log)
    assert life.next_wakeup == other.next_wakeup
    assert life.phase is other.phase


def essence(log: Log) -> list[Event | EndReason]:
    """What a log says, unknown events left out; they do have their sequence numbers."""
    return [it.reason if isinstance(it, Ended) else it for it in b.apart(log) if it is not NEW]


CONTENT = (BlockStart, BlockDelta, BlockStop, MessageDelta)


@law
@given(histories())
def test_any_block_and_any_delta_is_content_whatever_its_type(history):
    history = [it for it in history if not isinstance(it[1], LogRefused)]
    life, now = opened(limits=LIMITS), 0.0
    for gap_s, it in history:
        now += gap_s
        out = perform(life, it, now)
        if isinstance(it, Event) and isinstance(it.payload, CONTENT) and out == [it]:
            assert life.next_wakeup == min(now + LIMITS.idle_s, LIMITS.deadline_s)


# -- an honest receipt ----------------------------------------------------------------------------


def views(log: Log, kind: type) -> list:
    return [it.payload for it in log if isinstance(it, Event) and isinstance(it.payload, kind)]


@law
@given(answers())
def test_usage_is_final_only_with_a_stop_reason_and_an_output_count_and_zero_stays_zero(events):
    ended, log = whole(events)
    usage = ended.receipt.usage
    reports = views(log, MessageDelta)
    told = [at for at, it in enumerate(reports) if it.delta.stop_reason is not None]
    counted = [
        (at, it.usage.output_tokens)
        for at, it in enumerate(reports)
        if it.usage is not None and it.usage.output_tokens is not None
    ]
    final = bool(told and counted) and counted[-1][0] >= told[0]
    assert (usage.status is UsageStatus.FINAL) is final
    assert usage.output_tokens == (counted[-1][1] if final else None)
    if usage.status is UsageStatus.PARTIAL:
        floor = 1 if usage.characters else 0
        assert usage.output_tokens_at_least == (counted[-1][1] if counted else floor)
    else:
        assert usage.output_tokens_at_least is None


@law
@given(answers())
def test_characters_are_those_of_the_deltas_that_were_logged(events):
    ended, log = whole(events)
    grown = [it.delta for it in views(log, BlockDelta)]
    texts = [text for it in grown for text in (it.text, it.thinking, it.partial_json) if text]
    assert ended.receipt.usage.characters == len("".join(texts))


@law
@given(answers())
@example([START, b.text_start(2), b.tool_start(0), b.text_start(1), b.block_stop(0)])
def test_the_open_blocks_are_those_started_and_not_stopped_in_the_order_of_their_start(events):
    ended, log = whole(events)
    stopped = {it.index for it in views(log, BlockStop)}
    assert ended.receipt.open == tuple(
        OpenBlock(it.index, it.content_block.type, it.content_block.id, it.content_block.name)
        for it in views(log, BlockStart)
        if it.index not in stopped
    )


@law
@given(answers(), st.integers(1024, 3000))
def test_a_log_never_holds_more_than_stream_bytes(events, stream_bytes):
    life = opened(limits=Limits(event_bytes=1024, stream_bytes=stream_bytes))
    log = life.receive(events, now=0.0)
    kept = sum(len(it.json) for it in b.apart(log))
    assert kept <= stream_bytes
    if life.ended is not None and life.ended.reason is EndReason.TOO_LARGE:
        assert kept + len(events[consumed(events, log)].json) > stream_bytes


def consumed(events: Sequence[Event], log: Log) -> int:
    """Where in `events` stands the one that was not logged."""
    words = [at for at, it in enumerate(events) if it is not PING]
    return words[len(log) - 1]
