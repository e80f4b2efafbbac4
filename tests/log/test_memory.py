"""The memory log: prompt, and honest about what it holds."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from finalstop.core.events import Entry, Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.log.contract import LogFullError, UnknownStreamError
from finalstop.log.memory import (
    EVENT_OVERHEAD_BYTES,
    LEAN_OVERHEAD_BYTES,
    PAGE_BYTES_MAX,
    PAGE_EVENTS,
    STREAM_OVERHEAD_BYTES,
    MemoryLog,
)
from finalstop.wire.anthropic import decode_event
from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import Frame, SSEDecoder
from tests import builders as b
from tests.log.followers import Listener, Refusals, deltas, ended


def opened(*streams: str, limits: Limits = DEFAULTS) -> MemoryLog:
    log = MemoryLog(limits)
    for stream in streams:
        log.open(stream, Refusals())
    return log


# -- promptness -----------------------------------------------------------------------------------


def test_followers_are_told_before_append_returns():
    log, listener = opened("s1"), Listener()
    log.follow("s1", listener)
    log.append("s1", deltas(2))
    assert listener.seqs == [1, 2]


def test_a_batch_is_told_as_one_batch():
    log, listener = opened("s1"), Listener()
    log.follow("s1", listener)
    log.append("s1", deltas(3))
    log.append("s1", [ended()])
    assert [len(batch) for batch in listener.batches] == [3, 1]


async def test_a_follower_can_read_what_it_is_being_told():
    log = opened("s1")
    read: list[int] = []

    def look(_batch: object) -> None:
        # A coroutine that never suspends can be run to its end by hand.
        with pytest.raises(StopIteration) as answer:
            log.read("s1", 0, bytes_max=1 << 40).send(None)
        read.extend(entry.seq for entry in answer.value.value)

    log.follow("s1", Listener(look))
    log.append("s1", deltas(2))
    assert read == [1, 2]


@pytest.mark.parametrize("before", range(4))
async def test_what_is_read_after_following_and_what_is_told_do_not_overlap(before):
    log, listener = opened("s1"), Listener()
    for _ in range(before):
        log.append("s1", deltas(2))
    log.follow("s1", listener)
    read = [entry.seq for entry in await log.read("s1", 0, bytes_max=1 << 40)]
    log.append("s1", deltas(3))
    assert read + listener.seqs == list(range(1, 2 * before + 4))


def test_a_refusal_is_told_before_append_returns():
    refusals = Refusals()
    log = MemoryLog(Limits(log_bytes_total=16 * 1024, event_bytes=1024, stream_bytes=4096))
    log.open("s1", refusals)
    log.append("s1", deltas(500))
    assert [accepted for accepted, _ in refusals.seen] == [0]


def test_followers_of_a_stream_dropped_while_they_are_told_hear_that_batch_and_no_more():
    log, last = opened("s1"), Listener()
    log.follow("s1", Listener(lambda _batch: log.drop("s1")))
    log.follow("s1", last)
    log.append("s1", [ended()])
    assert last.seqs == [1]
    assert log.size_bytes == 0


def test_a_follower_that_breaks_also_when_told_so_costs_nobody_else():
    class Hopeless(Listener):
        def broken(self, error: Exception) -> None:
            raise RuntimeError("told so") from error

    def fall(_batch: object) -> None:
        raise ValueError("fell")

    log, last = opened("s1"), Listener()
    log.follow("s1", Hopeless(fall))
    log.follow("s1", last)
    log.append("s1", deltas(1))
    log.append("s1", [ended()])
    assert last.seqs == [1, 2]


# -- the books ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["word", "x" * 10_000])
def test_of_a_delta_its_json_alone_is_counted(text):
    log, events = opened("s1"), deltas(3, text)
    log.append("s1", events)
    kept = sum(len(event.json) + LEAN_OVERHEAD_BYTES for event in events)
    assert log.size_bytes == STREAM_OVERHEAD_BYTES + kept


def test_deltas_together_take_what_they_take_one_by_one():
    one, other, events = opened("s1"), opened("s1"), deltas(3)
    one.append("s1", events)
    other.append("s1", [b.together(*events)])
    assert other.size_bytes == one.size_bytes


def test_deltas_together_are_refused_together():
    log = MemoryLog(Limits(log_bytes_total=16 * 1024, event_bytes=1024, stream_bytes=4096))
    refusals, (one, two) = Refusals(), deltas(2, "x" * 4000)
    log.open("s1", refusals)
    log.append("s1", [one])
    log.append("s1", [b.together(one, two)])
    assert [accepted for accepted, _ in refusals.seen] == [1]


def test_an_event_that_is_kept_whole_counts_the_strings_that_repeat_its_json():
    log = opened("s1")
    odd, head = replace(b.text_delta("x" * 10_000), lean=False), b.message_start()
    log.append("s1", [odd])
    assert log.size_bytes > STREAM_OVERHEAD_BYTES + len(odd.json) + 10_000
    before = log.size_bytes
    log.append("s1", [head])
    assert log.size_bytes == before + len(head.json) + EVENT_OVERHEAD_BYTES


async def test_a_delta_that_its_json_alone_does_not_give_again_is_kept_as_it_was():
    log = opened("s1")
    half_a_pair = b'{"type":"content_block_delta","index":0,"delta":{"type":"x","text":"\\ud800"}}'
    odd = decode_event(Frame("", half_a_pair, "", malformed=False))
    assert isinstance(odd, Event)
    log.append("s1", [odd, b.text_delta("word")])
    kept = await log.read("s1", 0, bytes_max=1 << 20)
    assert [entry.event for entry in kept] == [odd, b.text_delta("word")]
    assert [isinstance(it.event, Event) and it.event.lean for it in kept] == [False, True]


async def test_what_is_nested_deep_is_read_also_from_further_down_the_stack():
    log = opened("s1")
    inner = b"[" * 900 + b"]" * 900
    deep = b'{"type":"content_block_delta","index":0,"delta":{"type":"x"},"y":' + inner + b"}"
    event = decode_event(Frame("", deep, "", malformed=False))
    assert isinstance(event, Event)
    log.append("s1", [event])

    async def read_from(frames: int) -> Sequence[Entry]:
        if frames:
            return await read_from(frames - 1)
        return await log.read("s1", 0, bytes_max=1 << 20)

    assert [entry.event for entry in await read_from(200)] == [event]


LONG = b.text_delta("x" * (PAGE_BYTES_MAX // PAGE_EVENTS))
WORDS = deltas(PAGE_EVENTS - 1)
PAGED = {
    "less than a page": WORDS,
    "one page of words": deltas(PAGE_EVENTS),
    "pages of words and a rest": deltas(5 * PAGE_EVENTS + 3),
    "something else among words": [*WORDS, b.block_stop(), *deltas(2 * PAGE_EVENTS), b.ping()],
    "words too long for lines": [LONG] * (3 * PAGE_EVENTS),
    "as much as lines may be": [*deltas(PAGE_EVENTS), *WORDS, b.text_delta("é" * 1000)],
}


@pytest.mark.parametrize("events", PAGED.values(), ids=PAGED)
@pytest.mark.parametrize("at_once", [1, 7, 1000])
async def test_a_page_is_read_from_anywhere_and_however_it_was_filled(events, at_once):
    log = opened("s1")
    for start in range(0, len(events), at_once):
        log.append("s1", [*events[start : start + at_once]])
    for after in range(len(events) + 1):
        whole = await log.read("s1", after, bytes_max=1 << 40)
        assert [entry.event for entry in whole] == events[after:]
        assert [entry.seq for entry in whole] == [*range(after + 1, len(events) + 1)]
        assert await log.read("s1", after, bytes_max=1) == whole[:1]
    for beyond in (len(events) + PAGE_EVENTS, 10**20):
        assert await log.read("s1", beyond, bytes_max=1) == []


def test_words_of_a_whole_page_take_little_beside_their_json():
    log, words = opened("s1"), deltas(100 * PAGE_EVENTS)
    json_bytes = sum(len(word.json) for word in words)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for word in words:
            log.append("s1", [replace(word, json=bytes(bytearray(word.json)))])
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < json_bytes + 8 * len(words)


def test_dropping_every_stream_brings_the_books_to_zero():
    log = opened("s1", "s2", "s3")
    log.append("s1", deltas(10))
    log.append("s2", [*deltas(10, "x" * 5000), ended()])
    sizes = [log.size_bytes]
    for stream in ("s1", "s2", "s2", "never", "s3"):
        log.drop(stream)
        sizes.append(log.size_bytes)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0


def test_what_is_refused_is_not_counted():
    log = opened("s1", limits=Limits(log_bytes_total=16384, event_bytes=1024, stream_bytes=4096))
    before = log.size_bytes
    log.append("s1", deltas(500))
    assert log.size_bytes == before


def test_the_bound_is_kept_over_all_streams_together_but_for_last_words():
    limits = Limits(log_bytes_total=64 * 1024, event_bytes=1024, stream_bytes=4096)
    log, refusals = MemoryLog(limits), Refusals()
    for n in range(4):
        log.open(f"s{n}", refusals)
    for n in range(1000):
        log.append(f"s{n % 4}", deltas(1))
        assert log.size_bytes <= limits.log_bytes_total
    assert refusals.seen
    last_words = [ended()] * 4
    for n, last in enumerate(last_words):
        log.append(f"s{n}", [last])
    assert log.size_bytes <= limits.log_bytes_total + 4 * EVENT_OVERHEAD_BYTES


def test_a_log_is_crowded_from_nine_tenths_of_its_bound_on():
    log = MemoryLog(Limits(log_bytes_total=10 * STREAM_OVERHEAD_BYTES, event_bytes=1024))
    crowded = []
    for n in range(10):
        crowded.append(log.crowded)
        log.open(f"s{n}", Refusals())
    assert crowded == [False] * 9 + [True]
    log.drop("s0")
    log.drop("s1")
    assert not log.crowded


def test_streams_without_a_word_fill_the_log_too():
    log = MemoryLog(Limits(log_bytes_total=1024 * 1024))
    fitting = -(-1024 * 1024 // STREAM_OVERHEAD_BYTES)
    for n in range(fitting):
        log.open(f"s{n}", Refusals())
    with pytest.raises(LogFullError, match="log_bytes_total=1048576"):
        log.open("one more", Refusals())


def test_what_was_dropped_is_unknown():
    log = opened("s1")
    log.drop("s1")
    with pytest.raises(UnknownStreamError, match="s1"):
        log.follow("s1", Listener())


def test_a_dropped_stream_leaves_nothing_behind():
    log, listener = opened("s1"), Listener()
    log.follow("s1", listener)
    gone = weakref.ref(listener)
    log.append("s1", [ended()])
    log.drop("s1")
    del listener
    gc.collect()
    assert gone() is None


# -- what an entry really takes -------------------------------------------------------------------

TEXTS = {
    "a word": "word ",
    "an umlaut": "wörter ",
    "a wave": "🌊 sea",
    "a line": "It was salt all the way down. " * 2,
    "a line with a wave": "🌊 It was salt all the way down. " * 2,
    "two hundred letters": "x" * 200,
    "a thousand letters": "x" * 1000,
    "a thousand letters after a wave": "🌊" + "x" * 1000,
    "a thousand signs": "世" * 1000,
    "a page": "x" * 100_000,
    "a page after a wave": "🌊" + "x" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_books_are_never_much_below_what_the_entries_really_take(text):
    """Goal: log_bytes_total bounds real memory. Method: tracemalloc over decoded entries."""
    count = 200 if len(text) < 10_000 else 5
    wire, decoder = encode_frame(b.text_delta(text).json), SSEDecoder()
    log = opened("s1")
    held_before = log.size_bytes
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            [event] = map(decode_event, decoder.feed(wire))
            assert isinstance(event, Event)
            log.append("s1", [event])
            del event
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    real, counted = after - before, log.size_bytes - held_before
    assert counted >= real * 0.8
    assert counted <= real * 1.7
