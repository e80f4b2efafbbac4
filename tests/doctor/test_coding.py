"""Content codings: what can be read when, and what is said where they are spoilt."""

from __future__ import annotations

import sys
import zlib

import pytest

from finalstop.doctor.coding import Decoder, accepted_codings
from tests.doctor import fake_brotli

FRAMES = [b'data: {"text":"salt"}\n\n' * 40, b"data: end\n\n", b"data: bye\n\n"]
MIB = 1 << 20


def zlibbed(bits):
    press = zlib.compressobj(wbits=bits)
    pieces = [press.compress(frame) + press.flush(zlib.Z_SYNC_FLUSH) for frame in FRAMES]
    return [*pieces, press.flush()]


@pytest.fixture(autouse=True)
def brotli(monkeypatch):
    """With the stand-in; `None` in its place is an environment without it."""
    monkeypatch.setitem(sys.modules, "brotli", fake_brotli)
    monkeypatch.setattr("importlib.util.find_spec", sys.modules.get)


# content-encoding, the pieces in which it comes
FLUSHED = [
    ("", [*FRAMES, b""]),
    ("identity", [*FRAMES, b""]),
    ("gzip", zlibbed(31)),
    ("X-GZIP", zlibbed(31)),
    ("deflate", zlibbed(15)),
    ("deflate", zlibbed(-15)),
    ("br", zlibbed(15)),
]
NAMES = ["none", "identity", "gzip", "x-gzip", "deflate", "raw deflate", "br"]


@pytest.mark.parametrize(("encoding", "pieces"), FLUSHED, ids=NAMES)
def test_a_flushed_frame_can_be_read_when_it_comes(encoding, pieces):
    decoder = Decoder(encoding, bytes_max=MIB)
    assert [decoder.decode(piece) for piece in pieces] == [*FRAMES, b""]
    decoder.finish()
    assert decoder.failure == ""


@pytest.mark.parametrize(("encoding", "pieces"), FLUSHED, ids=NAMES)
def test_chunk_boundaries_never_change_the_text(encoding, pieces):
    decoder = Decoder(encoding, bytes_max=MIB)
    whole = b"".join(pieces)
    assert b"".join(decoder.decode(whole[i : i + 1]) for i in range(len(whole))) == b"".join(FRAMES)


# content-encoding, bytes, what comes out, what is said
SPOILT = [
    ("gzip", b"no gzip", b"no gzip", "incorrect header"),
    ("gzip", b"".join(zlibbed(31))[:-9], b"".join(FRAMES), "breaks off"),
    ("br", b"\xff\xff no brotli", b"\xff\xff no brotli", "content-encoding br"),
    ("zstd", b"(zstd)", b"(zstd)", "zstd: cannot be undone"),
    ("deflate", b"no deflate", b"no deflate", "content-encoding deflate"),
]


@pytest.mark.parametrize(("encoding", "data", "plain", "says"), SPOILT)
def test_what_cannot_be_undone_is_handed_on_and_said(encoding, data, plain, says):
    decoder = Decoder(encoding, bytes_max=MIB)
    assert decoder.decode(data) == plain
    decoder.finish()
    assert says in decoder.failure


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
def test_a_bomb_does_not_grow_beyond_the_bound(encoding):
    bomb = b"salt " * MIB
    packed = {"": bomb, "gzip": zlib.compress(bomb, wbits=31), "br": zlib.compress(bomb)}
    decoder = Decoder(encoding, bytes_max=1000)
    assert decoder.decode(packed[encoding]) == bomb[:1000]
    assert decoder.full


def test_brotli_is_asked_for_only_where_it_can_be_read(monkeypatch):
    assert accepted_codings() == "gzip, deflate, br"
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert accepted_codings() == "gzip, deflate"
    assert "cannot be undone" in Decoder("br", bytes_max=1).failure
