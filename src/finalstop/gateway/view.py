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
from aiohttp import HttpVersion11, web

from finalstop.adapters.outlet import ResponseOutlet
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
        write_s: the longest that the last bytes wait for a reader that takes none, in seconds.

    Raises:
        ValueError: a header holds a line break, or a NUL; nothing has been passed on.
    """

    __slots__ = (
        "_chunked", "_early", "_encoder", "_head", "_is_reusable", "_parked", "_presence",
        "_reception", "_room", "_stream", "_task", "_transport", "_waiting", "_write_s",
    )  # fmt: skip

    def __init__(
        self,
        stream: Stream,
        encoder: Encoder,
        presence: Presence,
        request: web.Request,
        headers: Mapping[str, str],
        *,
        write_s: float,
    ) -> None:
        self._stream: Final = stream
        self._encoder: Final = encoder
        # HTTP/1.0 knows no chunks: the body ends with the connection.
        self._chunked: Final = request.version >= HttpVersion11
        self._is_reusable: Final = self._chunked and request.keep_alive
        self._head = head_bytes(headers, chunked=self._chunked, is_kept=self._is_reusable)
        self._transport: Final = request.transport
        self._write_s: Final = write_s
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
        transport = self._transport
        if transport is None or transport.is_closing():
            self.drop()  # nobody would tell us that the client has gone
            return
        self._reception, self._parked = reception, parked
        reception.views.add(self)
        if not is_full:
            self._room.ring()
        transport.set_protocol(self)
        self._task = asyncio.Task(self._run(transport), name="view")

    def drop(self) -> None:
        """Give up before it began: its client must not wait for an answer."""
        self._presence.leave()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection; what has been written goes out before, if its reader takes it."""
        if self._transport is not None:
            self._transport.close()

    async def _run(self, transport: asyncio.Transport) -> None:
        head, self._head = self._head, b""
        outlet = ResponseOutlet(transport, self._room.heard, chunked=self._chunked, head=head)
        # With the first words, if they are there; not every event has some in every format.
        asyncio.get_running_loop().call_soon(outlet.open)
        is_whole = False
        try:
            await self._write(outlet)
            is_whole = True
        except Exception as error:  # noqa: BLE001 - a bug of ours ends one view, not the process
            self._tell(error)
        finally:
            self._task = None
            self._presence.leave()
            if not is_whole:
                # No reader may take it for the whole; one that got no head would ask again.
                outlet.open()
                outlet.abort()
        if is_whole:
            self._be_over(transport)

    async def _write(self, outlet: ResponseOutlet) -> None:
        await self._stream.view(self._encoder, outlet)
        outlet.finish()
        if outlet.backlog:
            async with asyncio.timeout(self._write_s):
                await outlet.flush()

    def _tell(self, error: Exception) -> None:
        """Log what ended the view too early. A client that has gone is no news."""
        stream = self._stream.id
        if isinstance(error, TimeoutError):
            why = f"the reader left the last bytes for write_s={self._write_s:g}"
            log.warning("view_cut", stream=stream, why=why)
        elif isinstance(error, ConnectionAbortedError):
            log.warning("view_cut", stream=stream, why=str(error))
        elif not isinstance(error, ConnectionError):
            # The text of an exception may hold a prompt: its type and its place are enough.
            what, where = type(error).__name__, place_of(error)
            log.error("view_failed", stream=stream, error=what, where=where)

    def _be_over(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return
        if not self._is_reusable:
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
        del exc
        self._be_gone()
        self._room.ring()
        if self._task is not None:
            # Soon, and not now: a view that was cut has been woken, and is to say why.
            asyncio.get_running_loop().call_soon(self._task.cancel)

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
