"""What is seen in an answer itself: each row is one exchange and the names it must get."""

from __future__ import annotations

import math

import pytest

from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Call, Case, Ending, Framing, Question, Step
from tests.doctor.exchanges import (
    END,
    ERROR,
    EVENTS,
    NEVER,
    URL,
    A,
    B,
    C,
    asked,
    exchange,
    treated,
    trial,
)

HEAD = exchange(framing=Framing.NONE)
GZIP = (("content-encoding", "gzip"),)
ALL_AT_ONCE = exchange(A * 20 + END, head_s=2.0)
BLOCKS = exchange(A * 150, A * 150, A * 150, A * 20 + END, every_s=1.0)
STREAMED = exchange(*([A] * 20), END)
SILENT = exchange(A, B + END, every_s=25.0)

ASKED = [
    # what was seen, the names
    (exchange(A, B, C, END), []),
    (exchange(status=None, ending=Ending.NO_CONNECTION), ["unreachable"]),
    (exchange(status=None, ending=Ending.NOT_HTTP), ["unreachable"]),
    (exchange(status=None, ending=Ending.RESET), ["unreachable"]),
    (exchange("Not Found", status=404, kind="text/plain"), ["status_not_ok"]),
    (exchange(ERROR), ["status_not_ok"]),
    (exchange(A, END, kind="text/plain"), ["wrong_content_type"]),
    (exchange("<html>", kind="text/html"), ["wrong_content_type"]),
    (exchange('{"text":"all"}', kind="application/json"), ["wrong_content_type"]),
    (exchange("The ", "ocean", kind="text/plain"), []),
    (exchange('{"text":"a"}\n', '{"done":true}\n', kind="application/x-ndjson"), []),
    (exchange(A, END, kind=f"{EVENTS}; charset=latin-1"), ["wrong_charset"]),
    (exchange(A, END, kind=f"{EVENTS}; charset=UTF-8"), []),
    (exchange(b'data: {"text":"\xe9"}\n\n', END), ["wrong_charset"]),
    (exchange(A, END, headers=GZIP), ["compressed"]),
    (ALL_AT_ONCE, ["buffered"]),
    (BLOCKS, ["buffered"]),
    (STREAMED, []),
    (exchange(A, "data: {}\n\n", END), ["empty_deltas"]),
    (exchange(A, END, "Oops"), ["undispatched_tail"]),
    (exchange(A, END + "\r\n\r\n"), []),
    (exchange(A, B, C), ["no_terminal"]),
    (exchange(), ["no_terminal"]),
    (exchange(A, END, ERROR), ["two_terminals"]),
    (exchange(A, END, END), ["two_terminals"]),
    (exchange(A, END, "data: [DONE]\n\n"), []),
    (exchange(A, END, ": bye\n\n"), []),
    (exchange(A, END, B), ["bytes_after_terminal"]),
    (exchange(A, ending=Ending.CUT), ["cut_mid_stream"]),
    (exchange(A, ending=NEVER), ["still_open"]),
    (exchange(*[A] * 50, ending=NEVER, ended_s=5.1), []),
    (exchange(A, END, ending=NEVER), ["open_after_terminal"]),
    (exchange(A, END, framing=Framing.UNTIL_CLOSE, ending=Ending.CLOSED), ["close_delimited"]),
    (SILENT, ["no_keep_alive"]),
    (exchange(A, END, head_s=12.0), ["head_withheld"]),
]


@pytest.mark.parametrize(("it", "names"), ASKED)
def test_an_answer_is_named_for_what_is_wrong_with_it(it, names):
    assert [finding.name for finding in examine(asked(it))] == names


