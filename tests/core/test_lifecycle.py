"""The lifecycle: one table, the rules beyond it, the one door out, and what the receipt says.

Scores, not stories: a row is a moment, what is given then, and what must come out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from finalstop.core.endings import ENDINGS, EndReason, Party, Refusal
from finalstop.core.events import Deltas, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended, OpenBlock, Receipt, Timings, Usage, UsageStatus
from finalstop.core.rules import Rule
from finalstop.core.transitions import Move, Phase
from tests import builders as b
from tests.core.expected import PAIRS
from tests.core.score import (
    Answered,
    Bytes,
    Connected,
    End,
    Eof,
    LogRefused,
    Refused,
    Row,
    Written,
    opened,
    perform,
    play,
)

COMPLETE, INVALID, TRUNCATED = (
    EndReason.COMPLETE,
    EndReason.UPSTREAM_INVALID,
    EndReason.TRUNCATED,
)
ERROR, IDLE, FIRST = (
    EndReason.UPSTREAM_ERROR,
    EndReason.IDLE_TIMEOUT,
    EndReason.FIRST_CONTENT_TIMEOUT,
)
DEADLINE = EndReason.DEADLINE
# The two that only the upstream's own words can give; anybody may cause the others.
UPSTREAMS_WORDS = (COMPLETE, ERROR)
CAUSED = [reason for reason in EndReason if reason not in UPSTREAMS_WORDS]

START, STOP, OPEN, CLOSE = b.message_start(), b.message_stop(), b.text_start(), b.block_stop()
HI, REPORT, METER, PING = b.text_delta("Hi"), b.message_delta(), b.message_delta(None), b.ping()
BROKEN, NEW = b.error(), b.unknown()
ANSWER = b.answer("Hi")


def endeds(out: Sequence[Event | Deltas | Ended]) -> list[Ended]:
    """The terminals of what was returned, which must hold nothing else."""
    assert all(isinstance(it, Ended) for it in out)
    return [it for it in out if isinstance(it, Ended)]


def receipt_of(life: Lifecycle) -> Receipt:
    assert life.ended is not None
    return life.ended.receipt


def after(*events: Event, limits: Limits = DEFAULTS) -> Lifecycle:
    """A stream that took `events` at 0, all of them."""
    life = opened(limits=limits)
    assert life.receive(events, now=0.0) == [it for it in events if it is not PING]
    return life


# -- the table ------------------------------------------------------------------------------------

WAITING, ANSWERING, REPORTED, ENDED = Phase

# How to get into a live phase, with block 0 open where there may be one.
WAYS: dict[Phase, list[Event]] = {
    WAITING: [],
    ANSWERING: [START, OPEN],
    REPORTED: [START, OPEN, REPORT],
}
MOVES: dict[Move, Event] = {
    Move.BEGIN: START,
    Move.OPEN: b.text_start(1),
    Move.GROW: HI,
    Move.CLOSE: CLOSE,
    Move.METER: METER,
    Move.REPORT: REPORT,
    Move.FINISH: STOP,
    Move.FAIL: BROKEN,
    Move.OTHER: NEW,
}
LEGAL = [row for row in PAIRS if row[2] not in {None, ENDED}]
ILLEGAL = [row[:2] for row in PAIRS if row[2] is None and row[0] is not ENDED]
# phase, the way into it, the move, the end
LAST_MOVES = [
    (WAITING, [], Move.FAIL, ERROR),
    (ANSWERING, [START, OPEN], Move.FAIL, ERROR),
    (ANSWERING, [START, OPEN, CLOSE], Move.FINISH, COMPLETE),
    (REPORTED, [START, OPEN, REPORT], Move.FAIL, ERROR),
    (REPORTED, [START, OPEN, REPORT], Move.FINISH, COMPLETE),
]


@pytest.mark.parametrize(("phase", "move", "then"), LEGAL)
def test_a_legal_move_leads_where_the_table_says(phase, move, then):
    life = after(*WAYS[phase])
    assert life.phase is phase
    (out,) = life.receive([MOVES[move]], now=1.0)
    assert out is MOVES[move]
    assert life.phase is then


@pytest.mark.parametrize(("phase", "way", "move", "reason"), LAST_MOVES)
def test_a_last_move_ends_the_stream(phase, way, move, reason):
    life = after(*way)
    assert life.phase is phase
    assert [it.reason for it in endeds(life.receive([MOVES[move]], now=1.0))] == [reason]
    assert life.phase is ENDED


def test_every_last_move_is_shown():
    assert {(phase, move) for phase, _, move, _ in LAST_MOVES} == {
        (phase, move) for phase, move, then in PAIRS if then is ENDED
    }


@pytest.mark.parametrize(("phase", "move"), ILLEGAL)
def test_an_illegal_move_ends_the_stream_and_names_the_event_the_move_and_the_phase(phase, move):
    life = after(*WAYS[phase])
    ended = life.receive([MOVES[move]], now=1.0)
    number, type_ = len(WAYS[phase]) + 1, MOVES[move].type
    assert [it.reason for it in endeds(ended)] == [INVALID]
    assert receipt_of(life).detail == f"Event {number} ({type_}): {move} while {phase}."
    assert life.phase is ENDED


@pytest.mark.parametrize("move", Move)
def test_out_of_the_end_there_is_no_door(move):
    life = after()
    life.receive(ANSWER, now=0.0)
    first = life.ended
    assert life.receive([MOVES[move]], now=1.0) == []
    assert life.ended is first
    assert life.phase is ENDED


def test_the_words_for_phases_are_spelled_so():
    assert [str(phase) for phase in Phase] == ["waiting", "answering", "reported", "ended"]


# -- the rules beyond the table -------------------------------------------------------------------

TOOL, JSON = b.tool_start(1), b.input_json_delta('{"a"', 1)

# rule, what the upstream sends (each a whole history), the end
WELL_FORMED = [
    (Rule.NO_MESSAGE_DELTA, [START, OPEN, HI, CLOSE, STOP], COMPLETE),
    (Rule.NO_MESSAGE_DELTA, [START, OPEN, CLOSE, METER, STOP], COMPLETE),
    (Rule.OPEN_AT_STOP, [START, OPEN, HI, REPORT, STOP], COMPLETE),
    (Rule.OPEN_AT_STOP, [START, OPEN, TOOL, JSON, REPORT, b.block_stop(), STOP], COMPLETE),
    (Rule.LATE_CLOSE, [START, OPEN, HI, REPORT, CLOSE, STOP], COMPLETE),
    (Rule.BLOCKS_INTERLEAVE,
     [START, OPEN, TOOL, HI, JSON, HI, b.block_stop(1), CLOSE, REPORT, STOP], COMPLETE),
    (Rule.SEVERAL_REPORTS, [START, OPEN, METER, HI, CLOSE, REPORT, METER, REPORT, STOP], COMPLETE),
    (Rule.INDEX_GAPS,
     [START, b.text_start(7), b.block_stop(7), b.text_start(3), b.block_stop(3), REPORT, STOP],
     COMPLETE),
    (Rule.ODD_DELTA,
     [START, OPEN, b.thinking_delta("hm"), b.block_delta(0, "new"), CLOSE, REPORT, STOP], COMPLETE),
    (Rule.ODD_DELTA, [START, TOOL, b.text_delta("Hi", 1), b.block_stop(1), REPORT, STOP], COMPLETE),
    (Rule.INDEX_REUSED, [START, OPEN, OPEN], INVALID),
    (Rule.INDEX_REUSED, [START, OPEN, CLOSE, OPEN], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, HI], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, CLOSE], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, OPEN, JSON], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, OPEN, CLOSE, HI], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, OPEN, CLOSE, CLOSE], INVALID),
    (Rule.INDEX_NOT_OPEN, [START, OPEN, REPORT, b.block_stop(1)], INVALID),
    (Rule.NO_WITNESS, [START, STOP], INVALID),
    (Rule.NO_WITNESS, [START, METER, STOP], INVALID),
    (Rule.NO_WITNESS, [START, NEW, STOP], INVALID),
    (Rule.NO_WITNESS, [START, OPEN, HI, STOP], INVALID),
    (Rule.NO_WITNESS, [START, OPEN, TOOL, CLOSE, STOP], INVALID),
    (Rule.NO_WITNESS, [START, OPEN, TOOL, b.block_stop(1), STOP], INVALID),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "history", "reason"), WELL_FORMED)
def test_a_rule_forgives_or_ends_the_stream(rule, history, reason):
    *before, last = history
    life = after(*before)
    (ended,) = endeds(life.receive([last], now=0.0))
    assert ended.reason is reason
    said = "" if reason is COMPLETE else f"Event {len(history)} ({last.type}): {rule}."
    assert ended.receipt.detail == said


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_is_shown_and_does_what_its_name_says(rule):
    ends = {reason for shown, _, reason in WELL_FORMED if shown is rule}
    verdict, _, _ = rule.partition(": ")
    assert ends == {{"forgiven": COMPLETE, "invalid": INVALID}[verdict]}


@pytest.mark.parametrize("stop_reason", ["end_turn", "refusal", "pause_turn", "new"])
def test_an_answer_without_any_block_is_complete_when_the_stop_reason_is_given(stop_reason):
    life = after(START, b.message_delta(stop_reason))
    assert len(endeds(life.receive([STOP], now=0.0))) == 1
    assert receipt_of(life).complete


# -- scores ---------------------------------------------------------------------------------------

# name -> rows of (at, given, expect), on the default limits: first content 300, idle 120, deadline
# 3600. The stream is opened at 0.
SCORES: dict[str, list[Row]] = {
    "a healthy answer ends at message_stop, and late words vanish": [
        (0.0, Connected(), []),
        (0.1, Written(), []),
        (0.4, START, [START]),
        (0.4, PING, []),
        (0.5, [OPEN, HI], [OPEN, HI]),
        (0.9, [CLOSE, REPORT, STOP], [CLOSE, REPORT, COMPLETE]),
        (0.9, [HI, BROKEN, PING], []),
        (0.9, Eof(), []),
        (9e9, None, []),
    ],
    "what follows the end in the same batch vanishes": [
        (0.0, [*ANSWER, HI, STOP, BROKEN], [*ANSWER[:-1], COMPLETE]),
    ],
    "an end of body before message_stop is a truncation, also after the stop reason": [
        (0.0, ANSWER[:-1], ANSWER[:-1]),
        (0.1, Eof(), [TRUNCATED]),
        (0.1, STOP, []),
    ],
    "an end of body before anything is a truncation": [(1.0, Eof(), [TRUNCATED])],
    "an error event ends the stream": [
        (0.0, [START, OPEN, HI], [START, OPEN, HI]),
        (1.0, [BROKEN, STOP], [ERROR]),
    ],
    "an error event may be the very first": [(0.0, BROKEN, [ERROR])],
    "a refusal ends the stream before it began": [
        (0.2, Connected(), []),
        (0.5, Refused(), [ERROR]),
        (0.6, Refused(), []),
        (0.6, Eof(), []),
    ],
    "a stream whose request is never written ends all the same": [
        (299.9, None, []),
        (300.0, None, [FIRST]),
    ],
    "the wait for the first content begins when the request is written": [
        (250.0, Written(), []),
        (549.9, None, []),
        (550.0, None, [FIRST]),
    ],
    "message_start is no content": [
        (0.0, Written(), []),
        (200.0, START, [START]),
        (300.0, None, [FIRST]),
    ],
    "pings, bytes and unknown events never put off the first content": [
        (0.0, Written(), []),
        (0.0, START, [START]),
        (299.0, [PING, NEW], [NEW]),
        (299.5, Bytes(), []),
        (300.0, None, [FIRST]),
    ],
    "pings, bytes and unknown events never put off the idle timeout": [
        (1.0, [START, OPEN], [START, OPEN]),
        (61.0, HI, [HI]),
        (180.0, [PING, NEW, PING], [NEW]),
        (180.9, Bytes(), []),
        (180.9, None, []),
        (181.0, None, [IDLE]),
        (181.0, [HI, CLOSE, REPORT, STOP], []),
    ],
    "a trickle of content never trips the idle timer; the deadline ends it": [
        (0.0, [START, OPEN], [START, OPEN]),
        *((at, HI, [HI]) for at in range(119, 3599, 119)),
        (3599.9, None, []),
        (3600.0, None, [DEADLINE]),
        (3600.0, Eof(), []),
    ],
    "the deadline wins over a timeout that is due at the same time": [
        (3480.0, [START, OPEN], [START, OPEN]),
        (3600.0, None, [DEADLINE]),
    ],
    "a broken rule in the middle of a batch: what came before it is kept": [
        (0.0, [START, OPEN, b.text_delta("x", 5), HI, STOP], [START, OPEN, INVALID]),
    ],
    "a timeout that races an end of file: the first wins": [
        (0.0, [START, OPEN], [START, OPEN]),
        (120.0, None, [IDLE]),
        (120.0, Eof(), []),
        (120.0, End(EndReason.STOPPED), []),
    ],
    "an end of file that races a timeout: the first wins": [
        (0.0, [START, OPEN], [START, OPEN]),
        (120.0, Eof(), [TRUNCATED]),
        (120.0, None, []),
    ],
    "a stop that races a completion: the first wins": [
        (0.0, ANSWER[:-1], ANSWER[:-1]),
        (0.0, End(EndReason.STOPPED), [EndReason.STOPPED]),
        (0.0, STOP, []),
        (0.0, LogRefused(1), []),
    ],
    "an empty batch is nothing": [(0.0, [], []), (0.0, [PING], [])],
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_score(score):
    play(score)


@pytest.mark.parametrize("reason", CAUSED)
def test_anybody_may_end_a_stream_for_any_reason_but_the_upstreams_own(reason):
    life = play([(0, [START, OPEN], [START, OPEN]), (1, End(reason, "Seen."), [reason])])
    assert receipt_of(life).detail == "Seen."


@pytest.mark.parametrize("reason", UPSTREAMS_WORDS)
def test_only_the_upstreams_own_words_make_it_complete_or_an_error(reason):
    with pytest.raises(AssertionError):
        opened().end(reason, now=0.0)


@pytest.mark.parametrize("reason", EndReason)
def test_every_reason_has_a_way_in_and_says_what_the_table_of_endings_says(reason):
    life = after(START, OPEN, REPORT)
    given = {COMPLETE: STOP, ERROR: BROKEN}.get(reason, End(reason))
    (ended,) = endeds(perform(life, given, 1.0))
    receipt = ended.receipt
    assert receipt.reason is reason
    assert receipt.complete is (reason is COMPLETE)
    assert receipt.party is ENDINGS[reason].party
    assert receipt.retryable is ENDINGS[reason].retryable
    assert ended.status == (529 if reason is ERROR else ENDINGS[reason].status)
    assert ended.json == (STOP.json if reason is COMPLETE else b"")
    assert life.ended is ended


# -- content --------------------------------------------------------------------------------------

# An event, and whether it puts off the idle timeout. Block 0 is open before.
CONTENT = [
    (HI, True),
    (b.text_delta(""), True),
    (b.thinking_delta("hm"), True),
    (b.thinking_delta(""), True),
    (b.signature_delta(), True),
    (b.input_json_delta(""), True),
    (b.citations_delta(), True),
    (b.block_delta(0, "not_yet_invented"), True),
    (TOOL, True),
    (b.block_start(1, "not_yet_invented"), True),
    (CLOSE, True),
    (METER, True),
    (REPORT, True),
    (PING, False),
    (NEW, False),
    (b.unknown("not_yet_invented", text="words"), False),
]


@pytest.mark.parametrize(("event", "moves"), CONTENT)
def test_content_moves_the_idle_timer_and_nothing_else_does(event, moves):
    life = after(START, OPEN)
    life.receive([event], now=50.0)
    assert life.next_wakeup == (50.0 if moves else 0.0) + DEFAULTS.idle_s


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_unknown_event_passes_untouched_in_every_live_phase(way):
    life = after(*way)
    phase, wakeup = life.phase, life.next_wakeup
    (passed,) = life.receive([NEW], now=50.0)
    assert passed is NEW
    assert (life.phase, life.next_wakeup) == (phase, wakeup)


# -- the byte bound -------------------------------------------------------------------------------

BOUND = Limits(event_bytes=1024, stream_bytes=4096)


def sized(json_bytes: int, event: Event = NEW) -> Event:
    """`event` as if it had come in so many bytes of JSON; spaces are JSON too."""
    return replace(event, json=event.json.ljust(json_bytes))


LARGE = EndReason.TOO_LARGE
BYTES: dict[str, list[Row]] = {
    "the bound itself is allowed": [(0, [one := sized(4096)], [one])],
    "one byte more is not": [(0, sized(4097), [LARGE])],
    "all events count": [
        (0, [one, two := sized(0)][:1], [one]),
        (0, two, [LARGE]),
        (0, two, []),
    ],
    "what went before is kept": [(0, [half := sized(2048), half, NEW, half], [half, half, LARGE])],
    "pings are not kept, so they do not count": [
        (0, [sized(5000, PING), one], [one]),
        (0, [sized(5000, PING)], []),
    ],
    "message_stop counts too: complete means that the log holds it": [
        (0, full := [START, sized(4096 - len(START.json + REPORT.json)), REPORT], full),
        (0, STOP, [LARGE]),
    ],
    "the growth of a block counts, event by event": [
        (0, [START, OPEN], [START, OPEN]),
        (0, [grows := sized(1800, HI), grows], [grows, grows]),
        (0, [grows, STOP], [LARGE]),
    ],
    "an illegal move is told first": [(0, sized(5000, HI), [INVALID])],
}  # fmt: skip


@pytest.mark.parametrize("score", BYTES.values(), ids=BYTES)
def test_the_byte_bound(score):
    play(score, limits=BOUND)


def test_the_byte_bound_is_named():
    life = play(BYTES["one byte more is not"], limits=BOUND)
    assert receipt_of(life).detail == "More than 4096 bytes (stream_bytes)."


# -- the receipt ----------------------------------------------------------------------------------


def test_a_healthy_stream_leaves_this_receipt():
    life = Lifecycle("s1", DEFAULTS, now=100.0, resumable=False)
    life.saw_response("req_1", now=0.0)
    perform(life, Connected(), 100.25)
    perform(life, Written(), 100.5)
    for at, event in zip((101, 102, 104, 104.5, 105, 106), ANSWER, strict=True):
        life.receive([event], now=at)
    assert receipt_of(life) == Receipt(
        stream="s1",
        reason=COMPLETE,
        party=Party.MODEL,
        complete=True,
        whole=True,
        detail="",
        stop_reason="end_turn",
        last_seq=6,
        model=b.MODEL,
        request_id="req_1",
        usage=Usage(UsageStatus.FINAL, 2, 12, 7),
        timings=Timings(connect_s=0.25, first_content_s=2.0, total_s=6.0, longest_gap_s=2.0),
        retryable=False,
        retry_after_s=None,
        open=(),
        resumable=False,
    )


def test_a_stream_that_never_got_anywhere_leaves_this_receipt():
    life = play([(1.5, End(EndReason.UNREACHABLE, "Refused."), [EndReason.UNREACHABLE])])
    assert receipt_of(life) == Receipt(
        stream="s1",
        reason=EndReason.UNREACHABLE,
        party=Party.UPSTREAM,
        complete=False,
        whole=False,
        detail="Refused.",
        stop_reason=None,
        last_seq=1,
        model=None,
        request_id=None,
        usage=Usage(UsageStatus.UNKNOWN, 0),
        timings=Timings(connect_s=None, first_content_s=None, total_s=1.5, longest_gap_s=0.0),
        retryable=True,
        retry_after_s=None,
    )


# stop reason (None: no message_delta at all), whether the model was done
WHOLES = [
    ("end_turn", True),
    ("stop_sequence", True),
    ("tool_use", True),
    ("max_tokens", False),
    ("pause_turn", False),
    ("refusal", False),
    ("model_context_window_exceeded", False),
    ("not_yet_invented", False),
    (None, False),
]


@pytest.mark.parametrize(("stop_reason", "whole"), WHOLES)
def test_a_complete_stream_tells_whether_the_model_was_done(stop_reason, whole):
    life = after(START, OPEN, CLOSE, b.message_delta(stop_reason))
    life.receive([STOP], now=0.0)
    receipt = receipt_of(life)
    assert (receipt.complete, receipt.whole, receipt.stop_reason) == (True, whole, stop_reason)


# what is opened, what is closed, whether a complete answer is whole
HALVES = [
    ([b.tool_start()], [], False),  # it may be half a call, whatever the stop reason says
    ([b.tool_start()], [b.block_stop()], True),
    ([b.text_start()], [], True),
    ([b.text_start(), b.tool_start(1)], [b.block_stop(0)], False),
    ([b.text_start(), b.tool_start(1)], [b.block_stop(1)], True),
]


@pytest.mark.parametrize(("opened_", "closed", "whole"), HALVES)
def test_an_answer_with_a_tool_call_left_open_is_not_whole(opened_, closed, whole):
    life = after(START, *opened_, *closed)
    life.receive([b.message_delta("tool_use"), STOP], now=0.0)
    assert (receipt_of(life).complete, receipt_of(life).whole) == (True, whole)


def test_the_characters_of_blocks_and_deltas_add_up():
    text = [b.text_start(0, "ab"), b.text_delta("cde"), b.text_start(2, "h")]
    life = after(START, *text, b.thinking_start(1), b.thinking_delta("fg", 1),
                 b.input_json_delta("{", 2))  # fmt: skip
    life.eof(now=1.0)
    assert receipt_of(life).usage.characters == len("abcdefgh{")


def test_a_stream_cut_after_the_stop_reason_is_neither_complete_nor_whole():
    life = play([(0, ANSWER[:-1], ANSWER[:-1]), (0, Eof(), [TRUNCATED])])
    receipt = receipt_of(life)
    assert (receipt.complete, receipt.whole, receipt.stop_reason) == (False, False, "end_turn")


TEXT_0, TOOL_1 = OpenBlock(0, "text"), OpenBlock(1, "tool_use", "toolu_1", "get_weather")
# events after message_start, the blocks then open
OPEN_BLOCKS = [
    ([], ()),
    ([OPEN], (TEXT_0,)),
    ([OPEN, HI, CLOSE], ()),
    ([OPEN, TOOL], (TEXT_0, TOOL_1)),
    ([TOOL, OPEN], (TOOL_1, TEXT_0)),  # in the order of their opening
    ([OPEN, CLOSE, TOOL, JSON], (TOOL_1,)),
    ([OPEN, TOOL, REPORT, b.block_stop(1)], (TEXT_0,)),
    ([b.block_start(4, "not_yet_invented")], (OpenBlock(4, "not_yet_invented"),)),
]


@pytest.mark.parametrize(("events", "blocks"), OPEN_BLOCKS)
def test_blocks_left_open_are_listed_and_not_closed_for_anybody(events, blocks):
    life = after(START, *events)
    assert [it.reason for it in life.eof(now=0.0)] == [TRUNCATED]
    assert receipt_of(life).open == blocks


# -- the upstream's own errors --------------------------------------------------------------------

RATE_LIMIT = {"type": "rate_limit_error", "message": "Slow down.", "details": {"error_code": "x"}}
# the `error` object of an event; what is kept of it, status, party, retryable
ERROR_EVENTS = [
    (b.OVERLOADED, b.OVERLOADED, 529, Party.UPSTREAM, True),
    (RATE_LIMIT, RATE_LIMIT, 429, Party.CALLER, True),
    ({"type": "invalid_request_error", "message": "m"},
     {"type": "invalid_request_error", "message": "m"}, 400, Party.CALLER, False),
    ({"type": "not_yet_invented", "message": "m"},
     {"type": "not_yet_invented", "message": "m"}, 500, Party.UPSTREAM, True),
    ({"message": "m"}, {"type": "api_error", "message": "m"}, 500, Party.UPSTREAM, True),
    ({}, {"type": "api_error", "message": ""}, 500, Party.UPSTREAM, True),
    ({"type": None}, {"type": None, "message": ""}, 500, Party.UPSTREAM, True),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kept", "status", "party", "retryable"), ERROR_EVENTS)
def test_an_error_event_has_the_status_that_its_type_means(body, kept, status, party, retryable):
    life = after(START)
    life.receive([b.error(body)], now=0.0)
    assert life.ended is not None
    assert life.ended.refusal == Refusal(status, kept)
    assert life.ended.status == status
    receipt = receipt_of(life)
    assert (receipt.party, receipt.retryable) == (party, retryable)
    assert receipt.detail == f"The upstream sent an error event: {kept['type']}."


# request id in the response head, in the error event, in the receipt
REQUEST_IDS = [
    (None, None, None),
    ("req_head", None, "req_head"),
    (None, "req_event", "req_event"),
    ("req_head", "req_event", "req_event"),
]


@pytest.mark.parametrize(("head", "event", "receipt"), REQUEST_IDS)
def test_the_request_id_of_an_error_event_wins_over_the_heads(head, event, receipt):
    life = opened()
    life.saw_response(head, now=0.0)
    life.receive([b.error(request_id=event)], now=0.0)
    assert receipt_of(life).request_id == receipt


# refusal, party, retryable, retry after
REFUSALS = [
    (Refusal(401, {"type": "authentication_error"}), Party.CALLER, False, None),
    (Refusal(429, RATE_LIMIT, retry_after_s=7.0), Party.CALLER, True, 7.0),
    (Refusal(429, RATE_LIMIT, should_retry=False), Party.CALLER, False, None),
    (Refusal(529, b.OVERLOADED), Party.UPSTREAM, True, None),
]


@pytest.mark.parametrize(("refusal", "party", "retryable", "retry_after_s"), REFUSALS)
def test_a_refusal_is_kept_and_decides_who_and_whether_again(
    refusal: Refusal, party, retryable, retry_after_s
):
    life = play([(0, Refused(refusal), [ERROR])])
    receipt = receipt_of(life)
    assert life.ended is not None
    assert life.ended.refusal is refusal
    kind = refusal.error["type"]
    assert receipt.detail == f"The upstream answered {refusal.status} ({kind})."
    assert (receipt.party, receipt.retryable, receipt.retry_after_s) == (
        party, retryable, retry_after_s,
    )  # fmt: skip


# -- the log says no ------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [0, 1, 2, 3, 4])
def test_a_log_that_refuses_ends_the_stream_where_it_stopped(accepted):
    taken = [START, OPEN, HI]
    log_failed = EndReason.LOG_FAILED
    life = play([
        (0, taken, taken),
        (0, HI, [HI]),  # the batch that the log does not take, but for the last case
        (1, LogRefused(accepted, "The disk is full."), [log_failed]),
        (1, LogRefused(0), []),
        (1, STOP, []),
    ])  # fmt: skip
    receipt = receipt_of(life)
    assert (receipt.last_seq, receipt.detail) == (accepted + 1, "The disk is full.")
    assert receipt.retry_after_s is not None


def test_a_receipt_tells_nothing_of_what_the_log_refused():
    life = after(START)
    life.receive([OPEN, HI, REPORT], now=0.0)
    life.log_refused(1, "The disk is full.", now=1.0)
    receipt = receipt_of(life)
    assert (receipt.open, receipt.stop_reason, receipt.usage.characters) == ((), None, 0)


def test_what_the_log_kept_before_it_refused_is_told():
    life = after(START, OPEN, HI)
    life.receive([HI, HI, REPORT], now=0.0)
    life.log_refused(3, "The disk is full.", now=1.0)
    receipt = receipt_of(life)
    assert (len(receipt.open), receipt.stop_reason) == (1, None)
    assert receipt.usage.characters == len("Hi")


def test_a_receipt_tells_all_of_what_the_log_kept():
    life = after(START, OPEN, HI, REPORT)
    life.log_refused(4, "The disk is full.", now=1.0)
    receipt = receipt_of(life)
    assert (len(receipt.open), receipt.stop_reason) == (1, "end_turn")
    assert receipt.usage.characters == len("Hi")


# -- words for people -----------------------------------------------------------------------------

# score, what its receipt says in detail
DETAILS: list[tuple[list[Row], str]] = [
    ([(1, Eof(), [TRUNCATED])], "The body ended before message_start."),
    ([(1, [NEW, PING], [NEW]), (1, Eof(), [TRUNCATED])], "The body ended before message_start."),
    ([(0, [START, PING, OPEN], [START, OPEN]), (1, Eof(), [TRUNCATED])],
     "The body ended after 2 events, without message_stop."),
    ([(0, START, [START]), (1, Eof("A cut chunk."), [TRUNCATED])], "A cut chunk."),
    ([(300, None, [FIRST])], "first_content_s=300; the upstream sent nothing at all."),
    ([(297.5, Bytes(), []), (300, None, [FIRST])],
     "first_content_s=300; the upstream was last heard 2.5 s ago."),
    ([(1, [START, OPEN], [START, OPEN]), (119, PING, []), (121, None, [IDLE])],
     "idle_s=120; the upstream was last heard 2.0 s ago."),
    ([(297.5, Answered(), []), (300, None, [FIRST])],
     "first_content_s=300; the upstream was last heard 2.5 s ago."),
    ([(3600, None, [DEADLINE])], "deadline_s=3600 is over."),
    ([(0, Refused(Refusal(502, {})), [ERROR])], "The upstream answered 502 ()."),
    ([(0, End(EndReason.DRAINING), [EndReason.DRAINING])], ""),
]  # fmt: skip


@pytest.mark.parametrize(("score", "detail"), DETAILS)
def test_the_detail_says_what_was_seen(score, detail):
    assert receipt_of(play(score)).detail == detail


def test_who_ends_a_stream_need_not_say_more_than_why():
    dismissed, cut = opened(), opened()
    [ended] = dismissed.end(EndReason.STOPPED, now=0.0)
    [truncated] = cut.eof(now=0.0)
    assert ended.receipt.detail == ""
    assert truncated.receipt.detail == "The body ended before message_start."


def test_no_detail_repeats_what_the_model_said():
    life = after(START, OPEN, b.text_delta("secret words"))
    life.receive([b.text_delta("secret words", 5)], now=0.0)
    assert not re.search("secret", str(receipt_of(life)))


# -- deltas that came together --------------------------------------------------------------------

GREW = [OPEN, TOOL]
# what came before, deltas, and how many of them are taken; None for all
TOGETHER = [
    (GREW, [HI, JSON, HI], None),
    (GREW, [HI], None),
    ([OPEN], [HI, JSON, HI], 1),  # block 1 is not open
    ([OPEN, CLOSE], [HI, HI], 0),
    ([*GREW, REPORT], [HI, HI], 0),
    (GREW, [sized(1800, HI), sized(1800, HI)], None),
    (GREW, [sized(1500, HI), sized(1500, HI), HI, sized(1500, HI)], 3),  # the last is too much
]


@pytest.mark.parametrize(("before", "events", "taken"), TOGETHER)
def test_deltas_together_come_to_what_they_come_to_one_by_one(before, events, taken):
    one, other = after(START, *before, limits=BOUND), after(START, *before, limits=BOUND)
    together = b.together(*events)
    out = one.receive([NEW, together, CLOSE], now=1.0)
    assert b.apart(out) == other.receive([NEW, *events, CLOSE], now=1.0)
    if taken is None:
        assert out == [NEW, together, CLOSE]
    else:
        assert [isinstance(it, Ended) for it in out] == [False] * (1 + taken) + [True]
    assert (one.eof(now=2.0), one.ended) == (other.eof(now=2.0), other.ended)
    assert one.next_wakeup == other.next_wakeup


def test_what_the_log_refuses_of_deltas_is_not_told_of():
    life = after(START, OPEN)
    life.receive([b.together(HI, HI)], now=1.0)
    life.log_refused(2, "full", now=2.0)
    assert (receipt_of(life).last_seq, receipt_of(life).usage.characters) == (3, 0)


def test_deltas_together_may_reach_a_bound_and_add_up_with_those_before():
    word = sized(300, HI)
    most = sum(len(it.json) for it in (START, OPEN, *[word] * 4))
    limits = Limits(event_bytes=1024, stream_bytes=most)
    life, together = after(START, OPEN, limits=limits), b.together(word, word)
    assert life.receive([together, together], now=1.0) == [together, together]
    apart = after(START, OPEN, word, word, word, word, limits=limits)
    told = [receipt_of(it).usage for it in (life, apart) if it.end(EndReason.STOPPED, now=2.0)]
    assert told[0] == told[1]
