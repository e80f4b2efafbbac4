"""Server-Sent Events: chunks to frames. `finalstop.wire.frames` is the other direction.

The decoder obeys the WHATWG HTML standard, section "Server-sent events", in full (read
2026-11-22; https://html.spec.whatwg.org/multipage/server-sent-events.html, the anchors below are
of that page). It may not know what the data means, who sent it, or how long the sender was silent.

How a chunk is read: every line end becomes LF, blocks are cut at blank lines, a block becomes a
frame. Each chunk is searched once; what waits for its blank line is kept apart and is never
searched again, so the work is linear in the bytes, however they were cut.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MIB: Final = 1024 * 1024

# The longest event we wait for. An answer's events are a few hundred bytes; the largest honest
# ones carry a whole document or image in base64, and the API's own limit on those is below this.
EVENT_BYTES_MAX: Final = 16 * MIB

# The most lines one event may have. Real events have two or three; pretty-printed JSON has
# thousands. A block of millions of empty lines would hold everybody up while it is read.
EVENT_LINES_MAX: Final = 65_536

# A larger `retry` is taken as this one: the last integer that a JavaScript number holds exactly.
RETRY_MS_MAX: Final = 2**53 - 1

# How much of a discarded event is reported: enough to recognise it, too little to leak an answer.
LEFTOVER_HEAD_BYTES: Final = 64

_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 0x0A
_CR: Final = 0x0D

# `event` lines seen lately and the names in them: a stream repeats a handful of them thousands of
# times. Emptied when full, so a sender who invents names costs only time, and only its own.
_EVENT_OF_LINE: Final[dict[bytes, str]] = {}
_EVENT_LINES_KEPT_MAX: Final = 256
_EVENT_LINE_KEPT_BYTES_MAX: Final = 128


class Frame(Struct, frozen=True, gc=False):
    """One block that was dispatched: what a browser would hand to a listener, before decoding.

    `event` is "" when the block named none (a browser would say "message"). `data` holds the data
    lines joined by LF. `id` is the last event id in force at dispatch. `malformed` says that the
    block held bytes that are not UTF-8, anywhere in it; that is never fatal, but it is data loss.
    """

    event: str
    data: bytes
    id: str
    malformed: bool

    def text(self) -> str:
        """Return the data as text; bytes that are not UTF-8 become U+FFFD."""
        return self.data.decode("utf-8", "replace")


class Leftover(Struct, frozen=True):
    """A block that the end of the stream cut off before its blank line; it was not dispatched.

    `bytes_discarded` counts each line end, CRLF too, as one byte; `head` is how the block began.
    """

    bytes_discarded: int
    head: bytes


class SSEDecoder:
    """Cut chunks, as the socket gave them, into frames. One decoder reads one stream.

    Between two calls it holds at most `event_bytes_max` bytes (and an eighth, as room to grow).
    Those bytes are what stands between two blank lines: comments and unknown fields count too,
    the blank line does not, and each line end, CRLF too, counts as one.

    Raises:
        ValueError: a limit is below 1.
    """

    __slots__ = (
        "_after_cr", "_at_block_start", "_closed", "_event_bytes_max", "_event_lines_max",
        "_last_event_id", "_maybe_bom", "_pending", "_retry_ms", "failure",
    )  # fmt: skip

    def __init__(
        self,
        *,
        event_bytes_max: int = EVENT_BYTES_MAX,
        event_lines_max: int = EVENT_LINES_MAX,
    ) -> None:
        if event_bytes_max < 1 or event_lines_max < 1:
            raise ValueError(
                "event_bytes_max and event_lines_max must be at least 1, "
                f"not {event_bytes_max} and {event_lines_max}"
            )
        self.failure: str | None = None
        """Which limit the stream passed and by how much. Once set, the decoder is inert."""
        self._event_bytes_max = event_bytes_max
        self._event_lines_max = event_lines_max
        self._last_event_id = ""
        self._retry_ms: int | None = None
        self._maybe_bom: bytes | None = b""  # None once the start of the stream is behind us
        self._after_cr = False
        self._pending = bytearray()  # an open block, line ends already LF; no blank line in it
        self._closed = False
        self._at_block_start = False  # nothing pending, nothing to remember: the short way is open

    @property
    def last_event_id(self) -> str:
        """The id a browser would send as `Last-Event-ID`; "" if none is in force."""
        return self._last_event_id

    @property
    def retry_ms(self) -> int | None:
        """The reconnection time the stream asked for; None if it asked for none.

        An open block's `retry` is heeded when the block is complete, or at `close`.
        """
        return self._retry_ms

    def would_begin(self, chunk: bytes) -> bool:
        """Whether `chunk` begins between two events, and no event in it can be too long.

        Who knows that such a chunk holds whole events alone, and no `id` and no `retry`, need not
        feed it: the decoder would be as it was.
        """
        return self._at_block_start and len(chunk) <= self._event_bytes_max

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames whose blank line is in, in order. Never raises for what was sent.

        After each call look at `failure`; the frames returned with it came before it. After a
        failure, and after `close`, bytes are ignored.
        """
        # The usual chunk: one or more whole blocks, lines ended by LF.
        if self.would_begin(chunk) and chunk[-2:] == b"\n\n" and _CR not in chunk:
            blocks = chunk.split(b"\n\n")
            blocks.pop()  # what follows the last blank line: nothing
            return self._read_blocks(blocks)
        return self._feed_any(chunk)

    def close(self) -> Leftover | None:
        """Say that the stream ended. Return the event it cut off, if any; call it once.

        #event-stream-interpretation: at the end of the file pending data is discarded. After a
        failure, and when called again, there is nothing left to report.
        """
        if self.failure is not None or self._closed:
            return None
        rest = bytes(self._pending) or self._maybe_bom or b""
        self._closed = True
        self._forget_pending()
        # A `retry` line counts as soon as its line has ended; an id waits for the blank line.
        whole_lines = rest.split(b"\n", self._event_lines_max)[:-1]
        self._read_fields(whole_lines)
        return Leftover(len(rest), rest[:LEFTOVER_HEAD_BYTES]) if rest else None

    def _feed_any(self, chunk: bytes) -> list[Frame]:
        """Read a chunk that may begin, end and be cut anywhere."""
        if self.failure is not None or self._closed:
            return []
        text = self._with_lf_ends(self._past_bom(chunk))
        frames: list[Frame] = []
        # In parts no larger than an event may be, so that no block escapes the limit.
        for start in range(0, len(text), self._event_bytes_max):
            frames += self._feed_part(text[start : start + self._event_bytes_max])
        self._at_block_start = self._remembers_nothing()
        return frames

    def _remembers_nothing(self) -> bool:
        waiting = self._maybe_bom is not None or self._after_cr or self._pending
        return self.failure is None and not waiting

    def _past_bom(self, chunk: bytes) -> bytes:
        """Strip the one byte order mark that may open the stream (#parsing-an-event-stream)."""
        if self._maybe_bom is None:
            return chunk
        opening = self._maybe_bom + chunk
        if len(opening) < len(_BOM) and _BOM.startswith(opening):
            self._maybe_bom = opening
            return b""
        self._maybe_bom = None
        return opening.removeprefix(_BOM)

    def _with_lf_ends(self, chunk: bytes) -> bytes:
        """Make LF of CRLF and CR (#parsing-an-event-stream: `end-of-line`).

        A CR ends its line at once, since the next byte may be long in coming; if that byte is an
        LF, it belongs to the CR.
        """
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        if _CR in chunk:
            return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _feed_part(self, part: bytes) -> list[Frame]:
        """Close the pending block if its blank line is here, read the whole ones, keep the rest."""
        if self.failure is not None:
            return []
        blocks: list[bytes] = []
        if self._pending:
            blank = self._blank_line_at(part)
            self._keep(part if blank is None else part[:blank])
            if blank is None or self.failure is not None:
                return []
            # Without the LF of its last line, as the split below leaves the others.
            blocks.append(bytes(memoryview(self._pending)[:-1]))
            self._forget_pending()
            part = part[blank + 1 :]
        *whole, rest = part.split(b"\n\n")
        frames = self._read_blocks(blocks + whole)
        if self.failure is None:
            self._keep(rest.lstrip(b"\n"))
        return frames

    def _blank_line_at(self, part: bytes) -> int | None:
        """Return where in `part` the blank line that closes the pending block stands."""
        if self._pending[-1] == _LF and part[0] == _LF:
            return 0
        found = part.find(b"\n\n")
        return None if found < 0 else found + 1

    def _keep(self, part: bytes) -> None:
        event_bytes = len(self._pending) + len(part)
        if event_bytes > self._event_bytes_max:
            self._fail("event_bytes_max", f"{event_bytes} bytes", self._event_bytes_max)
        else:
            self._pending += part

    def _read_blocks(self, blocks: list[bytes]) -> list[Frame]:
        """Dispatch whole blocks: the usual ones right here, the others line by line."""
        frames: list[Frame] = []
        for block in blocks:
            head, _, data = block.partition(b"\ndata: ")
            event = _EVENT_OF_LINE.get(head)
            if event is not None and data and _LF not in data:
                broken = not (data.isascii() or _is_utf8(data))
                frames.append(Frame(event, data, self._last_event_id, broken))
                continue
            frame = self._read_block(block.lstrip(b"\n"))
            if frame is not None:
                frames.append(frame)
            elif self.failure is not None:
                break
        return frames

    def _read_block(self, block: bytes) -> Frame | None:
        """Dispatch a block (#dispatchMessage), or return None if it holds no data line."""
        lines = block.count(b"\n") + 1
        if lines > self._event_lines_max:
            self._fail("event_lines_max", f"{lines} lines", self._event_lines_max)
            return None
        event, data, new_id = self._read_fields(block.split(b"\n"))
        # An id counts from here on even if there is no data and nothing is dispatched.
        if new_id is not None:
            self._last_event_id = new_id
        if not data:
            return None
        broken = not (block.isascii() or _is_utf8(block))
        return Frame(event, b"\n".join(data), self._last_event_id, broken)

    def _read_fields(self, lines: list[bytes]) -> tuple[str, list[bytes], str | None]:
        """Interpret lines (#event-stream-interpretation); return event, data lines and new id.

        A comment is a field without a name, a line without a colon a field without a value, and
        fields with other names are ignored: `partition` and the missing cases say all three.
        """
        event, data, new_id = "", [], None
        for line in lines:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            match name:
                case b"data":
                    data.append(value)
                case b"event":
                    event = _event_name(line, value)
                # An id containing NUL is ignored, not cut at it.
                case b"id" if 0 not in value:
                    new_id = value.decode("utf-8", "replace")
                # ASCII digits only: no sign, no space, not empty.
                case b"retry" if value.isdigit():
                    self._retry_ms = _milliseconds(value)
                case _:
                    pass
        return event, data, new_id

    def _fail(self, limit: str, seen: str, allowed: int) -> None:
        self.failure = f"an event passed {limit}: {seen} so far, {allowed} allowed"
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending = bytearray()
        self._at_block_start = False


def _event_name(line: bytes, value: bytes) -> str:
    event = value.decode("utf-8", "replace")
    # Only ASCII: the short way then knows that such a line is not malformed.
    if len(line) <= _EVENT_LINE_KEPT_BYTES_MAX and line.isascii():
        if len(_EVENT_OF_LINE) >= _EVENT_LINES_KEPT_MAX:
            _EVENT_OF_LINE.clear()
        _EVENT_OF_LINE[line] = event
    return event


def _milliseconds(digits: bytes) -> int:
    # 17 digits are beyond the maximum; Python refuses to convert thousands of them.
    return min(int(digits.lstrip(b"0")[:17] or b"0"), RETRY_MS_MAX)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
