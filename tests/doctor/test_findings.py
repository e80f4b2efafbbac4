"""The table of findings: complete, in order, and never raising."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.doctor.finding import Level
from finalstop.doctor.findings import KINDS, examine, untold
from finalstop.doctor.findings_words import WORDS
from finalstop.doctor.fixes_words import FIX_WORDS
from finalstop.doctor.observations import Case, Ending, Framing, Shutdown, Step
from finalstop.doctor.page import as_html
from finalstop.doctor.record import as_json
from tests.doctor.exchanges import A, asked, exchange, treated

NAMES = [kind.name for kind in KINDS]


def test_each_row_has_its_words_and_its_fix_and_each_word_its_row():
    assert sorted(NAMES) == sorted(WORDS) == sorted(FIX_WORDS)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_row_is_hidden_only_by_rows_there_are(kind):
    assert set(kind.hidden_by) <= set(NAMES) - {kind.name}


def test_what_hides_another_stands_before_it():
    place = {name: at for at, name in enumerate(NAMES)}
    late = [(it.name, by) for it in KINDS for by in it.hidden_by if place[by] > place[it.name]]
    assert late == []


def test_the_worst_comes_first_and_causes_before_consequences():
    hangs = exchange(A, ending=Ending.STILL_OPEN)
    found = examine(
        treated(
            {Case.STALL: hangs, Case.NEVER_CLOSED: hangs},
            steps={Step.PREFLIGHT: exchange(status=404)},
        )
    )
    assert [it.name for it in found] == [
        "open_after_terminal",
        "hangs_on_stall",
        "preflight_refused",
    ]
    assert [it.level for it in found] == [Level.PROBLEM, Level.PROBLEM, Level.NOTE]


def test_no_finding_without_evidence_and_a_fix():
    seen = treated(dict.fromkeys(Case, exchange(A, "Oops", ending=Ending.STILL_OPEN)))
    for it in (*examine(seen), *examine(asked(exchange(A)))):
        assert it.evidence
        assert all(it.evidence)
        assert it.fix.words.endswith(".")


pieces = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [
                *(A.encode(), b'data: {"type":"message_stop"}\n\n', b"data: [DONE]\n\n"),
                *(
                    b"event: error\ndata: {}\n\n",
                    b'{"a":1}\n',
                    b'data: {"choices":[{"delta":1}]}\n\n',
                ),
                *(b'data: {"type":[1]}\n\n', b'data: {"text":{}}\n\n', b"data: []\n\n"),
            ]
        ),
    ),
    max_size=6,
)
exchanges = st.builds(
    lambda pieces, status, ending, framing, kind, head_s, late_s: exchange(
        *pieces,
        status=status,
        ending=ending,
        framing=framing,
        kind=kind,
        head_s=head_s if status else None,
        ended_s=(head_s or 0) + late_s,
        headers=(("server", "x"), ("content-encoding", "gzip")),
    ),
    pieces,
    st.sampled_from([None, 200, 204, 429, 500]),
    st.sampled_from(Ending),
    st.sampled_from(Framing),
    st.sampled_from(["text/event-stream", "text/event-stream; charset=", "application/json", ""]),
    st.floats(0, 40),
    st.floats(0, 40),
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(Step), exchanges, max_size=4),
    st.dictionaries(st.sampled_from(Case), exchanges, max_size=5),
    st.one_of(st.none(), exchanges),
)
@pytest.mark.slow
def test_no_observation_makes_the_doctor_fall_over(steps, trials, last):
    shutdown = Shutdown(last, 0.1, None, None) if last else None
    seen = treated(trials, steps=steps, shutdown=shutdown)
    findings = examine(seen)
    assert all(it.evidence for it in findings)
    assert as_json(seen, findings)
    assert as_html(seen, findings)
    assert isinstance(untold(seen), tuple)


def test_nothing_seen_is_nothing_found():
    assert examine(asked(exchange(), steps={})) != ()
    empty = treated(steps={})
    assert examine(type(empty)(empty.url, empty.window_s, {})) == ()
