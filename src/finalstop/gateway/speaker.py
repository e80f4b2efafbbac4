"""One client connection: aiohttp's handler of it, made to refuse in the API's shape.

What is no HTTP request never reaches the application, so aiohttp answers it by itself: in plain
text, with the client's own bytes in the answer and in its log. Those may be a key or a prompt.

And it waits for a client that takes nothing: a closed connection is kept until its last byte is
taken. A view has a clock of its own; whole answers, a Message or an error, get theirs here.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong

from finalstop.gateway.errors import error_response

# RFC 6585, section 5; aiohttp says 400, and then a client looks for the mistake in its body.
HEAD_TOO_LARGE: Final = 431

# How long the rest of a refused body is read before the connection is closed: closing at once would
# reset it, and the client might never see why. aiohttp's 10 s are a gift to whoever sends slowly.
LINGER_S: Final = 2.0

log = structlog.get_logger("finalstop.gateway")


class Speaker(web.RequestHandler):
    """Speaks HTTP with one client. Subclassed because aiohttp offers no other way to be told.

    A client that takes nothing of an answer for `write_s` is cut.
    """

    __slots__ = ("_looking", "_write_s")

    # aiohttp asks the system for these at every connection, and nobody here wants to know.
    peername = sockname = ssl_context = None

    def __init__(self, server: web.Server, *, write_s: float, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._write_s = write_s
        self._looking: asyncio.TimerHandle | None = None

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Write what is left of an answer, and see to it that it is taken."""
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


def speaker_for(server: web.Server, *, write_s: float) -> Speaker:
    """A new connection's handler; the factory for `loop.create_server`."""
    # Bodies are not decompressed: an encoded one is refused, not unpacked first.
    kwargs: dict[str, Any] = {
        "access_log": None,
        "auto_decompress": False,
        "tcp_keepalive": False,  # the listener's connections have it from the listener
        "lingering_time": LINGER_S,
    }
    return Speaker(server, write_s=write_s, loop=asyncio.get_running_loop(), **kwargs)


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
