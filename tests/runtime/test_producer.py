"""The producer: one synchronous way into the log, and nothing happens in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from finalstop.core.endings import EndReason, Refusal
from finalstop.core.events import Entry, Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended
from finalstop.log.contract import Log, LogFullError
from finalstop.log.memory import MemoryLog
from finalstop.runtime.producer import Producer
from tests import builders as b
from tests.log.followers import Listener, everything
from tests.runtime.fakes import FakeClock, FaultyLog, RecordingWatcher

START = b.message_start()


class Rig:
    """A producer, all around it, and a follower that writes down what the log accepted."""

    def __init__(self, limits: Limits = DEFAULTS, log: Log | None = None) -> None:
        self.log: Log = log or MemoryLog(limits)
        self.clock = FakeClock()
        self.watcher = RecordingWatcher()
        self.producer = Producer(
            "s1", log=self.log, limits=limits, clock=self.clock, watcher=self.watcher
        )
        self.told = Listener()
        self.log.follow("s1", self.told)

    def on_entries(self, act: Callable[[Sequence[Entry]], None]) -> Listener:
        listener = Listener(act)
        self.log.follow("s1", listener)
        return listener

    @property
    def logged(self) -> list[Event | EndReason]:
        entries = b.apart(entry.event for batch in self.told.batches for entry in batch)
        return [it.reason if isinstance(it, Ended) else it for it in entries]


# -- what a source says ---------------------------------------------------------------------------


def refused(producer: Producer) -> None:
    producer.refused(Refusal(429, {"type": "rate_limit_error"}))


# what the source says after message_start, the reason of the end
LAST_WORDS: list[tuple[Callable[[Producer], None], EndReason]] = [
    (lambda it: it.eof(), EndReason.TRUNCATED),
    (refused, EndReason.UPSTREAM_ERROR),
    (lambda it: it.crashed(KeyError("secret prompt")), EndReason.INTERNAL_ERROR),
    (lambda it: it.end(EndReason.STOPPED), EndReason.STOPPED),
    (lambda it: it.tick(100.0 + DEFAULTS.deadline_s), EndReason.DEADLINE),
    (lambda it: it.receive([b.error()]), EndReason.UPSTREAM_ERROR),
    (lambda it: it.receive([b.message_stop()]), EndReason.UPSTREAM_INVALID),
    (lambda it: it.receive(b.answer("Salt.")[1:]), EndReason.COMPLETE),
]


@pytest.mark.parametrize(("last_word", "reason"), LAST_WORDS)
def test_every_last_word_is_logged_as_the_one_terminal_event(last_word, reason):
    rig = Rig()
    rig.producer.receive([START])
    last_word(rig.producer)
    assert rig.logged[-1] is reason
    assert [it.reason for it in rig.watcher.ended] == [reason]
    assert rig.producer.ended is rig.watcher.ended[0]
    assert rig.producer.ended.receipt.last_seq == rig.told.seqs[-1]


@pytest.mark.parametrize(("first", "reason"), LAST_WORDS)
@pytest.mark.parametrize("late", [row[0] for row in LAST_WORDS])
def test_the_first_reason_wins_whatever_comes_after_it(first, reason, late):
    rig = Rig()
    rig.producer.receive([START])
    first(rig.producer)
    logged = rig.logged
    late(rig.producer)
    assert rig.logged == logged
    assert rig.logged[-1] is reason
    assert len(rig.watcher.ended) == 1


def test_a_batch_from_the_source_is_one_batch_in_the_log():
    rig = Rig()
    rig.producer.receive(b.answer("Salt."))
    assert [len(batch) for batch in rig.told.batches] == [6]


def test_a_batch_of_nothing_but_pings_is_not_logged_and_begins_nothing():
    rig = Rig()
    rig.producer.receive([b.ping(), b.ping()])
    rig.producer.receive([])
    assert rig.logged == []
    assert rig.watcher.begun == 0


def test_a_crash_tells_its_kind_and_not_its_message():
    rig = Rig()
    rig.producer.crashed(KeyError("the secret prompt"))
    assert rig.producer.ended is not None
    detail = rig.producer.ended.receipt.detail
    assert "KeyError" in detail
    assert "secret" not in detail


def test_time_passes_only_as_far_as_it_is_told():
    rig = Rig()
    rig.producer.tick(rig.clock.now)
    assert rig.logged == []
    rig.producer.tick(rig.clock.advance(DEFAULTS.first_content_s))
    assert rig.logged == [EndReason.FIRST_CONTENT_TIMEOUT]


# -- the beginning and the end, told once ---------------------------------------------------------


def test_the_beginning_is_told_once_and_when_the_log_holds_it():
    rig = Rig()
    begun_by: list[int] = []
    rig.on_entries(lambda _batch: begun_by.append(rig.watcher.begun))
    rig.producer.receive([START])
    rig.producer.receive([b.text_start()])
    assert begun_by == [0, 1]
    assert rig.watcher.begun == 1


def test_an_end_without_a_beginning_tells_both():
    rig = Rig()
    rig.producer.end(EndReason.UNREACHABLE, "refused")
    assert rig.watcher.begun == 1
    assert len(rig.watcher.ended) == 1


def test_the_end_is_told_after_every_follower_has_been():
    rig = Rig()
    told_by: list[int] = []
    rig.on_entries(lambda _batch: told_by.append(len(rig.watcher.ended)))
    rig.producer.receive(b.answer("Salt."))
    assert told_by == [0]
    assert len(rig.watcher.ended) == 1


# -- no re-entrance -------------------------------------------------------------------------------


def test_what_a_follower_posts_runs_after_the_dispatch_in_order():
    rig = Rig()
    happened: list[str] = []

    def ask(batch: Sequence[Entry]) -> None:
        rig.producer.post(lambda: happened.append(f"posted at {batch[-1].seq}"))

    rig.on_entries(ask)
    rig.on_entries(ask)
    rig.on_entries(lambda batch: happened.append(f"told of {batch[-1].seq}"))
    rig.producer.receive([START])
    rig.producer.receive([b.text_start()])
    assert happened == [
        "told of 1", "posted at 1", "posted at 1",
        "told of 2", "posted at 2", "posted at 2",
    ]  # fmt: skip


def test_outside_a_dispatch_what_is_posted_runs_at_once():
    happened: list[int] = []
    Rig().producer.post(lambda: happened.append(1))
    assert happened == [1]


def test_a_follower_may_post_the_end_and_everybody_hears_the_event_before_it():
    rig = Rig()
    rig.on_entries(lambda _batch: rig.producer.post(lambda: rig.producer.end(EndReason.ABANDONED)))
    last = Listener()
    rig.log.follow("s1", last)
    rig.producer.receive([START, b.text_start()])
    assert [len(batch) for batch in last.batches] == [2, 1]
    assert rig.logged[-1] is EndReason.ABANDONED


def test_what_is_posted_may_post_again():
    rig = Rig()
    happened: list[int] = []

    def again(depth: int) -> None:
        happened.append(depth)
        if depth < 3:
            rig.producer.post(lambda: again(depth + 1))

    rig.on_entries(lambda _batch: rig.producer.post(lambda: again(0)))
    rig.producer.receive([START])
    assert happened == [0, 1, 2, 3]


# what a follower must not do in a dispatch
APPENDING: list[Callable[[Producer], None]] = [
    lambda it: it.receive([b.text_start()]),
    lambda it: it.end(EndReason.STOPPED),
    lambda it: it.eof(),
]


@pytest.mark.parametrize("append", APPENDING)
def test_a_follower_that_appends_is_our_bug_and_is_detached_for_it(append):
    rig = Rig()
    culprit = rig.on_entries(lambda _batch: append(rig.producer))
    rig.producer.receive([START])
    [error] = culprit.errors
    assert isinstance(error, AssertionError)
    assert rig.logged == [START]


# -- a log that refuses, or breaks ----------------------------------------------------------------

SMALL = Limits(log_bytes_total=16 * 1024, event_bytes=1024, stream_bytes=8192)


def test_a_refused_batch_ends_the_stream_log_failed_with_dense_numbers():
    rig = Rig(SMALL)
    rig.producer.receive([START, b.text_start()])
    rig.producer.receive([b.text_delta("x" * 20) for _ in range(70)])
    assert rig.logged == [START, b.text_start(), EndReason.LOG_FAILED]
    assert rig.told.seqs == [1, 2, 3]
    assert rig.producer.ended is not None
    assert rig.producer.ended.receipt.last_seq == 3
    assert "log_bytes_total" in rig.producer.ended.receipt.detail


def test_when_the_first_batch_is_refused_the_beginning_is_the_end():
    rig = Rig(SMALL)
    rig.producer.receive([START, b.text_start(), *(b.text_delta("x" * 20) for _ in range(70))])
    assert rig.logged == [EndReason.LOG_FAILED]
    assert rig.watcher.begun == 1
    assert rig.producer.ended is not None
    assert rig.producer.ended.receipt.last_seq == 1


def test_a_full_log_begins_no_stream():
    log = MemoryLog(SMALL)
    for name in ("a", "b", "c"):
        log.open(name, lambda _accepted, _why: None)
    with pytest.raises(LogFullError):
        Rig(SMALL, log)


@pytest.mark.parametrize("last_word", [row[0] for row in LAST_WORDS])
def test_when_the_log_breaks_on_the_last_word_nobody_waits_for_ever(last_word):
    """Our own bug, in the one place where it could cost the promise itself."""
    log = FaultyLog(DEFAULTS)
    rig = Rig(log=log)
    rig.producer.receive([START])
    log.error = MemoryError("no room for a list")
    with pytest.raises(MemoryError):
        last_word(rig.producer)
    assert len(rig.watcher.ended) == 1


async def test_when_the_log_breaks_on_an_event_the_stream_can_still_be_ended():
    log = FaultyLog(DEFAULTS)
    rig = Rig(log=log)
    log.error = MemoryError("no room for a list")
    with pytest.raises(MemoryError) as broke:
        rig.producer.receive([START])
    rig.producer.crashed(broke.value)
    [entry] = await everything(log, "s1")
    assert entry.event is rig.producer.ended
    assert (rig.watcher.begun, len(rig.watcher.ended)) == (1, 1)
