"""Server-Sent Events: frames to bytes. `finalstop.wire.sse` is the other direction.

What is written here reads back as the same frame under the WHATWG HTML standard, section
"Server-sent events" (read 2026-11-22). It may not know what the data means, or who reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from finalstop.wire.sse import RETRY_MS_MAX

_LF: Final = 0x0A
_CR: Final = 0x0D


def encode_frame(
    data: bytes, *, event: str = "", id: str = "", retry_ms: int | None = None
) -> bytes:
    """Return the bytes of one frame: retry, id, event, data, and the blank line.

    `data` must be UTF-8 and goes out untouched, but for its line ends: SSE cannot carry CR, so
    each LF, CR and CRLF starts another `data:` line and is read back as LF. An empty `event` or
    `id` leaves that field out.

    Raises:
        ValueError: `event` or `id` is not 1 to 128 of the characters A-Z a-z 0-9 . _ : -, or
            `retry_ms` is negative or above RETRY_MS_MAX.
    """
    if _LF in data or _CR in data:
        data = b"\ndata: ".join(_lines(data))
    head = _event_line(event) if event else b""
    if id:
        head = b"id: " + _token("id", id) + b"\n" + head
    if retry_ms is not None:
        head = b"retry: %d\n" % _checked_retry_ms(retry_ms) + head
    return b"%bdata: %b\n\n" % (head, data)


def encode_numbered(data: bytes, event: str, epoch: int, seq: int) -> bytes:
    """Return the frame of a log's entry: as `encode_frame` with the id `<epoch>-<seq>`.

    Raises:
        ValueError: as `encode_frame`.
    """
    if _LF in data or _CR in data:
        data = b"\ndata: ".join(_lines(data))
    return _numbered_frame(event, epoch) % (seq, data)


def encode_run(datas: Sequence[bytes], event: str, epoch: int, first: int) -> bytes:
    """Return the frames of several events, numbered from `first`; each data is one line.

    Raises:
        ValueError: as `encode_frame`.
    """
    frame = _numbered_frame(event, epoch)
    if len(datas) == 1:
        return frame % (first, datas[0])
    numbered = chain.from_iterable(enumerate(datas, first))
    return frame * len(datas) % tuple(numbered)


def encode_comment(text: str) -> bytes:
    """Return a comment and a blank line: bytes that show life and that no reader dispatches.

    To be written between frames only. Line breaks in `text` start another comment line; a lone
    surrogate becomes "?".
    """
    lines = _lines(text.encode("utf-8", "replace"))
    return b": " + b"\n: ".join(lines) + b"\n\n"


def _lines(data: bytes) -> list[bytes]:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


# As many as a relay can ever name: three formats of a few dozen events.
@lru_cache(maxsize=256)
def _event_line(event: str) -> bytes:
    return b"event: %b\n" % _token("event", event)


@lru_cache(maxsize=256)
def _numbered_frame(event: str, epoch: int) -> bytes:
    """What is the same in all frames of a name; to be filled with a number and data."""
    named = _event_line(event) if event else b""
    return b"id: %d-%%d\n%bdata: %%b\n\n" % (epoch, named)


_is_token: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}").fullmatch


def _token(field: str, value: str) -> bytes:
    if _is_token(value) is None:
        shown = value if len(value) <= 64 else value[:64] + "..."
        raise ValueError(
            f"{field} must be 1 to 128 of the characters A-Z a-z 0-9 . _ : - , not {shown!r}"
        )
    return value.encode()


def _checked_retry_ms(retry_ms: int) -> int:
    if not 0 <= retry_ms <= RETRY_MS_MAX:
        raise ValueError(f"retry_ms must be 0 to {RETRY_MS_MAX}, not {retry_ms}")
    return retry_ms
