"""Clients that leave without a word: looked for, because nobody tells.

WSGI servers notice a departure only when they write, aiohttp cancels a handler only where it was
asked to, and before the first byte there is nothing to write. So somebody looks, ten times a
second. This room may not know about streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

# With a bound of 0.2 s on how late a departure is noticed, half of it for looking.
LOOK_S: Final = 0.1

# What a response is called that nobody is there to read: nginx's word for it in access logs.
CLIENT_GONE_STATUS: Final = 499

Gone = Callable[[], bool]


class ClientGoneError(ConnectionError):
    """The client has left."""


@asynccontextmanager
async def watching(gone: Gone | None) -> AsyncIterator[None]:
    """Break the block off once `gone()` is true; None where there is no way to look.

    Raises:
        ClientGoneError: the client left meanwhile; whatever the block awaited was cancelled.
    """
    if gone is None:
        yield
        return
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    timer = None

    def look() -> None:
        nonlocal timer
        if gone():
            scope.reschedule(loop.time())
        else:
            timer = loop.call_later(LOOK_S, look)

    try:
        async with scope:
            look()
            yield
    except TimeoutError:
        if scope.expired():
            raise ClientGoneError("the client has gone") from None
        raise
    finally:
        if timer is not None:
            timer.cancel()
