"""The lifecycle against a second opinion, along random walks over everything that can happen.

Where proof/lifecycle.py tries every input in every state of a small world, this walks through a
large one: three blocks, any delta, any batch, any fraction of a second, default-sized limits. The
second opinion (tests/core/model.py) knows only the history.
"""

from __future__ import annotations

import math
from copy import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from finalstop.core.endings import EndReason
from finalstop.core.events import Deltas, Event, Ping
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.core.transitions import Phase
from tests.core.model import Model
from tests.core.receipts import check_receipt
from tests.core.score import Answered, Bytes, Connected, Eof, Refused, perform
from tests.properties.words import PING, START, STOP, WORDS

LIMITS = Limits(
    first_content_s=10, idle_s=4, deadline_s=60, event_bytes=1024, stream_bytes=4 * 1024
)
ANYBODY = [reason for reason in EndReason if reason not in {"complete", "upstream_error"}]
# A walk is let to get somewhere before anything that ends it may come.
LONG = 6


class Walk(RuleBasedStateMachine):
    """One stream, and the model beside it; both hear the same."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.life = Lifecycle("s1", LIMITS, now=0.0)
        self.model = Model(LIMITS, 0.0)
        self.before = 0  # entries before the latest batch
        self.told: list[Event | Deltas | Ended] = []

    @initialize(begun=st.sampled_from([True, True, True, False]))
    def mostly_it_begins(self, begun):
        self.receive([START] if begun else [])

    @rule(data=st.data(), count=st.integers(1, 3))
    @precondition(lambda self: self.model.reason is None)
    def the_answer_goes_on(self, data, count):
        ahead, batch = copy(self.model), []
        for _ in range(count):
            legal = [word for word in WORDS if copy(ahead).hear(word, self.now) is None]
            batch.append(data.draw(st.sampled_from(legal) if legal else st.just(PING)))
            ahead.hear(batch[-1], self.now)
        self.receive(batch)

    @rule(batch=st.lists(st.sampled_from(WORDS), max_size=4))
    @precondition(lambda self: len(self.model.said) > LONG)
    def anything_is_said(self, batch):
        self.receive(batch)

    @rule()
    @precondition(lambda self: len(self.model.said) > LONG)
    def the_answer_is_over(self):
        self.receive([STOP])

    def receive(self, batch):
        self.before, expected = len(self.model.said), []
        for event in batch:
            if self.model.reason is None and not isinstance(event.payload, Ping):
                self.model.reason = self.model.hear(event, self.now)
                expected.append(self.model.reason or event)
        self.same(self.life.receive(batch, now=self.now), expected)

    @rule(seconds=st.sampled_from([4.0, 10.0, 60.0]), swept=st.booleans())
    @precondition(lambda self: len(self.model.said) > LONG)
    def much_time_passes(self, seconds, swept):
        self.time_passes(seconds, swept)

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.75]), swept=st.booleans())
    def time_passes(self, seconds, swept):
        if not swept:
            self.now = min(self.now + seconds, LIMITS.deadline_s)
            return
        self.now += seconds
        self.ended_by(self.life.tick(now=self.now), self.model.time(self.now))

    @rule(act=st.sampled_from([Connected(), Bytes(), Answered(), Answered(None)]))
    def the_request_makes_its_way(self, act):
        self.same(perform(self.life, act, self.now), [])

    @rule()
    def the_request_is_written(self):
        self.life.saw_request_written(now=self.now)
        self.model.written(self.now)

    @rule(detail=st.sampled_from(["", "A cut chunk."]))
    @precondition(lambda self: len(self.model.said) > LONG)
    def the_body_ends(self, detail):
        self.ended_by(perform(self.life, Eof(detail), self.now), EndReason.TRUNCATED)

    @rule(reason=st.sampled_from(ANYBODY))
    @precondition(lambda self: len(self.model.said) > LONG)
    def somebody_ends_it(self, reason):
        self.ended_by(self.life.end(reason, now=self.now), reason)

    @rule()
    @precondition(lambda self: len(self.model.said) > LONG)
    def the_upstream_refuses(self):
        self.ended_by(perform(self.life, Refused(), self.now), EndReason.UPSTREAM_ERROR)

    @rule(whole=st.booleans())
    @precondition(lambda self: len(self.model.said) > LONG)
    def the_log_refuses(self, whole):
        live = self.model.reason is None
        accepted = len(self.model.said) if whole else self.before
        if live:
            self.model.said = self.model.said[:accepted]
        self.ended_by(self.life.log_refused(accepted, "", now=self.now), EndReason.LOG_FAILED)

    def ended_by(self, out, reason):
        live = self.model.reason is None
        self.model.reason = self.model.reason or reason
        self.same(out, [reason] if live and reason is not None else [])

    def same(self, out, expected):
        assert [it.reason if isinstance(it, Ended) else it for it in out] == expected
        self.told += out
        if out and isinstance(out[-1], Ended):
            assert check_receipt(out[-1], out, self.model, self.now) == ""

    @invariant()
    def the_two_agree_on_when_it_ends_by_itself(self):
        assert self.life.next_wakeup == self.model.wakeup
        assert (self.life.phase is Phase.ENDED) is (self.model.reason is not None)

    def teardown(self):
        """Whatever happened, time alone ends it, once."""
        if self.life.ended is None:
            wakeup = max(self.life.next_wakeup, self.now)
            self.now = wakeup
            self.ended_by(self.life.tick(now=wakeup), self.model.time(wakeup))
        assert [it for it in self.told if isinstance(it, Ended)] == [self.life.ended]
        assert self.life.next_wakeup == math.inf


TestWalk = pytest.mark.slow(Walk.TestCase)
TestWalk.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
