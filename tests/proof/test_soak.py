"""A short soak of a real gateway process, and proof that its judge sees what is planted.

As long as one likes: `make soak ARGS="--seconds 600"`. In CI the short form takes 60 s.
"""

import os
from typing import Any

import pytest

from finalstop.core.endings import EndReason
from proof.ledger import ProofError
from proof.soak import judge
from proof.soak.judge import Holdings, Seen
from proof.soak.plan import Act, Visit, visit_of
from proof.soak.run import LONG_S, Tally, of_nameless, soak, transcript
from tests.faults.client import read_answer
from tests.faults.table import EXPECTED, Cell

SHORT_S = 60.0 if os.environ.get("CI", "").lower() == "true" else 15.0
SEED = 20261122

VISIT = Visit(number=1, spec="text")
RECEIPT: dict[str, Any] = {"reason": "complete", "detail": "", "last_seq": 3, "retryable": False}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nfinalstop-stream-id: s\r\n\r\n"


def frame(seq, kind):
    return b'id: 1-%d\nevent: %b\ndata: {"type": "%b"}\n\n' % (seq, kind, kind)


WHOLE = HEAD + frame(1, b"message_start") + frame(2, b"message_delta") + frame(3, b"message_stop")


def seen(wire=WHOLE, left="eof", **changes):
    """A visit that went well, but for `changes`."""
    facts: dict[str, Any] = {
        "receipt": RECEIPT, "ended_at": 10.0, "ends": 1, "upstream_asked": True,
        "upstream_over_at": 10.5,
    }  # fmt: skip
    return Seen(answer=read_answer(wire, left), asked_at=9.0, **(facts | changes))


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_gateway_under_faults_ends_every_stream_once_and_is_empty_afterwards(
    record_property,
):
    figures = await soak(seconds=SHORT_S, seed=SEED, clients=12)
    assert figures["violations"] == 0
    ends: Any = figures["ends"]
    reasons = {row["reason"]: row["streams"] for row in ends}
    # Fewer would mean that nothing much had happened; the figures are in the summary.
    assert sum(reasons.values()) >= 50
    assert {"complete", "abandoned", "truncated", "upstream_invalid"} <= set(reasons)
    record_property(
        "figure",
        f"soak, {SHORT_S:g} s, seed {SEED}: {sum(reasons.values())} streams, 0 violations,"
        f" descriptors {figures['descriptors before']} before, {figures['descriptors after']}"
        f" after; {reasons}",
    )


def test_a_seed_is_one_plan_and_covers_every_act_and_most_faults():
    plan = [visit_of(SEED, number) for number in range(3000)]
    assert plan == [visit_of(SEED, number) for number in range(3000)]
    assert plan != [visit_of(SEED + 1, number) for number in range(3000)]
    assert {visit.act for visit in plan} == set(Act)
    assert {visit.cell.reason for visit in plan} >= {
        cell.reason for row in EXPECTED.values() for cell in row.values()
    } - {EndReason.UNREACHABLE}


# -- what is planted must be seen -----------------------------------------------------------------


def test_a_visit_that_went_well_is_not_complained_of():
    assert judge.of_visit(VISIT, seen()) == []


AFTER = WHOLE + frame(4, b"ping")
TWICE = WHOLE.replace(frame(2, b"message_delta"), frame(2, b"message_stop"))
FORGED = {**RECEIPT, "reason": "truncated"}

# what was seen,                                                   the complaint
PLANTED = [
    (seen(TWICE), "double: 2 terminals"),
    (seen(WHOLE + frame(4, b"message_stop")), "double: 2 terminals"),
    (seen(AFTER), "double: something follows the terminal"),
    (seen(WHOLE.replace(frame(3, b"message_stop"), b"")), "double: 0 terminals"),
    (seen(WHOLE.replace(frame(2, b"message_delta"), b"")), "ids:"),
    (seen(ends=2), "double: the gateway told of 2 ends"),
    (seen(receipt=None), "terminal: the gateway told of no end"),
    (seen(receipt=FORGED), "reason: truncated, not complete"),
    (seen(receipt={**RECEIPT, "reason": "internal_error"}), "bug:"),
    (seen(left="hang"), "hang:"),
    (seen(left="reset"), "end: reset"),
    (seen(upstream_over_at=None), "upstream: its connection is neither closed nor idle"),
    (seen(upstream_over_at=14.0), "upstream: let go 3.00 s too late"),
]  # fmt: skip


