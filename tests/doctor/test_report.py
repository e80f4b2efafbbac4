"""The report in a terminal: a golden one, its first lines, and nothing that gives orders."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from finalstop.doctor.findings import examine
from finalstop.doctor.findings_words import OPEN_UPSTREAM
from finalstop.doctor.observations import Case, Question, Step, Untold
from finalstop.doctor.report import print_ci, print_report
from tests.doctor.exchanges import END, GOOD, NEVER, A, B, asked, exchange, treated

GOLDEN = Path(__file__).parent / "golden"
HANGS = exchange(A, B, ending=NEVER)
EXPRESS = {"server.js": "import express from 'express';"}
ORDERS = "\x1b[2J[red]"


def printed(seen, how=print_report):
    out = io.StringIO()
    how(Console(file=out, width=100, force_terminal=False), seen, examine(seen))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_the_first_lines_say_what_stays_open_why_and_what_to_do():
    lines = printed(treated({Case.NEVER_CLOSED: HANGS}, sources=EXPRESS)).splitlines()
    assert lines[0] == "http://127.0.0.1:3000/stream-claude: 1 problem"
    assert lines[1] == f"T{OPEN_UPSTREAM[1:]}."
    assert "still open at 3.20 s" in " ".join(lines[2:4])
    assert any(line.startswith("Cure: Leave the loop at the event that ends") for line in lines[:9])


def test_a_small_report_is_this():
    seen = asked(exchange(A, B, "Oops"), steps={Step.PREFLIGHT: exchange(status=404)})
    assert printed(seen) == (GOLDEN / "small.txt").read_text("utf-8").rstrip("\n")


def test_beside_a_hang_the_popular_advice_is_corrected_and_the_diff_is_printed_once():
    said = printed(treated({Case.NEVER_CLOSED: HANGS, Case.STALL: HANGS}, sources=EXPRESS))
    assert "what is true of the popular advice" in said
    assert "finalMessage()" in said
    assert said.count("+++ example/after.js") == 1
    assert "It cures open_after_terminal, hangs_on_stall." in said


def test_a_healthy_endpoint_is_told_so_and_gets_no_advice():
    said = printed(treated())
    assert said.startswith("http://127.0.0.1:3000/stream-claude: no finding\nEvery answer")
    assert "popular advice" not in said


def test_for_ci_there_is_one_line_for_each_finding_what_was_not_told_and_all():
    lines = printed(treated({Case.NEVER_CLOSED: HANGS, Case.STALL: HANGS}), print_ci).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "problem open_after_terminal",
        "problem hangs_on_stall",
        "untold how long a silence the way bears",
        "finalstop doctor http",
    ]
    assert lines[-1].endswith("2 problems")


CLOSINGS = [
    # what was seen, whether every answer ended and said how
    (asked(GOOD), True),
    (treated(), True),
    (asked(exchange(*[A] * 50, ending=NEVER, ended_s=5.1)), False),
    (asked(exchange("The ", "end", kind="text/plain")), False),
    (asked(GOOD, command="node server.js"), False),
]


@pytest.mark.parametrize(("seen", "all_ended"), CLOSINGS)
def test_the_closing_sentence_says_no_more_than_was_seen(seen, all_ended):
    said = printed(seen)
    assert ("Every answer that we asked for ended, once" in said) is all_ended
    assert ("could not be told, see below." in said) is not all_ended


def test_a_server_that_never_called_the_simulator_is_not_told_to_bring_one():
    why = Untold("what the endpoint does when its upstream fails", "it never called the simulator")
    for seen in (asked(GOOD, untold=(why,)), asked(GOOD, untold=(why,), command="node a.js")):
        said = printed(seen, print_ci)
        assert "untold what the endpoint does when its upstream fails: it never called" in said
        assert "no simulator" not in said


def test_nothing_foreign_gives_orders_to_the_terminal_or_is_taken_for_markup():
    question = Question("POST", "http://h/a", (("authorization", "Bearer sk-1"),), ORDERS.encode())
    it = exchange(f"data: {ORDERS}\n\n", A, END, f"{ORDERS} tail", question=question)
    for how in (print_report, print_ci):
        said = printed(asked(it, untold=()), how)
        assert "\x1b" not in said
        assert "\\x1b[2J[red] tail" in said
        assert "sk-1" not in said


def test_good_answers_are_drawn():
    assert "the question" in printed(asked(GOOD))
