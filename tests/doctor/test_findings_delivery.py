"""How an answer is delivered: each row is one exchange and the names it must get."""

from __future__ import annotations

import pytest

from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Call, Case
from tests.doctor.exchanges import END, NEVER, A, B, asked, exchange, treated, trial

GZIP = (("content-encoding", "gzip"),)
EIGHT = A * 8 + END

ASKED = [
    # what was seen, the names
    (exchange(A * 20 + END, head_s=2.0), ["buffered"]),
    (exchange(A * 150, A * 150, A * 150, A * 20 + END, every_s=1.0), ["buffered"]),
    (exchange(*([A] * 20), END), []),
    (exchange(A, END, headers=GZIP), ["compressed"]),
    (exchange(A, END, head_s=12.0), ["head_withheld"]),
]


@pytest.mark.parametrize(("it", "names"), ASKED)
def test_an_answer_is_named_for_how_it_came(it, names):
    assert [finding.name for finding in examine(asked(it))] == names


ZIPPED = [
    # a compressed answer, without a simulator; how bad it is
    (exchange(EIGHT, head_s=0.46, headers=GZIP), "problem"),
    (exchange(EIGHT, head_s=0.02, headers=GZIP), "note"),
    (exchange(*[A] * 8, END, head_s=0.46, headers=GZIP), "note"),
    (exchange(A + END, head_s=0.46, headers=GZIP), "note"),
]


@pytest.mark.parametrize(("it", "level"), ZIPPED)
def test_a_compressor_that_gives_all_at_the_very_end_is_a_problem(it, level):
    assert [(it.name, it.level) for it in examine(asked(it))] == [("compressed", level)]


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
