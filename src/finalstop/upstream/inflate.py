"""Decompression of a response body, piece by piece and within a bound.

We ask for `identity`, but some upstreams and proxies compress whatever was asked for. Pure: bytes
in, bytes out. It holds at most one slice of input and one piece of output at a time, so what a
compressed bomb costs is decided here and not by its author.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final, Literal

from finalstop.upstream.contract import ResponseHead

if TYPE_CHECKING:
    from zlib import _Decompress

# The largest output of one step. Small enough that a bomb is noticed early, large enough that
# honest text comes out in one piece per read.
PIECE_BYTES: Final = 64 * 1024
# zlib hands back what it has not used as a copy; small slices keep that copying linear.
SLICE_BYTES: Final = 16 * 1024

# RFC 9110 section 8.4.1: the codings, and the old name of one.
Coding = Literal["gzip", "deflate"]
_CODINGS: Final[dict[str, Coding]] = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_ZLIB_WINDOW: Final = zlib.MAX_WBITS
_RAW_WINDOW: Final = -zlib.MAX_WBITS
_ZLIB_HEADER_BYTES: Final = 2


class InflateError(Exception):
    """The body cannot be decompressed; the message says why, as one sentence for a person."""


class Inflater:
    """One body's decompression. Feed every chunk, then ask `finished`.

    Args:
        coding: "gzip" (any number of members) or "deflate" (with or without its zlib wrapping).
        bytes_max: the most that may come out; beyond it `feed` raises.
    """

    def __init__(self, coding: Coding, *, bytes_max: int) -> None:
        self._coding: Final = coding
        self._bytes_max: Final = bytes_max
        self._bytes_out = 0
        self._start = b""
        self._zlib: _Decompress | None = None
        if coding == "gzip":
            self._zlib = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def finished(self) -> bool:
        """Whether all input so far is whole: a body that ends while this is False was cut."""
        return self._zlib is not None and self._zlib.eof

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what `chunk` decompresses to, in pieces of at most `PIECE_BYTES`.

        Exhaust the iterator, or stop feeding: what is not asked for is not decompressed.

        Raises:
            InflateError: not valid in this coding, or more output than `bytes_max`.
        """
        for at in range(0, len(chunk), SLICE_BYTES):
            yield from self._feed_slice(chunk[at : at + SLICE_BYTES])

    def _feed_slice(self, data: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            self._start = data = self._start + data
            if len(data) < _ZLIB_HEADER_BYTES:
                return
            self._zlib = zlib.decompressobj(_deflate_window(data))
        while data:
            if self._zlib.eof:
                data = self._after_the_end(data)
                continue
            data = yield from self._run(self._zlib, data)

    def _after_the_end(self, data: bytes) -> bytes:
        """What follows a whole gzip stream: another member (RFC 1952 section 2.2), or padding."""
        if self._coding != "gzip":
            raise InflateError("the body goes on after the end of its deflate stream")
        data = data.lstrip(b"\0")
        if data:
            self._zlib = zlib.decompressobj(_GZIP_WINDOW)
        return data

    def _run(self, engine: _Decompress, data: bytes) -> Generator[bytes, None, bytes]:
        """Decompress to the end of `data` or of the stream; returns what is left of `data`."""
        while True:
            try:
                piece = engine.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise InflateError(f"the body is not valid {self._coding}: {error}") from error
            if piece:
                yield self._counted(piece)
            if engine.eof:
                return engine.unused_data
            data = engine.unconsumed_tail
            # A full piece may have left output behind even when all input is used.
            if not data and len(piece) < PIECE_BYTES:
                return b""

    def _counted(self, piece: bytes) -> bytes:
        self._bytes_out += len(piece)
        if self._bytes_out > self._bytes_max:
            raise InflateError(
                f"the {self._coding} body decompresses to more than the cap of "
                f"{self._bytes_max} bytes"
            )
        return piece


def inflater_for(head: ResponseHead, *, bytes_max: int) -> Inflater | None:
    """The way to read the body under this head; None when it is not compressed.

    Raises:
        InflateError: a coding, or a stack of codings, that we cannot undo.
    """
    name = head.headers.get("content-encoding", "").strip().lower()
    if name in {"", "identity"}:
        return None
    coding = _CODINGS.get(name)
    if coding is None:
        raise InflateError(
            f"the upstream sent content-encoding {name[:40]!r}; identity was asked for, gzip and "
            "deflate are understood"
        )
    return Inflater(coding, bytes_max=bytes_max)


def _deflate_window(start: bytes) -> int:
    """RFC 1950 says zlib-wrapped, many servers send it raw: the first two bytes tell."""
    wrapped = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2]) % 31 == 0
    return _ZLIB_WINDOW if wrapped else _RAW_WINDOW
