"""One client connection: aiohttp's handler of it, made to refuse in the API's shape.

What is no HTTP request never reaches the application, so aiohttp answers it by itself: in plain
text, with the client's own bytes in the answer and in its log. Those may be a key or a prompt.

And it waits for a client that takes nothing: a closed connection is kept until its last byte is
taken. A view has a clock of its own; whole answers, a Message or an error, get theirs here.

A view gets the connection for itself, before its head (`gateway.view`): aiohttp's part ends there.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import LineTooLong

from finalstop.gateway.errors import SERVER, error_response
from finalstop.gateway.view import View, ViewResponse

# RFC 6585, section 5; aiohttp says 400, and then a client looks for the mistake in its body.
HEAD_TOO_LARGE: Final = 431

# How long the rest of a refused body is read before the connection is closed: closing at once would
# reset it, and the client might never see why. aiohttp's 10 s are a gift to whoever sends slowly.
LINGER_S: Final = 2.0

# What ends the head of a request: RFC 9112, section 2.1.
BLANK_LINE: Final = b"\r\n\r\n"

log = structlog.get_logger("finalstop.gateway")


class Speakers:
    """All that speak HTTP for one gateway, and the views that have their connections for now.

    Call it for a new connection's protocol; it is a factory for `loop.create_server`.

    Args:
        server: whose handler answers.
        write_s: a client that takes nothing of an answer for so long is cut, in seconds.
    """

    def __init__(self, server: web.Server, *, write_s: float) -> None:
        self._server: Final = server
        self._write_s: Final = write_s
        self._loop: Final = asyncio.get_running_loop()
        self.views: Final[set[View]] = set()
        self.is_closing = False

    def __call__(self) -> Speaker:
        """A protocol for one connection."""
        # Bodies are not decompressed: an encoded one is refused, not unpacked first.
        kwargs: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "tcp_keepalive": False,  # the listener's connections have it from the listener
            "lingering_time": LINGER_S,
        }
        return Speaker(self._server, self, write_s=self._write_s, loop=self._loop, **kwargs)

    def stop(self) -> None:
        """From now on a connection is closed after its answer. Next: `close`."""
        self.is_closing = True

    def close(self) -> None:
        """Close the connections that views have; the server closes the others."""
        for view in tuple(self.views):
            view.close()


class Speaker(web.RequestHandler):
    """Speaks HTTP with one client. Subclassed because aiohttp offers no other way to be told."""

    __slots__ = ("_head_bytes", "_looking", "_speakers", "_taken_bytes", "_view", "_write_s")

    # aiohttp asks the system for these at every connection, and nobody here wants to know.
    peername = sockname = ssl_context = None

    def __init__(
        self, server: web.Server, speakers: Speakers, *, write_s: float, **kwargs: Any
    ) -> None:
        super().__init__(server, **kwargs)
        self._speakers = speakers
        self._write_s = write_s
        self._looking: asyncio.TimerHandle | None = None
        # What the handler came to, if that is a view, until it begins.
        self._view: View | None = None
        # Of the request in hand: how long its head is, and how much has come in all.
        self._head_bytes = 0
        self._taken_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what was read."""
        if not self._taken_bytes:
            self._head_bytes = data.find(BLANK_LINE) + len(BLANK_LINE)
        self._taken_bytes += len(data)
        super().data_received(data)

    def _has_all_of(self, request: web.BaseRequest) -> bool:
        """Whether this request has come, and not a byte of the next: the parser does not tell.

        In doubt no: where the head came in pieces, or its body in chunks, which may not even have
        come where the request is refused.
        """
        if self._head_bytes < len(BLANK_LINE) or hdrs.TRANSFER_ENCODING in request.headers:
            return False
        return self._taken_bytes == self._head_bytes + (request.content_length or 0)

    async def start(self) -> None:
        """Answer requests, until there are no more or a view is to have the connection."""
        try:
            await super().start()
        except BaseException:
            if self._view is not None:  # the client has gone between handler and view
                self._view.drop()
            raise
        view, self._view = self._view, None
        if view is None:
            return
        is_full = self.writing_paused
        if is_full:
            self.resume_writing()  # the view is told, from now on
        if self._taken_bytes:
            self.keep_alive(True)  # noqa: FBT003 - aiohttp's: it lets go of the timer of idleness
            view.begin(self._speakers, self, is_full=is_full)
        else:
            # All that was heard is answered: nobody needs to remember it.
            self.connection_lost(None)
            view.begin(self._speakers, None, is_full=is_full)

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Write what is left of an answer, and see to it that it is taken."""
        if self._has_all_of(request):
            self._head_bytes = self._taken_bytes = 0
        if isinstance(resp, ViewResponse):
            # All that is left to aiohttp is to end: without a transport it closes none.
            self._view, self.transport = resp.view, None
            resp.force_close()
            return resp, False
        self._look_later(0)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self._looking is not None and not self._unsent:
                self._looking.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read, or not be answered; the connection is then closed.

        Raises:
            ConnectionError: an answer is under way already: it is cut.
        """
        what = type(exc).__name__
        if not isinstance(exc, ConnectionError):
            log.warning("request_failed", error=what, status=status)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        response = _refusal(status, exc, _reason(message) or what)
        response.headers["server"] = SERVER  # the application does not see this answer
        response.force_close()
        return response

    @property
    def _unsent(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def _look_later(self, unsent: int) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.get_running_loop().call_later(self._write_s, self._look, unsent)

    def _look(self, unsent_before: int) -> None:
        """Cut a client that has taken nothing since the last look."""
        unsent = self._unsent
        if self.transport is not None and unsent and unsent == unsent_before:
            log.warning("answer_cut", why=f"the client took nothing for {self._write_s:g} s")
            self.transport.abort()
        elif unsent:
            self._look_later(unsent)


async def expect(request: web.Request) -> None:
    """Ask for the body of a client that waits to be asked (RFC 9110, section 10.1.1).

    Any other expectation is passed over, as the RFC allows: aiohttp's 417 would be plain text.
    """
    waits = request.headers.get("expect", "").lower() == "100-continue"
    if waits and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _refusal(status: int, exc: BaseException | None, reason: str) -> web.Response:
    if isinstance(exc, LineTooLong):
        return error_response(
            HEAD_TOO_LARGE, "The request line, or a header, is longer than 8190 bytes."
        )
    if status >= 500:
        return error_response(status, f"finalstop failed ({type(exc).__name__}); see its log.")
    return error_response(status, f"This is not an HTTP/1.1 request that can be read: {reason}.")


def _reason(message: str | None) -> str:
    """The parser's own words; everything else in aiohttp's message may be what the client sent."""
    reason, shows_bytes, _ = (message or "").partition(":\n\n")
    return reason if shows_bytes else ""
