"""A stand-in for the package `brotli`, whose data is really zlib's: same names, same contract.

The real one is not installed where the tests run, because the official SDK would use it, too.
"""

from __future__ import annotations

import zlib


class error(Exception):  # noqa: N801 - its name
    """What `process` raises."""


class Decompressor:
    """`process` gives at most about `output_buffer_limit` bytes."""

    def __init__(self):
        self._zlib = zlib.decompressobj()

    def process(self, data, *, output_buffer_limit):
        try:
            return self._zlib.decompress(data, output_buffer_limit)
        except zlib.error as bad:
            raise error(str(bad)) from None

    def is_finished(self):
        return self._zlib.eof
