"""Content codings, undone as the bytes arrive: when a frame can be read is what we measure.

Pure. What cannot be undone is handed on as it came, and `failure` says so once.
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from typing import Any, Final, Protocol

GZIP_WINDOW_BITS: Final = 31
ZLIB_WINDOW_BITS: Final = 15
RAW_WINDOW_BITS: Final = -15
_ZLIB_HEAD_BYTES: Final = 2


class _Unpacker(Protocol):
    def unpack(self, data: bytes, size_max: int) -> bytes: ...

    @property
    def done(self) -> bool: ...


def accepted_codings() -> str:
    """What we can undo, as the accept-encoding that a browser sends."""
    return ", ".join(name for name in ("gzip", "deflate", "br") if name != "br" or _brotli())


class Decoder:
    """Undoes one response's content-encoding.

    `bytes_max` bounds what comes out in all. After the last byte call `finish`. `failure` is empty
    while all is well.
    """

    def __init__(self, encoding: str, *, bytes_max: int) -> None:
        self.failure = ""
        self._encoding = encoding.strip().lower()
        self._left = bytes_max
        self._unpacker: _Unpacker | None = None
        if self._encoding not in {"", "identity"}:
            self._unpacker = _unpacker(self._encoding)
            if self._unpacker is None:
                self.failure = f"content-encoding {self._encoding}: cannot be undone here"

    @property
    def full(self) -> bool:
        """Whether as much has come out as may."""
        return self._left <= 0

    def decode(self, data: bytes) -> bytes:
        """What can be read now that these bytes have come."""
        plain = self._unpacked(data)[: self._left]
        self._left -= len(plain)
        return plain

    def finish(self) -> None:
        """The body is over: a compressed one that breaks off is noted."""
        if self._unpacker is not None and not self._unpacker.done:
            self.failure = f"content-encoding {self._encoding}: the compressed data breaks off"

    def _unpacked(self, data: bytes) -> bytes:
        if self._unpacker is None:
            return data
        try:
            return self._unpacker.unpack(data, self._left)
        except ValueError as bad:
            self.failure = f"content-encoding {self._encoding}: {bad}"
            self._unpacker = None
            return data


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)

    @property
    def done(self) -> bool:
        return self._zlib.eof

    def unpack(self, data: bytes, size_max: int) -> bytes:
        try:
            return self._zlib.decompress(data, max(size_max, 1))
        except zlib.error as bad:
            raise ValueError(str(bad)) from None


class _Deflate:
    """Deflate in both of the ways in which servers understand the word."""

    def __init__(self) -> None:
        self._held = b""
        self._unpacker: _Zlib | None = None

    @property
    def done(self) -> bool:
        return self._unpacker is not None and self._unpacker.done

    def unpack(self, data: bytes, size_max: int) -> bytes:
        if self._unpacker is None:
            data = self._held = self._held + data
            if len(data) < _ZLIB_HEAD_BYTES:
                return b""
            # RFC 9110, section 8.4.1.2: some servers send deflate without its zlib wrapper.
            is_wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._unpacker = _Zlib(ZLIB_WINDOW_BITS if is_wrapped else RAW_WINDOW_BITS)
        return self._unpacker.unpack(data, size_max)


class _Brotli:
    def __init__(self, brotli: Any) -> None:
        self._error = brotli.error
        self._brotli = brotli.Decompressor()

    @property
    def done(self) -> bool:
        return bool(self._brotli.is_finished())

    def unpack(self, data: bytes, size_max: int) -> bytes:
        try:
            plain: bytes = self._brotli.process(data, output_buffer_limit=max(size_max, 1))
        except self._error as bad:
            raise ValueError(str(bad)) from None
        return plain


def _unpacker(encoding: str) -> _Unpacker | None:
    match encoding:
        case "gzip" | "x-gzip":
            return _Zlib(GZIP_WINDOW_BITS)
        case "deflate":
            return _Deflate()
        case "br" if _brotli():
            return _Brotli(importlib.import_module("brotli"))
        case _:
            return None


def _brotli() -> bool:
    return importlib.util.find_spec("brotli") is not None
