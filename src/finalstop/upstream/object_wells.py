"""Wells: an object opened step by step, read, and closed again with all that was opened for it.

Twins: one waits in the event loop, the other in whatever thread calls it. They may not know who
reads, or what the pieces mean.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any, Final

from finalstop.upstream.object_kinds import Shape, reading_of, refuse, shape_of, socket_of

# Closing a socket takes no time; what takes longer is somebody's goodbye, and is not waited for.
CLOSE_S: Final = 0.5
# An awaitable of a context manager of an awaitable...: more than this leads nowhere.
_STEPS_MAX: Final = 8


class AsyncWell:
    """An object that is opened and read in the loop. `close` it, whatever happened.

    Args:
        thing: what was given.
        raw: whether its bytes may be read past its own iterator.

    Attributes:
        thing: what it has come to by now.
        response: the HTTP response behind it, once it is open and if there is one.
    """

    def __init__(self, thing: object, *, raw: bool = True) -> None:
        self.thing: Any = thing
        self.response: object | None = None
        self._raw = raw
        self._opened = AsyncExitStack()
        self._adopt(thing)

    async def open(self) -> AsyncIterator[Any] | SyncWell:
        """Await and enter until it can be read; a `SyncWell` where that takes a thread.

        Raises:
            NotAStreamError: it is no stream; also whatever the object raises.
        """
        for _ in range(_STEPS_MAX):
            match shape_of(self.thing, raw=self._raw):
                case Shape.AWAITABLE:
                    self._adopt(await self.thing)
                case Shape.ASYNC_CONTEXT:
                    self._adopt(await self._enter())
                case Shape.ASYNC_READABLE:
                    return self._pieces()
                case Shape.SYNC_READABLE | Shape.SYNC_CONTEXT:
                    return SyncWell(self.thing, raw=self._raw)
                case _:
                    break
        raise refuse(self.thing, raw=self._raw)

    async def close(self) -> None:
        """Close all that was opened, and what was given open. Bounded; never raises."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                await self._opened.aclose()

    def _adopt(self, thing: object) -> None:
        self.thing = thing
        if shape_of(thing, raw=self._raw) is Shape.ASYNC_READABLE:
            self._opened.push_async_callback(_aclose, thing)

    async def _enter(self) -> object:
        thing = self.thing
        inside: object = await type(thing).__aenter__(thing)
        # What gives itself and no stream is a thing somebody works with: not ours to leave.
        if inside is thing and shape_of(thing, raw=self._raw) is Shape.ASYNC_CONTEXT:
            raise refuse(thing, raw=self._raw)
        self._opened.push_async_exit(thing)
        return inside

    def _pieces(self) -> AsyncIterator[Any]:
        reading = reading_of(self.thing, raw=self._raw)
        assert reading is not None
        self.response = reading.response
        pieces: AsyncIterator[Any] = aiter(reading.pieces())  # type: ignore[arg-type]
        self._opened.push_async_callback(_aclose, pieces)
        return pieces


class SyncWell:
    """An object that is opened and read by one thread; only `cut` may be called by another.

    Args:
        thing: what was given.
        raw: whether its bytes may be read past its own iterator.

    Attributes:
        thing: what it has come to by now.
        response: the HTTP response behind it, once it is open and if there is one.
    """

    def __init__(self, thing: object, *, raw: bool = True) -> None:
        self.thing: Any = thing
        self.response: object | None = None
        self._raw = raw
        self._opened = ExitStack()
        self._adopt(thing)

    def open(self) -> Iterator[Any]:
        """Enter until it can be read. Blocks for as long as the object does.

        Raises:
            NotAStreamError: it is no stream; also whatever the object raises.
        """
        for _ in range(_STEPS_MAX):
            match shape_of(self.thing, raw=self._raw):
                case Shape.SYNC_CONTEXT:
                    self._adopt(self._enter())
                case Shape.SYNC_READABLE:
                    return self._pieces()
                case _:
                    break
        raise refuse(self.thing, raw=self._raw)

    def close(self) -> None:
        """Close all that was opened, and what was given open. Never raises."""
        with suppress(Exception):
            self._opened.close()

    def cut(self) -> None:
        """Shut the socket down, so that a thread blocked in reading returns. Best effort.

        Where there is no socket to be found (a request still waiting for its head, HTTP/2, an
        iterator that is no response), the thread goes on until the object itself returns.
        """
        sock = socket_of(self.response)
        if sock is not None:
            with suppress(OSError):
                # Not `sock.shutdown`: on a TLS socket that also takes away, from under the
                # reading thread, the object it is reading from.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _adopt(self, thing: object) -> None:
        self.thing = thing
        if shape_of(thing, raw=self._raw) is Shape.SYNC_READABLE:
            self._opened.callback(_close, thing)

    def _enter(self) -> object:
        thing = self.thing
        inside: object = type(thing).__enter__(thing)
        # What gives itself and no stream is a thing somebody works with: not ours to leave.
        if inside is thing and shape_of(thing, raw=self._raw) is Shape.SYNC_CONTEXT:
            raise refuse(thing, raw=self._raw)
        self._opened.push(thing)
        return inside

    def _pieces(self) -> Iterator[Any]:
        reading = reading_of(self.thing, raw=self._raw)
        assert reading is not None
        self.response = reading.response
        pieces: Iterator[Any] = iter(reading.pieces())  # type: ignore[arg-type]
        self._opened.callback(_close, pieces)
        return pieces


async def _aclose(thing: object) -> None:
    closing = _closer_of(thing, "aclose", "close")()
    if inspect.isawaitable(closing):
        await closing


def _close(thing: object) -> None:
    _closer_of(thing, "close")()


def _closer_of(thing: object, *names: str) -> Callable[[], object]:
    found = (getattr(thing, name, None) for name in names)
    return next((close for close in found if callable(close)), lambda: None)
