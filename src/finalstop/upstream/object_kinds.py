"""What an object is, by its shape: how it is opened, how it is read, where its socket is.

It looks at attributes and names no SDK and no HTTP library, so that none has to be installed and
the next release of any may still fit. It may not open, read or close anything.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from finalstop.upstream.contract import ResponseHead

# Said to people whose object is none of these.
ACCEPTED: Final = (
    "accepted are what client.messages.stream(...), client.messages.create(stream=True) and "
    "with_streaming_response give, an unread httpx or aiohttp response, an iterable, sync or "
    "async, of events or of bytes, and a context manager or an awaitable of one of these"
)
# The same where bytes are of no use.
ACCEPTED_EVENTS: Final = (
    "accepted are what client.messages.stream(...) and client.messages.create(stream=True) give, "
    "an iterable, sync or async, of events, and a context manager or an awaitable of one of "
    "these; responses and bytes are for a Relay"
)

# Iterable or openable, and never a stream.
_NEVER: Final = (str, bytes, bytearray, memoryview, Mapping, type)

# What a client has and its answer has not. Its context is its whole life: left again, it is closed.
_ASKS: Final = ("request", "post", "send")


class NotAStreamError(TypeError):
    """What was given, or came of it, is no stream. The message is ours: it names types only."""


class Shape(StrEnum):
    """What to do with an object next."""

    AWAITABLE = "await it"
    ASYNC_READABLE = "read it in the loop"
    SYNC_READABLE = "read it in a thread"
    ASYNC_CONTEXT = "enter it in the loop"
    SYNC_CONTEXT = "enter it in a thread"


class Reading(Struct, frozen=True):
    """How an object is read.

    Args:
        pieces: begins the reading: an iterable of chunks or events; an async one if `is_async`.
        is_async: whether it is read in the loop.
        response: the HTTP response behind it, if there is one: it has a head and a socket.
    """

    pieces: Callable[[], AsyncIterable[Any] | Iterable[Any]]
    is_async: bool
    response: object | None = None


def shape_of(thing: object, *, raw: bool = True) -> Shape | None:
    """What to do with `thing` next; None when it is no stream at all.

    Args:
        thing: what was given, or what came of opening it.
        raw: whether its bytes may be read past its own iterator.
    """
    if isinstance(thing, _NEVER) or hasattr(thing, "model_dump") or _was_used(thing):
        return None
    # Before all else: what an HTTP client returns unawaited may look readable and not be.
    if inspect.isawaitable(thing):
        return Shape.AWAITABLE
    reading = reading_of(thing, raw=raw)
    if reading is not None:
        return Shape.ASYNC_READABLE if reading.is_async else Shape.SYNC_READABLE
    if _is_client(thing):
        return None
    if hasattr(thing, "__aenter__"):
        return Shape.ASYNC_CONTEXT
    return Shape.SYNC_CONTEXT if hasattr(thing, "__enter__") else None


def reading_of(thing: object, *, raw: bool = True) -> Reading | None:
    """How to read `thing`, which is open; None when it cannot be read.

    Bytes are preferred: they are faster than objects, and only bytes show pings and truncation.
    An iterator somebody has begun to read is read on, from where it is.
    """
    response = response_of(thing)
    reading = None if not raw or response is None else _bytes_of(response)
    return reading or _items_of(thing, response)


def refuse(thing: object, *, raw: bool = True) -> NotAStreamError:
    """The error that names what was given and what is accepted; without bytes if not `raw`."""
    name = f"{type(thing).__module__}.{type(thing).__qualname__}".removeprefix("builtins.")
    accepted = ACCEPTED if raw else ACCEPTED_EVENTS
    if _was_read(thing):
        return NotAStreamError(f"{name} has been read or closed already; give it unread")
    if _was_used(thing):
        return NotAStreamError(f"this {name} was used already; make one per stream")
    if _is_client(thing):
        return NotAStreamError(f"{name} is not a stream but a client; {accepted}")
    return NotAStreamError(f"{name} is not a stream; {accepted}")


def response_of(thing: object) -> object | None:
    """The response behind an SDK's stream or raw response, or `thing` itself if it is one."""
    for name in ("response", "http_response"):
        behind: object | None = getattr(thing, name, None)
        if behind is not None and head_of(behind) is not None:
            return behind
    return thing if head_of(thing) is not None else None


def head_of(response: object) -> ResponseHead | None:
    """The head of an HTTP response; a header that came more than once is joined with commas."""
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    headers: Any = getattr(response, "headers", None)
    if not isinstance(status, int) or not hasattr(headers, "items"):
        return None
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = str(name).lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else str(value)
    return ResponseHead(status, joined)


def socket_of(response: object | None) -> socket.socket | None:
    """The socket that this response alone is using; None where there is none to be found.

    A response that has been read to its end is not using it any more: it may be serving another
    call by now. An HTTP/2 socket always serves others.
    """
    extensions = getattr(response, "extensions", None)
    if getattr(response, "is_closed", True) or not isinstance(extensions, Mapping):
        return None
    if extensions.get("http_version") not in (b"HTTP/1.0", b"HTTP/1.1"):
        return None
    extra_info = getattr(extensions.get("network_stream"), "get_extra_info", None)
    found = extra_info("socket") if callable(extra_info) else None
    return found if isinstance(found, socket.socket) else None


# -- how to read ----------------------------------------------------------------------------------


def _bytes_of(response: object) -> Reading | None:
    if _was_read(response):
        return None
    in_loop, in_thread = (getattr(response, it, None) for it in ("aiter_bytes", "iter_bytes"))
    if callable(in_loop) and hasattr(getattr(response, "stream", in_loop), "__aiter__"):
        return Reading(in_loop, is_async=True, response=response)
    if callable(in_thread):
        is_async = inspect.isasyncgenfunction(in_thread)
        return Reading(in_thread, is_async=is_async, response=response)
    # Last: of other responses `content` may be a property that raises.
    any_chunk = getattr(getattr(response, "content", None), "iter_any", None)
    if callable(any_chunk):
        return Reading(any_chunk, is_async=True, response=response)
    return None


def _items_of(thing: Any, response: object | None) -> Reading | None:
    if hasattr(thing, "__aiter__"):
        return Reading(lambda: aiter(thing), is_async=True, response=response)
    if hasattr(thing, "__iter__"):
        return Reading(lambda: iter(thing), is_async=False, response=response)
    return None


def _was_read(response: object) -> bool:
    """Whether its body is gone. One that was read into memory, as mocks are, is still there."""
    if hasattr(response, "_content"):
        return False
    return any(getattr(response, it, False) is True for it in ("is_stream_consumed", "is_closed"))


def _was_used(thing: object) -> bool:
    """Whether it can give nothing more, or gives it to somebody else."""
    if inspect.iscoroutine(thing):
        return inspect.getcoroutinestate(thing) != inspect.CORO_CREATED
    if inspect.isgenerator(thing):
        return inspect.getgeneratorstate(thing) in (inspect.GEN_CLOSED, inspect.GEN_RUNNING)
    return inspect.isasyncgen(thing) and (thing.ag_running or thing.ag_frame is None)


def _is_client(thing: object) -> bool:
    # Of its class: on an object, a property may raise, and a mock has every name there is.
    return any(callable(getattr(type(thing), it, None)) for it in _ASKS)