@pytest.mark.parametrize(("planted", "complaint"), PLANTED, ids=[row[1] for row in PLANTED])
def test_what_is_planted_in_a_visit_is_seen(planted, complaint):
    found = judge.of_visit(VISIT, planted)
    assert any(line.startswith(complaint) for line in found), found
    # And a person is shown how to see it again, and all that came.
    assert "seed 7" in transcript(7, VISIT, planted)
    assert "message_start" in transcript(7, VISIT, planted)


def test_a_silence_of_our_own_making_is_nobody_s_fault_and_a_short_one_excuses_nothing():
    silent: dict[str, Any] = {"receipt": {**RECEIPT, "reason": "idle_timeout"}}
    assert judge._of_end(VISIT, seen(**silent, stalled_s=2.0)) == []
    assert judge._of_end(VISIT, seen(**silent, stalled_s=0.5)) != []
    assert judge._of_end(VISIT, seen(receipt=FORGED, stalled_s=9.0)) != []
    assert judge.of_visit(VISIT, seen(upstream_over_at=14.0, stalled_s=1.0)) == []


def test_a_status_that_is_not_the_table_s_is_seen():
    visit = Visit(number=1, spec="fin", cell=Cell(EndReason.COMPLETE, 502))
    assert judge.of_visit(visit, seen()) == ["status: 200, not 502, after 0.00 s"]


def test_who_left_is_owed_nothing_but_its_upstream_call_is_over():
    visit = Visit(number=1, spec="text", act=Act.LEAVES_MID_STREAM)
    gone = {"left_at": 10.0, "receipt": {**RECEIPT, "reason": "abandoned"}}
    assert judge.of_visit(visit, seen(HEAD, "open", **gone)) == []
    late = judge.of_visit(visit, seen(HEAD, "open", **gone, upstream_over_at=None))
    assert late == ["upstream: its connection is neither closed nor idle"]
    wrong = judge.of_visit(visit, seen(HEAD, "open", **{**gone, "receipt": FORGED}))
    assert wrong == ["reason: truncated, not abandoned or complete"]


EMPTY = Holdings({"socket": 3, "pipe": 2}, 4)


@pytest.mark.parametrize(("after", "more", "complaint"), [
    (Holdings({"socket": 4, "pipe": 2}, 4), {}, "leak: 1 more of socket"),
    (Holdings({"socket": 2, "pipe": 2, "/dev/null": 1}, 4), {}, "leak: 1 more of /dev/null"),
    (Holdings({"socket": 3, "pipe": 2}, 5), {}, "leak: 1 threads more"),
    (EMPTY, {"live_streams": 2}, "leak: 2 streams live"),
    (EMPTY, {"exit_status": -9}, "exit: status -9 after SIGTERM"),
])  # fmt: skip
def test_a_planted_leak_is_seen(after, more, complaint):
    at_rest = {"live_streams": 0, "exit_status": 0}
    assert judge.of_rest(EMPTY, EMPTY, **at_rest) == []
    assert judge.of_rest(EMPTY, after, **(at_rest | more)) == [complaint]


def test_a_memory_that_grows_is_seen_and_a_warm_up_is_not():
    steady = [(float(at), 80_000_000 + 4096 * (at % 3)) for at in range(600)]
    warming = [(at, size - 40_000_000 * (at < 150)) for at, size in steady]
    growing = [(at, size + int(at * 2e6 / 600)) for at, size in steady]
    assert judge.of_slope(steady) == judge.of_slope(warming) == []
    assert judge.slope_mb(growing) == pytest.approx(2.0, abs=0.05)
    assert len(judge.of_slope(growing)) == 1
    assert LONG_S <= 600


def test_a_second_end_of_a_stream_that_nobody_knows_is_seen():
    tally = Tally(seed=1, nameless=1)
    end = (1.0, RECEIPT)
    assert of_nameless(tally, {"a": [end]}) == []
    assert of_nameless(tally, {"a": [end, end]}) == ["double: 2 ends of a"]
    assert of_nameless(tally, {"a": [end], "b": [end]}) == [
        "streams: 2 ended of 1 that nobody heard the id of"
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_violation_ends_the_soak_with_its_seed(monkeypatch):
    monkeypatch.setattr(judge, "of_visit", lambda _visit, _seen: ["planted"])
    with pytest.raises(ProofError, match=r"seed 3: \d+ violations\nplanted\n  seed 3, Visit"):
        await soak(seconds=0.5, seed=3, clients=2)
