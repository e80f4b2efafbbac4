"""What every log promises, whatever it stands on. A new log adds one row to LOGS.

The suite never assumes that followers are told before `append` returns: it waits until they are.
That they are is the memory log's own promise, and in test_memory.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from finalstop.core.events import Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.log.contract import Log, LogFullError, UnknownStreamError
from finalstop.log.memory import MemoryLog
from tests import builders as b
from tests.log.followers import (
    Listener,
    Refusals,
    deltas,
    ended,
    everything,
    one_by_one,
    raising,
    told,
    until,
)
from tests.log.later import LaterLog

LOGS: dict[str, Callable[[Limits], Log]] = {
    "memory": MemoryLog,
    "later": LaterLog,
    "much later": partial(LaterLog, turns=(3, 1, 2, 5)),
}

MakeLog = Callable[..., Log]


@pytest.fixture(params=LOGS)
def make_log(request: pytest.FixtureRequest) -> MakeLog:
    def make(limits: Limits = DEFAULTS) -> Log:
        return LOGS[request.param](limits)

    return make


@pytest.fixture
def log(make_log: MakeLog) -> Log:
    """A log with one stream, `s1`, in which nothing is refused."""
    log = make_log()
    log.open("s1", raising_refusal)
    return log


def raising_refusal(accepted: int, why: str) -> None:
    raise AssertionError(f"refused after {accepted}: {why}")


# -- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1], [3], [1, 1, 1], [2, 5, 1], [40, 1, 40]])
async def test_sequence_numbers_are_dense_from_one_over_all_batches(log, sizes):
    events = [deltas(size, f"batch {n} ") for n, size in enumerate(sizes)]
    for batch in events:
        await told(log, "s1", batch)
    entries = await everything(log, "s1")
    assert [entry.seq for entry in entries] == list(range(1, sum(sizes) + 1))
    assert [entry.event for entry in entries] == [event for batch in events for event in batch]


async def test_deltas_together_are_told_as_one_and_kept_as_many(log):
    one, two, three = deltas(3)
    listener = Listener()
    log.follow("s1", listener)
    for batch in ([b.together(one, two)], [three], [b.together(one), b.together(two, three)]):
        await told(log, "s1", batch)
    assert listener.seqs == [1, 3, 4, 5]
    assert [list(one_by_one(batch))[-1].seq for batch in listener.batches] == [2, 3, 6]
    kept = await everything(log, "s1")
    assert [(it.seq, it.event) for it in kept] == [
        *enumerate([one, two, three, one, two, three], 1)
    ]


async def test_an_entry_is_the_event_as_it_was_appended_json_and_all(log):
    events = [*b.answer("Salt.", ""), b.unknown("not_yet_invented", words="many")]
    await told(log, "s1", events)
    for entry, event in zip(await everything(log, "s1"), events, strict=True):
        assert isinstance(entry.event, Event)
        assert entry.event == event
        assert entry.event.json == event.json


async def test_a_terminal_event_is_kept_with_its_receipt(log):
    terminal = ended()
    await told(log, "s1", [terminal])
    [entry] = await everything(log, "s1")
    assert entry.event == terminal
    assert (entry.seq, entry.last) == (1, 1)


async def test_batches_appended_back_to_back_are_told_in_order(log):
    listener = Listener()
    log.follow("s1", listener)
    for batch in (deltas(2), deltas(3), [*deltas(1), ended()]):
        log.append("s1", batch)
    await until(lambda: len(listener.seqs) == 7)
    assert listener.seqs == [1, 2, 3, 4, 5, 6, 7]


async def test_streams_are_numbered_and_told_apart(log):
    log.open("s2", raising_refusal)
    one, two = Listener(), Listener()
    log.follow("s1", one)
    log.follow("s2", two)
    await told(log, "s1", deltas(3))
    await told(log, "s2", deltas(2))
    await told(log, "s1", deltas(1))
    assert one.seqs == [1, 2, 3, 4]
    assert two.seqs == [1, 2]
    assert len(await everything(log, "s2")) == 2


# -- following ------------------------------------------------------------------------------------


async def test_every_follower_is_told_everything(log):
    listeners = [Listener() for _ in range(5)]
    for listener in listeners:
        log.follow("s1", listener)
    await told(log, "s1", deltas(2))
    await told(log, "s1", [ended()])
    assert all(listener.seqs == [1, 2, 3] for listener in listeners)


async def test_what_was_accepted_before_is_read_and_not_told(log):
    await told(log, "s1", deltas(3))
    listener = Listener()
    log.follow("s1", listener)
    await told(log, "s1", deltas(2))
    assert listener.seqs == [4, 5]
    assert [entry.seq for entry in await everything(log, "s1")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("before", range(4))
async def test_reading_after_following_leaves_no_hole_also_while_an_append_is_under_way(
    log, before
):
    for _ in range(before):
        log.append("s1", deltas(2))
    listener = Listener()
    log.follow("s1", listener)
    read = [entry.seq for entry in await everything(log, "s1")]
    await told(log, "s1", deltas(1))
    last = 2 * before + 1
    assert sorted({*read, *listener.seqs}) == list(range(1, last + 1))
    assert listener.seqs == list(range(listener.seqs[0], last + 1))


async def test_leaving_is_idempotent_and_nothing_is_told_after_it(log):
    listener = Listener()
    leave = log.follow("s1", listener)
    await told(log, "s1", deltas(1))
    leave()
    leave()
    await told(log, "s1", deltas(1))
    assert listener.seqs == [1]
    assert listener.errors == []


async def test_a_follower_may_leave_while_it_is_being_told(log):
    first, last = Listener(), Listener()
    leaving = Listener(lambda _batch: leave())
    log.follow("s1", first)
    leave = log.follow("s1", leaving)
    log.follow("s1", last)
    await told(log, "s1", deltas(1))
    await told(log, "s1", deltas(1))
    assert (first.seqs, leaving.seqs, last.seqs) == ([1, 2], [1], [1, 2])


@pytest.mark.parametrize("who", [0, 2], ids=["one told before", "one told after"])
async def test_a_follower_may_send_another_away_while_it_is_being_told(log, who):
    listeners = [Listener(), Listener(lambda _batch: leaves[who]()), Listener()]
    leaves = [log.follow("s1", listener) for listener in listeners]
    await told(log, "s1", deltas(1))
    sent_away_with = list(listeners[who].seqs)
    await told(log, "s1", deltas(1))
    assert listeners[who].seqs == sent_away_with
    assert listeners[1].seqs == [1, 2]
    assert listeners[2 - who].seqs == [1, 2]


async def test_a_follower_that_comes_while_others_are_told_hears_the_next_batch_first(log):
    late = Listener()
    came: list[bool] = []

    def come(_batch: object) -> None:
        if not came:
            came.append(True)
            log.follow("s1", late)

    log.follow("s1", Listener(come))
    await told(log, "s1", deltas(2))
    await told(log, "s1", deltas(2))
    assert late.seqs == [3, 4]


async def test_a_follower_that_raises_is_detached_alone_and_told_once(log):
    error = ValueError("the encoder's bug")
    before, broken, after = Listener(), Listener(raising(error)), Listener()
    for listener in (before, broken, after):
        log.follow("s1", listener)
    await told(log, "s1", deltas(1))
    await told(log, "s1", [ended()])
    assert broken.errors == [error]
    assert broken.seqs == [1]
    assert before.seqs == after.seqs == [1, 2]
    assert before.errors == after.errors == []


async def test_the_terminal_is_told_also_when_an_earlier_follower_breaks_on_it(log):
    broken, after = Listener(raising(ValueError())), Listener()
    log.follow("s1", broken)
    log.follow("s1", after)
    await told(log, "s1", [*deltas(1), ended()])
    assert after.seqs == [1, 2]


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(6))
async def test_a_read_is_the_tail_after_the_cursor(log, after):
    await told(log, "s1", [*deltas(4), ended()])
    whole = await everything(log, "s1")
    assert list(await log.read("s1", after, bytes_max=1 << 40)) == whole[after:]


@pytest.mark.parametrize("after", [0, 3, 99])
async def test_a_read_past_the_end_is_empty(log, after):
    assert list(await log.read("s1", after, bytes_max=1 << 40)) == []


@pytest.mark.parametrize("bytes_max", [1, 100, 2000, 10_000, 1 << 40])
async def test_slices_put_together_are_the_stream_and_none_is_empty(log, bytes_max):
    await told(log, "s1", deltas(30, "x" * 500))
    entries = await everything(log, "s1", bytes_max=bytes_max)
    assert [entry.seq for entry in entries] == list(range(1, 31))


async def test_a_slice_ends_about_where_it_was_asked_to(log):
    await told(log, "s1", deltas(30, "x" * 1000))
    [one] = await log.read("s1", 0, bytes_max=1)
    some = await log.read("s1", 0, bytes_max=10_000)
    assert one.seq == 1
    # What an entry weighs is the log's own affair, but not less than its JSON.
    assert 1 < len(some) <= 10


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [deltas(1), [ended()]], ids=["an event", "a second end"])
async def test_nothing_follows_the_terminal_event(log, late):
    await told(log, "s1", [*deltas(1), ended()])
    with pytest.raises(AssertionError):
        log.append("s1", late)
    assert len(await everything(log, "s1")) == 2


async def test_a_stream_is_sealed_at_once_also_before_the_log_has_answered(log):
    log.append("s1", [ended()])
    with pytest.raises(AssertionError):
        log.append("s1", deltas(1))


async def test_an_ended_stream_can_be_followed_and_read(log):
    await told(log, "s1", [ended()])
    listener = Listener()
    leave = log.follow("s1", listener)
    assert len(await everything(log, "s1")) == 1
    leave()
    assert listener.seqs == []


# -- its bounds -----------------------------------------------------------------------------------

SMALL = Limits(log_bytes_total=16 * 1024, event_bytes=1024, stream_bytes=4096)


async def test_a_batch_over_the_bound_is_refused_whole_with_what_was_accepted(make_log):
    log, refusals, listener = make_log(SMALL), Refusals(), Listener()
    log.open("s1", refusals)
    log.follow("s1", listener)
    await told(log, "s1", deltas(2))
    log.append("s1", deltas(500))
    await until(lambda: bool(refusals.seen))
    [(accepted, why)] = refusals.seen
    assert accepted == 2
    assert "log_bytes_total=16384" in why
    assert listener.seqs == [1, 2]
    assert len(await everything(log, "s1")) == 2


async def test_a_terminal_is_accepted_over_every_bound_and_takes_the_next_number(make_log):
    log, refusals, listener = make_log(SMALL), Refusals(), Listener()
    log.open("s1", refusals)
    log.follow("s1", listener)
    await told(log, "s1", deltas(1))
    log.append("s1", deltas(500))
    await until(lambda: bool(refusals.seen))
    await told(log, "s1", [ended()])
    assert listener.seqs == [1, 2]
    assert len(refusals.seen) == 1


async def test_a_batch_that_ends_the_stream_is_accepted_whole(make_log):
    log = make_log(SMALL)
    log.open("s1", raising_refusal)
    await told(log, "s1", [*deltas(500), ended()])
    assert len(await everything(log, "s1")) == 501


async def test_one_streams_refusal_is_told_to_that_stream_alone(make_log):
    log, one, two = make_log(SMALL), Refusals(), Refusals()
    log.open("s1", one)
    log.open("s2", two)
    log.append("s1", deltas(500))
    await told(log, "s2", deltas(1))
    await until(lambda: bool(one.seen))
    assert two.seen == []


async def test_a_full_log_opens_no_stream_until_there_is_room_again(make_log):
    log = make_log(SMALL)
    log.open("s1", raising_refusal)
    await told(log, "s1", [*deltas(500), ended()])
    with pytest.raises(LogFullError, match="log_bytes_total=16384"):
        log.open("s2", raising_refusal)
    log.drop("s1")
    log.open("s2", raising_refusal)
    assert await everything(log, "s2") == []


# -- forgetting -----------------------------------------------------------------------------------


async def drop_known(log: Log) -> None:
    await told(log, "s1", [ended()])
    log.drop("s1")


async def drop_twice(log: Log) -> None:
    log.drop("s1")
    log.drop("s1")


async def never_opened(log: Log) -> None:
    log.drop("never")


GONE = [(drop_known, "s1"), (drop_twice, "s1"), (never_opened, "never")]


@pytest.mark.parametrize(("forget", "stream"), GONE)
async def test_an_unknown_stream_can_be_neither_followed_nor_read(log, forget, stream):
    await forget(log)
    with pytest.raises(UnknownStreamError, match=stream):
        log.follow(stream, Listener())
    with pytest.raises(UnknownStreamError, match=stream):
        await log.read(stream, 0, bytes_max=1)


async def test_leaving_a_dropped_stream_is_harmless(log):
    leave = log.follow("s1", Listener())
    log.drop("s1")
    leave()
    with pytest.raises(UnknownStreamError):
        log.follow("s1", Listener())


async def test_dropping_one_stream_leaves_the_others(log):
    log.open("s2", raising_refusal)
    await told(log, "s2", deltas(2))
    log.drop("s1")
    await told(log, "s2", deltas(1))
    assert len(await everything(log, "s2")) == 3
