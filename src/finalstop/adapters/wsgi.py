"""WSGI: the relay on a loop of its own, and one view of it as an iterable a server thread pulls.

The two meet in a `Pipe`. What a view writes waits there for at most one high-water mark; then the
view falls behind in the log, as it would behind a slow socket. Flask and Django's sync views stand
on this; it may not know them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Final, Self, Unpack

from finalstop.adapters.background import ALIVE_CHECK_S, SHARED, BackgroundRelay
from finalstop.adapters.connection import Connection
from finalstop.adapters.departure import CLIENT_GONE_STATUS, watching
from finalstop.adapters.opening import Opening, Options
from finalstop.adapters.pipe import Pipe
from finalstop.core.receipt import Receipt
from finalstop.runtime.head import Head, head_of, refusal_head
from finalstop.runtime.hooks import OnEnd
from finalstop.runtime.relay import NotAcceptingError, Relay

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]

_REASONS: Final[Mapping[int, str]] = {CLIENT_GONE_STATUS: "Client Gone", 529: "Overloaded"}


def respond(
    environ: Mapping[str, Any],
    start_response: StartResponse,
    source: object,
    *,
    relay: BackgroundRelay | None = None,
    **options: Unpack[Options],
) -> Iterable[bytes]:
    """Answer one WSGI request with a stream; return the body for the server.

    The arguments, what it returns for a failure, and what it raises: see `stream_response`.
    """
    status, headers, body = stream_response(source, environ=environ, relay=relay, **options)
    start_response(status_line(status), headers)
    return body


def stream_response(
    source: object,
    *,
    environ: Mapping[str, Any] | None = None,
    relay: BackgroundRelay | None = None,
    **options: Unpack[Options],
) -> tuple[int, Headers, Iterable[bytes]]:
    """Open a stream and answer with it: the status, the headers and the body.

    Blocks for the commit window at most. A failure within it has its true status and a whole body;
    after it the body is the view. Hand the body to the server as it is, its `close` with it.

    Args:
        source: a stream object of an SDK, a response, an iterator... (docs/reference/sources.md).
        environ: the request's WSGI environ; with it, departures are seen within 0.2 s on servers
            that show the connection (gunicorn, werkzeug, waitress with a lookahead).
        relay: the default is the one that all handlers of the process share.
        options: see `opening.Options`. Here `on_end` is called in a thread of its own; a coroutine
            function's coroutine is awaited on the relay's loop.

    Returns:
        Status 499 and no body where the client left before the head: nobody will read it.

    Raises:
        TypeError: `source` is no stream; the message names what was given and what is accepted.
        ValueError: there is no such format; the message lists those there are.
        RuntimeError: the relay was closed.
    """
    background = relay or SHARED
    if (on_end := options.get("on_end")) is not None:
        options["on_end"] = _in_a_thread(on_end)

    def opening(relay: Relay) -> Opening:
        return Opening(source, relay=relay, **options)

    exchange = _Exchange(opening, Connection(environ or {}), lambda: background.alive)
    body = Body(exchange.pipe, background.run(exchange.run))
    try:
        head = exchange.head()
    except BaseException:
        body.close()
        raise
    if head.body is None:
        return head.status, list(head.headers.items()), body
    size = ("content-length", str(len(head.body)))
    return head.status, [*head.headers.items(), size], [head.body]


def status_line(status: int) -> str:
    """A status as PEP 3333 wants it, e.g. "200 OK"."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} {_REASONS.get(status, 'Unknown')}"


class Body:
    """The body of one response: iterate it in the server's thread, then `close` it.

    Raises:
        ConnectionResetError: while iterating: the reader took nothing for `write_s`, or has gone;
            the server is to cut the body, and the ones we know do.
    """

    def __init__(self, pipe: Pipe, leave: Callable[[], None]) -> None:
        self._pipe = pipe
        self._leave = leave

    def __iter__(self) -> Self:
        """The body itself: it can be iterated once."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next bytes."""
        data = self._pipe.take()
        if data is None:
            raise StopIteration
        return data

    def close(self) -> None:
        """Detach: the view is over, whatever is left of it. May be called twice."""
        self._pipe.leave()
        self._leave()


class _Exchange:
    """One request and its answer. `run` is the loop's part, `head` the server thread's."""

    def __init__(
        self,
        opening: Callable[[Relay], Opening],
        connection: Connection,
        alive: Callable[[], bool],
    ) -> None:
        self.pipe = Pipe(cut_off=connection.cut, alive=alive, check_s=ALIVE_CHECK_S)
        self._opening = opening
        self._gone = connection.gone
        self._alive = alive
        self._said: Future[Head] = Future()

    def head(self) -> Head:
        """Wait for the head. Blocks; bounded by `commit_s`."""
        while True:
            try:
                return self._said.result(ALIVE_CHECK_S)
            except TimeoutError:
                if not self._alive():
                    raise RuntimeError("the relay was closed") from None

    async def run(self, relay: Relay) -> None:
        """Open the stream, say the head, write the view. Never raises, but when cancelled."""
        try:
            async with watching(self._gone):
                await self._answer(relay)
        except NotAcceptingError as error:
            self._say(refusal_head(error))
        except ConnectionError:
            self._say(Head(CLIENT_GONE_STATUS, {}, b""))
            self.pipe.abort()
        except asyncio.CancelledError:
            # The server has let go of the body, or the loop stops: then nobody is to wait for it.
            if not self._said.done():
                self._said.set_exception(RuntimeError("the relay was closed"))
            self.pipe.leave()
            raise
        except Exception as error:  # noqa: BLE001 - it is the handler's, or ends this view alone
            self._fail(error)

    async def _answer(self, relay: Relay) -> None:
        opening = self._opening(relay)
        stream = opening.open()
        with stream.presence():
            head = await head_of(stream, opening.encoder, commit_s=opening.limits.commit_s)
            self._say(head)
            if head.body is not None:
                return
            if not await stream.begun(0):
                # A WSGI server sends the head with the first bytes of the body.
                self.pipe.write(opening.encoder.keep_alive)
            await stream.view(opening.encoder, self.pipe)
        await self.pipe.close()

    def _say(self, head: Head) -> None:
        if not self._said.done():
            self._said.set_result(head)

    def _fail(self, error: Exception) -> None:
        if not self._said.done():
            self._said.set_exception(error)
            return
        self.pipe.abort()
        context = {"message": "a view failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


def _in_a_thread(hook: OnEnd) -> OnEnd:
    """The hook as one that does not hold up the loop: here, hooks are written to block.

    Not asyncio's own threads: they take nothing more once the interpreter has begun to exit, which
    is when the last answers are saved.
    """

    async def run(receipt: Receipt, message: dict[str, Any]) -> None:
        done: Future[Awaitable[None] | None] = Future()

        def call() -> None:
            try:
                done.set_result(hook(receipt, message))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                done.set_exception(error)

        threading.Thread(target=call, name="finalstop-on-end", daemon=True).start()
        said = await asyncio.wrap_future(done)
        if said is not None:
            await said

    return run
