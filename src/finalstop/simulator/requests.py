"""Reads HTTP/1.1 requests out of a growing buffer. Pure: bytes in, requests out.

Small on purpose: content-length and chunked bodies, capped; everything a client of the API sends
and nothing more. It may not know about sockets or what the request is for.
"""

import json
from dataclasses import dataclass, field
from typing import Final

HEAD_BYTES_MAX: Final = 64 * 1024
# The API's own limit on a Messages request.
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
_BLANK_LINE: Final = b"\r\n\r\n"
_LINE_PARTS: Final = 3


class BadRequest(Exception):
    """A request that cannot be read. `status` is what to answer; the connection is then closed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request. Header names are lower-case; `path` is without the query string."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants to use the connection again."""
        wish = self.headers.get("connection", "").lower()
        return wish != "close" if self.version == "HTTP/1.1" else wish == "keep-alive"

    def json(self) -> object:
        """The body as JSON; None when it is empty or no JSON."""
        try:
            parsed: object = json.loads(self.body)
        except ValueError:
            return None
        return parsed


@dataclass(slots=True)
class RequestReader:
    """Feed it what arrives; ask for requests until there is none."""

    _buffer: bytearray = field(default_factory=bytearray)
    _head: Request | None = None

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    @property
    def pending(self) -> bool:
        """Whether bytes of a further request are here."""
        return bool(self._buffer) or self._head is not None

    @property
    def awaits_continue(self) -> bool:
        """Whether the client holds its body back until it sees `100 Continue`."""
        head = self._head
        return head is not None and head.headers.get("expect", "").lower() == "100-continue"

    def next_request(self) -> Request | None:
        """The next whole request, or None: feed more.

        Raises:
            BadRequest: what is here is no request, or is over a limit.
        """
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        body = self._take_body(self._head)
        if body is None:
            return None
        head, self._head = self._head, None
        return Request(head.method, head.path, head.headers, body, head.version)

    def _take_head(self) -> Request | None:
        end = self._buffer.find(_BLANK_LINE)
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._buffer) > HEAD_BYTES_MAX):
            raise BadRequest(431, f"request head over {HEAD_BYTES_MAX} bytes")
        if end < 0:
            return None
        text = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + len(_BLANK_LINE)]
        return _parse_head(text)

    def _take_body(self, head: Request) -> bytes | None:
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return self._take_chunks()
        stated = head.headers.get("content-length", "0")
        if not (stated.isascii() and stated.isdigit()):
            raise BadRequest(400, f"content-length is no number: {stated!r}")
        length = int(stated)
        if length > BODY_BYTES_MAX:
            raise BadRequest(413, f"request body over {BODY_BYTES_MAX} bytes")
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _take_chunks(self) -> bytes | None:
        """The whole chunked body, or None while its last chunk is not here."""
        # Read from the start each time: requests are small.
        if len(self._buffer) > 2 * BODY_BYTES_MAX:
            raise BadRequest(413, f"request body over {BODY_BYTES_MAX} bytes")
        body, at = bytearray(), 0
        while (line_end := self._buffer.find(b"\r\n", at)) >= 0:
            size = _chunk_size(bytes(self._buffer[at:line_end]))
            data = line_end + 2
            if size == 0:
                return self._after_last_chunk(bytes(body), line_end)
            if len(self._buffer) < data + size + 2:
                return None
            body += self._buffer[data : data + size]
            at = data + size + 2
        return None

    def _after_last_chunk(self, body: bytes, at: int) -> bytes | None:
        end = self._buffer.find(_BLANK_LINE, at)
        if end < 0:
            return None
        del self._buffer[: end + len(_BLANK_LINE)]
        return body


def _parse_head(text: str) -> Request:
    first, *lines = text.split("\r\n")
    parts = first.split(" ")
    if len(parts) != _LINE_PARTS or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400, f"not an HTTP/1 request line: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(400, f"not a header line: {line[:80]!r}")
        headers[name.strip().lower()] = value.strip()
    path, _, _query = parts[1].partition("?")
    return Request(parts[0], path, headers, version=parts[2])


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError:
        raise BadRequest(400, f"not a chunk size: {line[:40]!r}") from None
