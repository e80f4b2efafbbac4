"""Decompression: any cut gives the same bytes, a bomb is cheap, a missing end is seen."""

import gzip
import random
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.inflate import PIECE_BYTES, InflateError, Inflater, inflater_for

MIB = 1024 * 1024
TEXT = b'data: {"type":"content_block_delta","delta":{"text":"salt"}}\n\n' * 40
NOISE = random.Random(7).randbytes(100_000)


def gz(data):
    return gzip.compress(data, mtime=0)


def raw_deflate(data):
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


# name, coding, compressed, plain
BODIES = [
    ("gzip", "gzip", gz(TEXT), TEXT),
    ("gzip of nothing", "gzip", gz(b""), b""),
    ("two members", "gzip", gz(TEXT) + gz(b"more"), TEXT + b"more"),
    ("an empty member between", "gzip",
     gz(b"a") + gz(b"") + gz(b"b"), b"ab"),
    ("zero padding", "gzip", gz(TEXT) + bytes(50), TEXT),
    ("padding, then a member", "gzip", gz(b"a") + bytes(9) + gz(b"b"), b"ab"),
    ("noise", "gzip", gz(NOISE), NOISE),
    ("far more out than in", "gzip", gz(bytes(MIB)), bytes(MIB)),
    ("exactly one piece", "gzip", gz(bytes(PIECE_BYTES)), bytes(PIECE_BYTES)),
    ("deflate as the RFC says", "deflate", zlib.compress(TEXT), TEXT),
    ("deflate as many send it", "deflate", raw_deflate(TEXT), TEXT),
    ("stored, not compressed", "deflate", zlib.compress(TEXT, 0), TEXT),
]  # fmt: skip
WHOLE = [pytest.param(*row[1:], id=row[0]) for row in BODIES]


def inflate(coding, chunks, bytes_max=64 * MIB):
    inflater = Inflater(coding, bytes_max=bytes_max)
    pieces = [piece for chunk in chunks for piece in inflater.feed(chunk)]
    return b"".join(pieces), inflater.finished


def cut_at(data, *places):
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(("coding", "compressed", "plain"), WHOLE)
def test_a_whole_body_comes_out_whole_and_finished(coding, compressed, plain):
    assert inflate(coding, [compressed]) == (plain, True)


@pytest.mark.parametrize(("coding", "compressed", "plain"), WHOLE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_where_the_socket_cuts_changes_nothing(coding, compressed, plain, data):
    places = data.draw(st.lists(st.integers(0, len(compressed)), max_size=6))
    assert inflate(coding, cut_at(compressed, *places)) == (plain, True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_byte_by_byte_is_the_same(coding):
    compressed = gz(TEXT) if coding == "gzip" else raw_deflate(TEXT)
    assert inflate(coding, [bytes([byte]) for byte in compressed]) == (TEXT, True)


@pytest.mark.parametrize(("coding", "compressed", "plain"), WHOLE)
def test_no_piece_is_empty_or_larger_than_its_bound(coding, compressed, plain):
    pieces = list(Inflater(coding, bytes_max=64 * MIB).feed(compressed))
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


# coding, compressed: cut everywhere short of its end
CUT = [("gzip", gz(TEXT)), ("deflate", zlib.compress(TEXT))]


@pytest.mark.parametrize(("coding", "compressed"), CUT)
def test_a_body_cut_anywhere_before_its_end_is_not_finished(coding, compressed):
    for end in range(len(compressed)):
        plain, finished = inflate(coding, [compressed[:end]])
        assert not finished
        assert TEXT.startswith(plain)


def test_a_second_member_that_is_cut_is_not_finished():
    compressed = gz(b"a") + gz(b"b")[:-1]
    assert inflate("gzip", [compressed]) == (b"ab", False)


# name, coding, chunks, what the message says
WRONG = [
    ("no gzip", "gzip", [b"data: hello\n\n"], "not valid gzip"),
    ("a broken middle", "gzip", [gz(TEXT)[:30] + b"\xff" * 600], "not valid gzip"),
    ("a wrong checksum", "gzip", [gz(TEXT)[:-8] + bytes(8)], "not valid gzip"),
    ("text after the end", "gzip", [gz(TEXT) + b"and more"], "not valid gzip"),
    ("text after, in the next read", "gzip", [gz(TEXT), b"more"], "not valid gzip"),
    ("more after deflate", "deflate", [zlib.compress(TEXT), b"x"], "after the end"),
    ("no deflate", "deflate", [b"\xff\xff\xff"], "not valid deflate"),
]


@pytest.mark.parametrize(
    ("coding", "chunks", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_what_is_not_valid_is_refused_with_a_reason(coding, chunks, says):
    with pytest.raises(InflateError, match=says):
        inflate(coding, chunks)


def test_the_cap_is_exact_and_named():
    compressed = gz(bytes(MIB))
    assert inflate("gzip", [compressed], bytes_max=MIB)[1]
    with pytest.raises(InflateError, match=f"more than the cap of {MIB - 1} bytes"):
        inflate("gzip", [compressed], bytes_max=MIB - 1)


def test_a_bomb_costs_pieces_and_not_its_size():
    bomb = gz(bytes(8 * MIB))
    inflater = Inflater("gzip", bytes_max=2 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(InflateError, match="cap"):
            for _ in inflater.feed(bomb):
                pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * PIECE_BYTES


def test_what_is_not_asked_for_is_not_decompressed():
    pieces = Inflater("gzip", bytes_max=64 * MIB).feed(gz(bytes(8 * MIB)))
    assert len(next(pieces)) == PIECE_BYTES


# content-encoding, what is made of it
NAMES = [("", None), ("identity", None), (" Identity ", None), ("gzip", b"x"), ("GZIP", b"x"),
         ("x-gzip", b"x")]  # fmt: skip


@pytest.mark.parametrize(("name", "plain"), NAMES)
def test_the_codings_are_known_by_all_their_names(name, plain):
    inflater = inflater_for(ResponseHead(200, {"content-encoding": name}), bytes_max=MIB)
    if plain is None:
        assert inflater is None
    else:
        assert inflater is not None
        assert list(inflater.feed(gz(plain))) == [plain]


def test_deflate_is_known_by_its_name():
    inflater = inflater_for(ResponseHead(200, {"content-encoding": "deflate"}), bytes_max=MIB)
    assert inflater is not None
    assert list(inflater.feed(zlib.compress(b"x"))) == [b"x"]


def test_no_content_encoding_is_no_compression():
    assert inflater_for(ResponseHead(200, {}), bytes_max=MIB) is None


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "compress"])
def test_another_coding_is_refused_by_its_name(name):
    with pytest.raises(InflateError, match=name):
        inflater_for(ResponseHead(200, {"content-encoding": name}), bytes_max=MIB)
