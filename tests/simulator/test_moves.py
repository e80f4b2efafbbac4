"""Moves: heads and chunks as bytes, and runs that stay lazy."""

import itertools
import zlib

import pytest

from finalstop.simulator.moves import (
    Begin,
    Close,
    Finish,
    Framing,
    Head,
    Say,
    Wait,
    chunk,
    compressed,
    filled,
    repeated,
)  # fmt: skip


@pytest.mark.parametrize(
    ("head", "wire", "reusable"),
    [
        (Head(200, "OK"), b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", True),
        (
            Head(529, "Overloaded", (("a", "b"),), Framing.LENGTH, 7),
            b"HTTP/1.1 529 Overloaded\r\na: b\r\ncontent-length: 7\r\n\r\n",
            True,
        ),
        (
            Head(200, "OK", framing=Framing.CONNECTION_END, version="HTTP/1.0"),
            b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n",
            False,
        ),
        (
            Head(200, "OK", framing=Framing.LENGTH, keep_alive=False),
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            False,
        ),
    ],
)
def test_a_head_is_written_with_what_ends_its_body(head, wire, reusable):
    assert head.encode() == wire
    assert head.reusable is reusable


def test_a_chunk_states_its_size_and_no_bytes_are_no_chunk():
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
    assert chunk(b"x", b";a=b") == b"1;a=b\r\nx\r\n"
    assert chunk(b"") == b""


def test_repetition_is_counted_from_its_time():
    assert list(repeated(b"p", every_s=0.5, seconds=1.0)) == [Say(b"p"), Wait(0.5)] * 2


@pytest.mark.parametrize("total", [0, 1, 65_535, 65_536, 200_001])
def test_filling_says_exactly_the_bytes_asked_for(total):
    said = b"".join(move.data for move in filled(b"salt ", total))
    assert len(said) == total
    assert said == (b"salt " * (total // 5 + 1))[:total]


def test_an_endless_run_costs_nothing_until_it_is_played():
    assert len(list(itertools.islice(filled(b"x", 1 << 50), 3))) == 3


def test_compressed_bytes_can_be_read_as_they_come_and_end_with_a_trailer():
    moves: list = list(
        compressed([Begin(Head(200, "OK")), Say(b"one"), Wait(1), Say(b"two"), Finish()])
    )
    inflate = zlib.decompressobj(wbits=31)
    assert inflate.decompress(moves[1].data) == b"one"
    assert moves[2] == Wait(1)
    assert inflate.decompress(moves[3].data) == b"two"
    assert inflate.decompress(moves[4].data) == b""
    assert inflate.eof
    assert moves[5] == Finish()


def test_a_compressed_body_says_so_and_cannot_state_the_length():
    begin, close = compressed([Begin(Head(200, "OK", framing=Framing.LENGTH, length=3)), Close()])
    assert isinstance(begin, Begin)
    assert begin.head.headers == (("content-encoding", "gzip"),)
    assert begin.head.framing is Framing.CHUNKED
    assert close == Close()
