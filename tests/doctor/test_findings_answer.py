"""What is seen in an answer itself: each row is one exchange and the names it must get."""

from __future__ import annotations

import math

import pytest

from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Call, Ending, Framing, Question, Step
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
)

NOISE = bytes(range(256)) * 8
GEMINI = 'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n'


def named(event, data):
    return f"event: {event}\ndata: {data}\n\n"


HEAD = exchange(framing=Framing.NONE)
SILENT = exchange(A, B + END, every_s=25.0)

ASKED = [
    # what was seen, the names
    (exchange(A, B, C, END), []),
    (exchange(status=None, ending=Ending.NO_CONNECTION), ["unreachable"]),
    (exchange(status=None, ending=Ending.NOT_HTTP), ["unreachable"]),
    (exchange(status=None, ending=Ending.RESET), ["unreachable"]),
    (exchange(status=204, kind="", framing=Framing.NONE), ["status_not_ok"]),
    (exchange(kind="text/plain"), ["status_not_ok"]),
    (exchange(A, ending=Ending.NOT_HTTP), ["cut_mid_stream"]),
    (exchange(NOISE, kind="application/octet-stream"), ["wrong_content_type"]),
    (exchange(NOISE), ["wrong_content_type"]),
    (exchange(A, named("done", "{}")), []),
    (exchange(named("tick", "{}"), named("done", "{}")), []),
    (exchange(A, named("message", "{}"), END), ["empty_deltas"]),
    (exchange(A, named("thinking", "undefined"), END), ["empty_deltas"]),
    (exchange(GEMINI, GEMINI), []),
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


def test_a_loop_is_a_warning_where_an_eventsource_can_ask():
    by_get = exchange(A, END, question=Question("GET", URL))
    again = {Step.RECONNECT: exchange(A, END)}
    (posted,) = examine(asked(exchange(A, END), steps=again))
    (got,) = examine(asked(by_get, steps=again))
    assert (posted.level, got.level) == ("note", "warning")


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


def test_there_is_no_loop_before_an_end_was_seen():
    endless = exchange(*[A] * 50, ending=NEVER, ended_s=5.1, question=Question("GET", URL))
    seen = asked(endless, steps={Step.RECONNECT: exchange(A, ending=NEVER)})
    assert examine(seen) == ()


def test_a_loop_is_told_with_the_end_and_the_new_beginning():
    (loop,) = examine(asked(exchange(A, END), steps={Step.RECONNECT: exchange(A, ending=NEVER)}))
    assert "the question ended at 0.20 s; after that" in loop.evidence[0]
    assert "still open" not in loop.evidence[0]


QUIET = [
    # an answer that stays open, how bad that is without a simulator
    (exchange(ending=NEVER), "warning"),
    (exchange(": hello\n\n", ": alive\n\n", ending=NEVER), "warning"),
    (exchange(A, ending=NEVER), "problem"),
    (exchange(status=None, ending=NEVER, ended_s=3.0), "problem"),
]


@pytest.mark.parametrize(("it", "level"), QUIET)
def test_a_channel_without_any_delta_may_just_wait_for_news(it, level):
    assert [(it.name, it.level) for it in examine(asked(it))] == [("still_open", level)]


def test_a_page_that_refuses_has_no_deltas():
    (refused,) = examine(asked(exchange("Not Found", status=404, kind="text/plain")))
    assert "delta" not in refused.evidence[0]
