"""What becomes of faults: each row changes one trial of a good endpoint, and names the finding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finalstop.doctor.findings import examine, untold
from finalstop.doctor.observations import Call, Case, Ending, Shutdown, Untold
from finalstop.doctor.reading import FRAMES_MAX
from tests.doctor.exchanges import (
    END,
    ERROR,
    LEFT,
    NEVER,
    SILENT,
    A,
    B,
    C,
    asked,
    exchange,
    treated,
    trial,
)

HANGS = exchange(A, B, ending=NEVER)
PINGS = exchange(A, *[": ping\n\n"] * 40, ending=NEVER, ended_s=4.2)
LIES = exchange(A, B, END)
MUTE = exchange(A, B)
TAIL = exchange(A, B, "Internal Server Error")
BROKEN = exchange(A, B, ending=Ending.CUT)
FLAT = exchange("{}", status=500, kind="application/json")
NO_WAIT = exchange("{}", status=429, kind="application/json")


def test_a_good_endpoint_has_no_finding():
    assert examine(treated()) == ()


ONE_FAULT = [
    # the case, what came of it, the names
    (Case.NEVER_CLOSED, HANGS, ["open_after_terminal"]),
    (Case.NEVER_CLOSED, exchange(A, B, END, ending=NEVER), ["open_after_terminal"]),
    (Case.NEVER_CLOSED, exchange(A, B, ERROR), ["open_after_terminal"]),
    (Case.NEVER_CLOSED, exchange(A, B, END, ERROR), ["two_terminals"]),
    (Case.NEVER_CLOSED_PINGS, PINGS, ["open_after_terminal"]),
    (Case.STALL, HANGS, ["hangs_on_stall"]),
    (Case.STALL, BROKEN, []),
    (Case.STALL, LIES, ["truncation_looks_complete"]),
    (Case.PINGS_ONLY, PINGS, ["pings_mask_stall"]),
    (Case.NO_HEAD, SILENT, ["hangs_without_head"]),
    (Case.TRUNCATED, LIES, ["truncation_looks_complete"]),
    (Case.TRUNCATED, MUTE, ["truncation_looks_complete"]),
    (Case.TRUNCATED, BROKEN, []),
    (Case.RESET, LIES, ["reset_looks_complete"]),
    (Case.RESET, TAIL, ["reset_looks_complete", "undispatched_tail"]),
    (Case.ERROR_MIDWAY, TAIL, ["error_hidden", "undispatched_tail"]),
    (Case.ERROR_MIDWAY, MUTE, ["error_hidden"]),
    (Case.ERROR_MIDWAY, LIES, ["error_hidden"]),
    (Case.ERROR_MIDWAY, HANGS, ["error_hidden"]),
    (Case.ERROR_FIRST, FLAT, []),
    (Case.ERROR_FIRST, exchange("{}", status=400, kind="a/b"), ["status_flattened"]),
    (Case.ERROR_FIRST, exchange(ERROR), []),
    (Case.RATE_LIMITED, FLAT, ["status_flattened"]),
    (Case.RATE_LIMITED, exchange(ERROR), ["status_flattened"]),
    (Case.RATE_LIMITED, NO_WAIT, ["retry_after_lost"]),
    (Case.OVERLOADED, FLAT, ["status_flattened"]),
    (Case.OVERLOADED, exchange("{}", status=503, kind="application/json"), []),
    (Case.TOOLS_AND_THINKING, exchange("data: {}\n\n" * 3, A, END), ["empty_deltas"]),
    (Case.SLOW, exchange(A, ending=Ending.CUT), ["cut_mid_stream"]),
]


@pytest.mark.parametrize(("case", "it", "names"), ONE_FAULT)
def test_what_becomes_of_a_fault_has_a_name(case, it, names):
    assert [finding.name for finding in examine(treated({case: it}))] == names


def test_what_stalls_and_pings_alike_is_one_finding():
    names = [it.name for it in examine(treated({Case.STALL: HANGS, Case.PINGS_ONLY: PINGS}))]
    assert names == ["hangs_on_stall"]


CALLS = [
    # the upstream call after we left at 0.5 s, whether it counts as cancelled
    (Call(0.02, 0.52, finished=False), True),
    (Call(0.02, 2.4, finished=False), True),
    (Call(0.02, 2.6, finished=False), False),
    (Call(0.02, None, finished=False), False),
    (Call(0.02, 5.0, finished=True), False),
    (Call(0.02, 0.4, finished=True), True),
]


@pytest.mark.parametrize(("call", "cancelled"), CALLS)
@pytest.mark.parametrize(
    ("case", "name"),
    [
        (Case.LEAVE_MID_STREAM, "upstream_not_cancelled"),
        (Case.LEAVE_BEFORE_HEAD, "upstream_not_cancelled_before_head"),
    ],
)
def test_a_call_is_cancelled_if_the_endpoint_closes_it_soon_after_we_leave(
    case, name, call, cancelled
):
    seen = treated({case: trial(case, LEFT, calls=(call,))})
    assert [it.name for it in examine(seen)] == ([] if cancelled else [name])


SHUTDOWNS = [
    (Shutdown(exchange(A, ERROR), 0.2, 0.5, 0), []),
    (Shutdown(exchange(A, ERROR), 0.2, 0.5, -15), []),
    (Shutdown(exchange(A, ending=NEVER), 0.2, None, None), ["sigterm_hangs"]),
    (Shutdown(exchange(A, ending=Ending.CUT), 0.2, 0.3, 0), ["sigterm_cuts"]),
    (Shutdown(exchange(A), 0.2, 0.3, 0), ["sigterm_cuts"]),
    (Shutdown(exchange(A, END), 0.2, 0.3, 0), ["sigterm_cuts"]),
]


@pytest.mark.parametrize(("shutdown", "names"), SHUTDOWNS)
def test_after_sigterm_the_stream_ends_with_a_word_and_the_process_exits(shutdown, names):
    assert [it.name for it in examine(treated(shutdown=shutdown))] == names


def test_a_process_that_died_is_named_with_its_last_words():
    dead = trial(Case.RESET, BROKEN, survived=False, said="Error: read ECONNRESET\n")
    (finding,) = examine(treated({Case.RESET: dead}))
    assert finding.name == "process_dies"
    assert "ECONNRESET" in finding.evidence[0]


def test_without_a_healthy_answer_no_fault_is_judged_and_that_is_said():
    broken = exchange("{}", status=500, kind="application/json")
    seen = treated({Case.HEALTHY: broken, Case.STALL: HANGS, Case.TRUNCATED: LIES})
    assert [it.name for it in examine(seen)] == ["status_not_ok"]
    assert "the healthy answer itself is not in order" in {it.why for it in untold(seen)}


def test_without_a_terminal_its_consequences_are_not_told_again():
    seen = treated(dict.fromkeys((Case.HEALTHY, Case.TRUNCATED, Case.RESET), MUTE))
    assert [it.name for it in examine(seen)] == ["no_terminal"]


def test_a_home_made_terminal_is_held_against_the_faults():
    healthy, lying = exchange(A, B, C, 'data: {"bye":1}\n\n'), exchange(A, B, 'data: {"bye":1}\n\n')
    seen = treated({Case.HEALTHY: healthy, Case.TRUNCATED: lying})
    assert [it.name for it in examine(seen)] == ["truncation_looks_complete"]


def test_what_could_not_be_told_is_listed():
    mine = Untold("the status", "no time")
    whys = [it.why for it in untold(asked(LIES, untold=(mine,)))]
    assert whys[0] == "no time"
    assert any("--run" in why for why in whys)
    assert any("--idle" in why for why in whys)


def test_an_endpoint_that_never_calls_the_simulator_is_told_what_to_set():
    seen = treated({case: trial(case, LIES, calls=()) for case in Case})
    assert any("base URL" in it.why for it in untold(seen))


GEMINI = 'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'
TOO_MUCH = replace(
    exchange(*[A] * 50, ending=Ending.STILL_OPEN, ended_s=5.1), failure="we stopped reading at 4"
)
UNSEEN = [
    # an answer without a simulator, what is said of it
    (exchange(GEMINI), "the dialect is unknown"),
    (exchange("<html>", kind="text/html"), "no dialect was recognised"),
    (exchange(*[A] * 50, ending=Ending.STILL_OPEN, ended_s=5.1), "it was still coming"),
    (TOO_MUCH, "we stopped reading at 4"),
    pytest.param(
        exchange(A * (FRAMES_MAX + 10_000)), "bytes of it were not read", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("it", "why"), UNSEEN)
def test_what_an_answer_leaves_open_is_said(it, why):
    assert any(why in said.why for said in untold(asked(it)))


def test_of_a_refusal_nobody_asks_how_it_would_have_ended():
    said = untold(asked(exchange(status=404, kind="text/plain")))
    assert all("dialect" not in it.why for it in said)
