"""The demos' browser: it reads a response to its end, and knows a proper end from a broken one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import aiohttp

# On loopback; a busy machine takes its time.
CONNECT_S: Final = 30


class End(StrEnum):
    """How the body of a response ended, as the connection has it."""

    OPEN = "open"
    WHOLE = "whole"
    CUT = "cut"


@dataclass
class Reply:
    """What has come of a response so far. `status` is 0 while there is no head."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    end: End = End.OPEN


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that waits as long as it is let, and keeps no connection."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def read(
    client: aiohttp.ClientSession,
    url: str,
    reply: Reply,
    *,
    on_bytes: Callable[[], object] = lambda: None,
    **request: Any,
) -> None:
    """POST and write down what comes, until the end. To leave, cancel it: the connection closes.

    Args:
        client: what `browser` gives.
        url: where to.
        reply: filled while it comes; its `end` stays OPEN if this is cancelled.
        on_bytes: called after each piece of the body.
        request: what aiohttp's `post` takes: `json`, `params`...
    """
    try:
        async with client.post(url, **request) as response:
            reply.status = response.status
            reply.headers = {name.lower(): value for name, value in response.headers.items()}
            async for piece in response.content.iter_any():
                reply.body += piece
                on_bytes()
            reply.end = End.WHOLE
    except aiohttp.ClientError:
        reply.end = End.CUT