STEPS = [
    (Step.RECONNECT, exchange(A, END), ["eventsource_loops"]),
    (Step.RECONNECT, exchange(status=204), []),
    (Step.RECONNECT, exchange("Cannot GET", status=404, kind="text/html"), []),
    (Step.PREFLIGHT, exchange(status=404), ["preflight_refused"]),
    (Step.PREFLIGHT, exchange(status=204, headers=(("access-control-allow-origin", "*"),)), []),
    (Step.HEAD, exchange(ending=NEVER, framing=Framing.NONE), ["head_asks_the_model"]),
    (Step.HEAD, HEAD, []),
]


@pytest.mark.parametrize(("step", "it", "names"), STEPS)
def test_the_other_requests_are_judged_too(step, it, names):
    seen = asked(exchange(A, END), steps={step: it})
    assert [finding.name for finding in examine(seen)] == names


def test_a_loop_is_a_problem_where_an_eventsource_can_ask():
    by_get = exchange(A, END, question=Question("GET", URL))
    again = {Step.RECONNECT: exchange(A, END)}
    (posted,) = examine(asked(exchange(A, END), steps=again))
    (got,) = examine(asked(by_get, steps=again))
    assert (posted.level, got.level) == ("note", "problem")


def test_a_head_request_that_called_the_upstream_asks_the_model():
    calls = {Step.HEAD: (Call(0.1, 0.2, finished=True),)}
    seen = asked(exchange(A, END), steps={Step.HEAD: HEAD}, calls=calls)
    assert [finding.name for finding in examine(seen)] == ["head_asks_the_model"]


CUT = exchange(A, ending=Ending.CUT, ended_s=60.0)
LIMITS = [
    ((50.0, 60.0), CUT, ["cut_by_idle_limit", "no_keep_alive"]),
    ((60.0, math.inf), exchange(A, END, every_s=5.0), []),
    ((1.0, 2.0), exchange(A, ERROR), []),
]


@pytest.mark.parametrize(("limit", "it", "names"), LIMITS)
def test_an_idle_limit_is_one_that_cuts_without_a_word(limit, it, names):
    seen = asked(exchange(A, END), steps={Step.IDLE: it}, idle_limit_s=limit)
    assert [finding.name for finding in examine(seen)] == names


HELD = [
    # the slow answer as it came, the names
    (exchange(A * 8 + END, head_s=4.0), ["buffered"]),
    (exchange(A * 4, A * 4 + END, every_s=2.0), ["buffered"]),
    (exchange(A * 8 + END, head_s=4.0, headers=GZIP), ["compressed"]),
    (exchange(*[A] * 8, END, every_s=0.5, headers=GZIP), ["compressed"]),
    (exchange(*[A + B] * 4, END, every_s=1.0), []),
]


@pytest.mark.parametrize(("slow", "names"), HELD)
def test_with_a_simulator_the_slow_answer_tells_what_is_held_back(slow, names):
    it = trial(Case.SLOW, slow, calls=(Call(0.02, 4.0, finished=True),))
    assert [finding.name for finding in examine(treated({Case.SLOW: it}))] == names


def test_a_compressor_that_holds_back_the_head_is_told_by_the_fast_answer():
    nothing = exchange(status=None, ending=NEVER, ended_s=5.0)
    slow = trial(Case.SLOW, nothing, calls=(Call(0.02, 4.0, finished=True),))
    seen = treated({Case.SLOW: slow, Case.HEALTHY: exchange(A, END, headers=GZIP)})
    assert [finding.name for finding in examine(seen)] == ["compressed"]


def test_compression_is_a_problem_only_if_it_holds_frames_back():
    streamed, held = HELD[3][0], HELD[2][0]
    assert [it.level for it in examine(treated({Case.SLOW: trial(Case.SLOW, streamed)}))] == [
        "note"
    ]
    assert [it.level for it in examine(treated({Case.SLOW: trial(Case.SLOW, held)}))] == ["problem"]


def test_a_fast_simulated_answer_comes_in_a_burst_and_that_is_no_finding():
    assert examine(treated({Case.HEALTHY: exchange(A * 20 + END, head_s=1.5)})) == ()
