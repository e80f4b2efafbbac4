"""One response off the wire: httptools' parser, held to our bounds.

Bytes in; a head, pieces of a body and an end out. It may not know of sockets, sinks or time.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from finalstop.upstream.contract import ResponseHead

# The most that may come without a byte of the body: a head, trailers, or the extensions of chunks.
# Four times what common servers and proxies send at most.
SILENT_BYTES_MAX: Final = 32 * 1024
HEAD_LINES_MAX: Final = 256

INTERIM: Final = range(100, 200)
SWITCHING: Final = 101


class Reader:
    """Reads one response. `feed` it every read, then look at what has changed.

    Attributes:
        head: the head of the final response, once it is complete; who takes it puts None there.
        has_head: whether it ever was.
        pieces: what the body has yielded; who takes it empties the list.
        is_whole: the response is complete by its own framing.
        is_reusable: its sender keeps the connection, and has sent nothing beyond the response.
        until_close: nothing frames the body; it ends with the connection.
        is_unread: not a byte has come.
    """

    __slots__ = (
        "_headers", "_lines", "_parser", "_silent_bytes", "has_head", "head", "is_reusable",
        "is_unread", "is_whole", "on_body", "pieces", "until_close",
    )  # fmt: skip

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.has_head = False
        self.pieces: list[bytes] = []
        self.is_whole = False
        self.is_reusable = False
        self.until_close = False
        self.is_unread = True
        # The parser calls it for each piece: the list's own method costs no frame of ours.
        self.on_body = self.pieces.append
        self._headers: dict[str, str] | None = None  # only while a head comes
        self._lines = 0
        self._silent_bytes = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> str | None:
        """Read on; what is wrong with it, in the parser's words, or None.

        What came before the complaint is to be had as ever. After a complaint, or once the
        response is whole, feed nothing more.
        """
        self.is_unread = False
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except HttpParserError as error:
            # A whole response with more behind it: that is nobody's answer.
            self.is_reusable = False
            if not self.is_whole:
                return str(error)
        except HttpParserUpgrade:
            # A switch of protocol that nobody asked for. The response is whole, and the last one.
            self.is_reusable = False
        if self.pieces:
            self._silent_bytes = 0
        else:
            self._silent_bytes += len(data)
        if self.is_whole:
            self._parser = None  # it holds us as we hold it
        elif self._silent_bytes > SILENT_BYTES_MAX or self._lines > HEAD_LINES_MAX:
            return "the head is too large"
        return None

    def close(self) -> None:
        """Nothing more will be fed."""
        self._parser = None

    # -- what the parser tells --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins: ours, the one after an interim one, or one that nobody asked for."""
        if self.is_whole:
            self.is_reusable = False
            raise HttpParserError("bytes after the response")
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer; one that repeats is joined with a comma."""
        self._lines += 1
        if self.has_head or self._lines > HEAD_LINES_MAX:
            return  # a trailer is nobody's news, and joining too many costs their square
        headers = self._headers
        assert headers is not None
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        before = headers.get(key)
        headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        """The head is complete."""
        headers, self._headers = self._headers, None
        assert self._parser is not None
        assert headers is not None
        status = self._parser.get_status_code()
        if status in INTERIM and status != SWITCHING:
            return
        self.head = ResponseHead(status, headers)
        self.has_head = True
        self.is_reusable = self._parser.should_keep_alive()
        coded = headers.get("transfer-encoding", "").lower().endswith("chunked")
        self.until_close = not coded and "content-length" not in headers

    def on_message_complete(self) -> None:
        """The response is complete, unless it was an interim one."""
        self.is_whole = self.has_head
