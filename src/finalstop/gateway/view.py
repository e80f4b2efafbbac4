"""A view that has its client's connection for itself: a streaming answer, from its head on.

While a handler runs aiohttp keeps the request, what its parser made of it, the response, and the
frames of half a dozen coroutines: more than all that a stream is made of, and a stream may last for
an hour. So a handler returns once it is known that the answer is a view, and the connection's
protocol is this one. When the view is over the connection waits here for its next request, and
aiohttp speaks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Final, Protocol

import structlog
from aiohttp import HttpVersion11, hdrs, web

from finalstop.adapters.outlet import LAST_CHUNK, ResponseOutlet
from finalstop.gateway.errors import place_of
from finalstop.runtime.bell import Bell
from finalstop.runtime.stream import Presence, Stream
from finalstop.wire.formats import Encoder

# How long a connection waits for its next request: as long as aiohttp lets one wait.
KEEPALIVE_S: Final = 3630.0

# So much of what comes early is kept; more stays with its sender. A connection that is not read
# does not tell that its client has gone.
EARLY_BYTES: Final = 64 * 1024

log = structlog.get_logger("finalstop.gateway")


class Reception(Protocol):
    """What takes connections: the `Speakers` of a gateway."""

    @property
    def views(self) -> set[View]:
        """Those that have a connection now."""

    @property
    def is_closing(self) -> bool:
        """Whether no connection serves another request any more."""

    def __call__(self) -> asyncio.Protocol:
        """A protocol that speaks HTTP with a client."""


class View(asyncio.Protocol):
    """One client's view of a stream, on a connection of its own. `begin` it once, or `drop` it.

    Args:
        stream: what is viewed.
        encoder: the wire format.
        presence: the client's; it passes to the view, which leaves when it is over.
        request: what is answered; it is not kept.
        headers: of the answer, but for those about the connection.

    Raises:
        ValueError: a header holds a line break, or a NUL; nothing has been passed on.
    """

    __slots__ = (
        "_chunked", "_early", "_head", "_id", "_is_kept", "_outlet", "_parked", "_presence",
        "_reception", "_room", "_task", "_to_show", "_transport", "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        stream: Stream,
        encoder: Encoder,
        presence: Presence,
        request: web.Request,
        headers: Mapping[str, str],
    ) -> None:
        self._id: Final = stream.id
        # What is shown, until it is: a connection that waits must not keep a stream.
        self._to_show: tuple[Stream, Encoder] | None = (stream, encoder)
        # HTTP/1.0 knows no chunks: the body ends with the connection. One that asked for another
        # protocol, and is refused it, has sent no one knows what behind its request.
        self._chunked: Final = request.version >= HttpVersion11
        self._is_kept: Final = (
            self._chunked and request.keep_alive and hdrs.UPGRADE not in request.headers
        )
        self._head = head_bytes(headers, chunked=self._chunked, is_kept=self._is_kept)
        self._transport: Final = request.transport
        self._outlet: ResponseOutlet
        self._reception: Reception
        self._parked: asyncio.Protocol | None = None
        self._room: Final = Bell()
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        # What came of the next request while this one was still answered.
        self._early = b""
        self._presence: Final = presence.pass_on()

    def begin(
        self, reception: Reception, parked: asyncio.Protocol | None, *, is_full: bool
    ) -> None:
        """Take the connection from whoever spoke on it, and write the view, to its end or a cut.

        Args:
            reception: where the view is known while it has the connection, and who speaks next.
            parked: who has to speak next, because it has heard of the next request already.
            is_full: whether the transport takes nothing now, and will say when it does.
        """
        transport, shown = self._transport, self._to_show
        if transport is None or transport.is_closing():
            self.drop()  # nobody would tell us that the client has gone
            return
        assert shown is not None, "begin it once"
        self._reception, self._parked, self._to_show = reception, parked, None
        reception.views.add(self)
        if not is_full:
            self._room.ring()
        transport.set_protocol(self)
        outlet = self._outlet = ResponseOutlet(
            transport,
            self._room.heard,
            chunked=self._chunked,
            head=self._head,
            tail=LAST_CHUNK if self._chunked else b"",
        )
        self._head = b""
        stream, encoder = shown
        self._task = asyncio.Task(stream.view(encoder, outlet), name="view")
        self._task.add_done_callback(self._shown)
        # With the first words, if they are there; not every event has some in every format. Also
        # before a cut: who got no head would ask again.
        asyncio.get_running_loop().call_soon(outlet.open)

    def drop(self) -> None:
        """Give up before it began: its client must not wait for an answer."""
        self._presence.leave()
        self._to_show = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection; what has been written goes out before, if its reader takes it."""
        if self._transport is not None:
            self._transport.close()

    def _shown(self, task: asyncio.Task[None]) -> None:
        """The view is over: with its proper end, or with a cut."""
        self._task = None
        self._presence.leave()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._be_over()
            return
        self._outlet.abort()  # no reader may take it for the whole
        self._tell(error)

    def _tell(self, error: BaseException) -> None:
        """Log what ended the view too early. A client that has gone is no news."""
        if isinstance(error, ConnectionAbortedError):
            log.warning("view_cut", stream=self._id, why=str(error))
        elif not isinstance(error, ConnectionError | asyncio.CancelledError):
            # The text of an exception may hold a prompt: its type and its place are enough.
            what, where = type(error).__name__, place_of(error)
            log.error("view_failed", stream=self._id, error=what, where=where)

    def _be_over(self) -> None:
        transport = self._transport
        assert transport is not None
        if transport.is_closing():
            if self._outlet.backlog:
                transport.abort()  # its client has gone, and would be waited for
        elif not self._is_kept or self._reception.is_closing:
            transport.close()
        elif self._parked is not None or self._early:
            self._hand_back(transport)
        else:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(KEEPALIVE_S, transport.close)

    def _hand_back(self, transport: asyncio.Transport) -> None:
        """Let aiohttp speak again: for it, this is a new connection."""
        self._be_gone()
        protocol = self._parked or self._reception()
        self._parked = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if len(self._early) >= EARLY_BYTES:
            transport.resume_reading()
        if self._early:
            protocol.data_received(self._early)

    def _be_gone(self) -> None:
        self._reception.views.discard(self)
        if self._waiting is not None:
            self._waiting.cancel()

    # -- what the transport tells -----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """The next request has come. If it cannot wait for this answer, its connection can."""
        transport = self._transport
        assert transport is not None
        self._early += data
        if self._task is None:
            self._hand_back(transport)
        elif len(self._early) >= EARLY_BYTES:
            transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._be_gone()
        self._room.ring()
        if self._task is not None:
            # Soon, and not now: a view that was cut has been woken, and is to say why.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport is full."""
        self._room.silence()

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._room.ring()


class ViewResponse(web.StreamResponse):
    """What a handler returns whose answer is a view; `Speaker` sees to it, and aiohttp does not."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view: Final = view


def head_bytes(headers: Mapping[str, str], *, chunked: bool, is_kept: bool) -> bytes:
    """The head of a 200 with a streamed body, blank line included (RFC 9112, section 2.1).

    Args:
        headers: those about the connection and the date are added.
        chunked: whether the body comes in chunks; else it ends with the connection, as HTTP/1.0's.
        is_kept: whether the connection may serve another request.

    Raises:
        ValueError: a header holds a line break, or a NUL.
    """
    lines = ["HTTP/1.1 200 OK" if chunked else "HTTP/1.0 200 OK"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    now = int(datetime.now(UTC).timestamp())
    lines.append(f"date: {_http_date(now)}")
    if chunked:
        lines.append("transfer-encoding: chunked")
        if not is_kept:
            lines.append("connection: close")
    text = "\r\n".join(lines)
    if not text.count("\r") == text.count("\n") == len(lines) - 1 or "\0" in text:
        raise ValueError("a header holds a line break, or a NUL")
    return f"{text}\r\n\r\n".encode()


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    """RFC 9110, section 5.6.7."""
    return formatdate(second, usegmt=True)
