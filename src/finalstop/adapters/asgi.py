"""The ASGI application that answers one request with one stream.

Starlette, FastAPI and Litestar stand on it, and so can anything that speaks ASGI. What it knows of
servers: none raises from `send` after the client has gone, so `receive` is watched from the first
moment; some hold the head back until a body follows; all cut the body when the application raises.

ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html (spec version 2.3, 2.4, 2.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from typing import Any, Final, Unpack

from finalstop.adapters.opening import Opening, Options
from finalstop.core.endings import EndReason
from finalstop.runtime.head import Head, head_of, refusal_head
from finalstop.runtime.pulled import PulledView
from finalstop.runtime.relay import NotAcceptingError, Relay
from finalstop.runtime.stream import Stream

# As the ASGI specification words them; no framework's own names for the same.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = Iterable[tuple[bytes, bytes]]

# When the server cancels us: for the terminal event to reach a reader that takes bytes at all.
LAST_WORDS_S: Final = 0.5


class StreamApp:
    """An ASGI application for one request: opens the stream, sends it, and ends with it.

    Args:
        source: what is streamed. This, the relay, the options, and what is raised: see
            `opening.Opening`.
        relay: where to open the stream.
        headers: further response headers, beside ours.
        options: as every adapter has them.
    """

    def __init__(
        self,
        source: object,
        *,
        relay: Relay | None = None,
        headers: RawHeaders = (),
        **options: Unpack[Options],
    ) -> None:
        self.headers = headers
        self._opening = Opening(source, relay=relay, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request. Returns when the response is complete or the client has gone.

        Raises:
            RuntimeError: not an HTTP request, or the source feeds another stream already.
            ConnectionError: the reader took nothing for `write_s`. Like every exception, it makes
                the server cut the body: no reader takes it for the whole.
        """
        if scope["type"] != "http":
            raise RuntimeError(f"a stream answers an http request, not {scope['type']!r}")
        try:
            stream = self._opening.open()
        except NotAcceptingError as refused:
            await self._send_head(refusal_head(refused), send)
            return
        with stream.presence():
            await self._serve(stream, receive, send)

    async def _serve(self, stream: Stream, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        answering = loop.create_task(self._answer(stream, send), name="answer")
        watching = loop.create_task(client_left(receive), name="watch")
        try:
            await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _last_words(stream, answering)
            raise
        finally:
            answering.cancel()
            watching.cancel()
            await asyncio.wait((answering, watching))
        if not watching.cancelled():
            watching.result()  # what broke there is the server's, and its to know
        elif not answering.cancelled():
            answering.result()

    async def _answer(self, stream: Stream, send: Send) -> None:
        encoder, limits = self._opening.encoder, self._opening.limits
        head = await head_of(stream, encoder, commit_s=limits.commit_s)
        await self._send_head(head, send)
        if head.body is not None:
            return
        await _send_view(PulledView(partial(stream.view, encoder), interrupts=True), send)
        await self._send_in_time(body_message(b"", more=False), send)

    async def _send_head(self, head: Head, send: Send) -> None:
        headers = [*raw_headers(head), *self.headers]
        start = {"type": "http.response.start", "status": head.status, "headers": headers}
        await self._send_in_time(start, send)
        # Hypercorn, Granian and Daphne send no head until a body follows, were it empty.
        body = body_message(head.body or b"", more=head.body is None)
        await self._send_in_time(body, send)

    async def _send_in_time(self, message: Message, send: Send) -> None:
        async with asyncio.timeout(self._opening.limits.write_s):
            await send(message)


async def client_left(receive: Receive) -> None:
    """Return when the client has gone. What is left of the request's body is thrown away."""
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


def body_message(body: bytes, *, more: bool) -> Message:
    """A piece of the response's body; `more` says whether another follows."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def raw_headers(head: Head) -> list[tuple[bytes, bytes]]:
    """A head's headers as ASGI wants them, with the length of a body that is known."""
    pairs = list(head.headers.items())
    if head.body is not None:
        pairs.append(("content-length", str(len(head.body))))
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]


async def _send_view(view: PulledView, send: Send) -> None:
    try:
        async for piece in view:
            await send(body_message(piece, more=True))
    except asyncio.CancelledError:
        if view.error is not None:  # it was the view that broke off a `send` without an end
            raise view.error from None
        raise
    finally:
        await view.aclose()


async def _last_words(stream: Stream, answering: asyncio.Task[None]) -> None:
    """The server cancels us, which is an ending too, unless somebody else is in the stream."""
    if stream.present == 1:
        stream.end(EndReason.DRAINING, "The server cancelled the request.")
    if stream.ended is not None:
        await asyncio.wait((answering,), timeout=LAST_WORDS_S)
