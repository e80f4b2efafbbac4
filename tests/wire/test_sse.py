"""The SSE decoder. Goal: frames depend on the bytes alone, never on how they were cut.

Method: the corpus, each stream fed whole, byte by byte, at every split and (short ones) at every
pair of splits; then tables for what a corpus cannot say: when an event is out, how a failure
reads.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from finalstop.wire import sse
from finalstop.wire.sse import Frame, Leftover, SSEDecoder
from tests.wire.sse_corpus import Case, cases, decode_chunks, limits_of
from tests.wire.sse_oracle import read_stream

CASES = cases()
# Pairs of splits grow with the square: up to 820 of them.
PAIRS_BYTES_MAX = 40


def case_name(case: Case) -> str:
    return case.name


def byte_by_byte(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


# --- the corpus ------------------------------------------------------------------------------


def test_the_corpus_is_as_large_as_promised_and_its_names_are_unique():
    names = [case.name for case in CASES]
    assert len(names) >= 130
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_stream_fed_whole_gives_its_frames(case):
    assert decode_chunks([case.stream], **case.limits) == case.expected


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_stream_fed_byte_by_byte_gives_the_same_frames(case):
    chunks = byte_by_byte(case.stream)
    assert decode_chunks(chunks, **case.limits) == case.expected


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_stream_split_anywhere_gives_the_same_frames(case):
    for at in range(len(case.stream) + 1):
        chunks = [case.stream[:at], case.stream[at:]]
        assert decode_chunks(chunks, **case.limits) == case.expected, chunks


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.stream) <= PAIRS_BYTES_MAX], ids=case_name
)
def test_a_short_stream_split_at_any_two_places_gives_the_same_frames(case):
    for one, two in combinations(range(len(case.stream) + 1), 2):
        chunks = [case.stream[:one], case.stream[one:two], case.stream[two:]]
        assert decode_chunks(chunks, **case.limits) == case.expected, chunks


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_the_naive_reader_agrees_with_the_corpus(case):
    event_bytes_max, event_lines_max = limits_of(case)
    outcome = read_stream(
        case.stream, event_bytes_max=event_bytes_max, event_lines_max=event_lines_max
    )
    assert outcome == case.expected


# --- when ------------------------------------------------------------------------------------

# stream, and how many of its bytes must be in before its first frame is out
MOMENTS = [
    (b"data: a\n\n",               9),
    (b"data: a\r\r",               9),
    (b"data: a\r\n\r\n",          10),  # at the CR of the blank line
    (b"data: a\n\r\n",             9),
    (b"data: a\r\n\n",            10),
    (b"\n\ndata: a\n\n",          11),
    (b"\xef\xbb\xbfdata: a\r\r",  12),
    (b": c\n\ndata: a\n\n",       14),
    (b"id: 1\n\ndata\n\n",        13),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "bytes_needed"), MOMENTS)
def test_an_event_is_out_with_the_byte_that_makes_its_blank_line(stream, bytes_needed):
    decoder = SSEDecoder()
    seen = [len(decoder.feed(byte)) for byte in byte_by_byte(stream)]
    assert seen.index(1) + 1 == bytes_needed
    assert sum(seen) == 1


def test_an_id_counts_at_its_blank_line_and_not_before():
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n")
    assert decoder.last_event_id == ""
    decoder.feed(b"\n")
    assert decoder.last_event_id == "1"


def test_an_empty_chunk_changes_nothing():
    decoder = SSEDecoder()
    chunks = [b"\xef", b"\xbb\xbfdata: a\r", b"\ndata: b\r", b"\n\r", b"\ndata: c\n", b"\n"]
    frames = [frame for chunk in chunks for it in (b"", chunk, b"") for frame in decoder.feed(it)]
    assert [frame.data for frame in frames] == [b"a\nb", b"c"]
    assert decoder.close() is None


# --- ending and failing ----------------------------------------------------------------------

# limits, chunks, the failure in words
FAILURES = [
    (
        {"event_bytes_max": 10},
        [b"data: 1234567"],
        "an event passed event_bytes_max: 13 bytes so far, 10 allowed",
    ),
    (
        {"event_bytes_max": 10},
        [b"data: 1234", b"5", b"6"],
        "an event passed event_bytes_max: 11 bytes so far, 10 allowed",
    ),
    (
        {"event_lines_max": 2},
        [b"data: 1\ndata: 2\ndata: 3\n", b"\n"],
        "an event passed event_lines_max: 3 lines so far, 2 allowed",
    ),
]


@pytest.mark.parametrize(("limits", "chunks", "failure"), FAILURES)
def test_a_failure_says_which_limit_and_by_how_much(limits, chunks, failure):
    decoder = SSEDecoder(**limits)
    assert decoder.failure is None
    assert [frame for chunk in chunks for frame in decoder.feed(chunk)] == []
    assert decoder.failure == failure


@pytest.mark.parametrize(("limits", "chunks", "failure"), FAILURES)
def test_after_a_failure_nothing_comes_out_and_nothing_changes(limits, chunks, failure):
    decoder = SSEDecoder(**limits)
    for chunk in [*chunks, b"\n\n", b"id: 1\nretry: 5\ndata: a\n\n", b"data: b\n\n"]:
        assert decoder.feed(chunk) == []
    assert decoder.close() is None
    assert (decoder.failure, decoder.last_event_id, decoder.retry_ms) == (failure, "", None)


def test_frames_before_a_failure_in_the_same_chunk_are_returned():
    decoder = SSEDecoder(event_lines_max=2)
    decoder.feed(b"\n")
    frames = decoder.feed(b"data: a\n\ndata: 1\ndata: 2\ndata: 3\n\ndata: b\n\n")
    assert frames == [Frame("", b"a", "", malformed=False)]
    assert decoder.failure is not None


def test_after_the_end_nothing_comes_out_and_the_leftover_is_told_once():
    decoder = SSEDecoder()
    decoder.feed(b"data: a\n\ndata: b\n")
    assert decoder.close() == Leftover(8, b"data: b\n")
    assert decoder.close() is None
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: c\n\n") == []


@pytest.mark.parametrize("limits", [{"event_bytes_max": 0}, {"event_lines_max": -1}])
def test_a_limit_below_one_is_refused_by_name(limits):
    (name,) = limits
    with pytest.raises(ValueError, match=f"{name}.* must be at least 1, .*{limits[name]}"):
        SSEDecoder(**limits)


def test_the_names_kept_are_bounded_in_number_and_length():
    decoder = SSEDecoder()
    for number in range(2 * sse._EVENT_LINES_KEPT_MAX):
        (frame,) = decoder.feed(b"event: name-%d\ndata: a\n\n" % number)
        assert frame.event == f"name-{number}"
        assert len(sse._EVENT_OF_LINE) <= sse._EVENT_LINES_KEPT_MAX
    decoder.feed(b"event: " + b"x" * 1000 + b"\ndata: a\n\n")
    assert max(map(len, sse._EVENT_OF_LINE)) <= sse._EVENT_LINE_KEPT_BYTES_MAX


def test_text_shows_the_data_with_the_damage_marked():
    (frame,) = SSEDecoder().feed(b"data: a\xffb\n\n")
    assert frame.malformed
    assert frame.text() == "a\N{REPLACEMENT CHARACTER}b"


def test_a_chunk_may_be_read_elsewhere_only_between_two_events_and_if_it_is_short_enough():
    decoder = SSEDecoder(event_bytes_max=20)
    assert not decoder.would_begin(b"data: a\n\n")  # the first may begin with a byte order mark
    decoder.feed(b"data: a\n\n")
    assert decoder.would_begin(b"x" * 20)
    assert not decoder.would_begin(b"x" * 21)
    decoder.feed(b"data: ")
    assert not decoder.would_begin(b"data: a\n\n")
    decoder.feed(b"a\n\n")
    assert decoder.would_begin(b"data: a\n\n")
    decoder.close()
    assert not decoder.would_begin(b"data: a\n\n")
