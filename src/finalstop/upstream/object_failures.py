"""What an object raised, as an ending: a table of names, because no SDK is imported to ask.

The names are those of the classes of the exception, of its bases and of its causes. A sentence
here never repeats what an exception says: it may hold a prompt, a key or a proxy's password.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from finalstop.core.endings import EndReason
from finalstop.upstream.contract import ResponseHead
from finalstop.upstream.object_kinds import NotAStreamError, head_of


class Failed(Struct, frozen=True):
    """The stream is over, for this reason."""

    reason: EndReason
    detail: str


class TimedOut(Struct, frozen=True):
    """The client's own timeout ran out: whether that was the first content, others must say."""

    detail: str


class Refused(Struct, frozen=True):
    """The upstream answered with an error instead of a stream."""

    head: ResponseHead
    body: bytes


class Said(Struct, frozen=True):
    """The upstream sent an `error` event, which the SDK raised; `event` is its JSON."""

    event: bytes


Verdict = Failed | TimedOut | Refused | Said

_TIMEOUT: Final = "timeout"
_UNREACHABLE: Final = EndReason.UNREACHABLE
_TRUNCATED: Final = EndReason.TRUNCATED
_INVALID: Final = EndReason.UPSTREAM_INVALID

# Class name -> what it means. Searched from the exception to its last cause, and in each from the
# class to its bases: a name stands for its subclasses, unless they have a row of their own.
NAMES: Final[Mapping[str, EndReason | str]] = {
    # httpx and httpx2; the SDK wraps them before the response head and leaks them after it
    "ConnectTimeout": _UNREACHABLE,
    "PoolTimeout": _UNREACHABLE,
    "TimeoutException": _TIMEOUT,
    "ConnectError": _UNREACHABLE,
    "ProxyError": _UNREACHABLE,
    "UnsupportedProtocol": _UNREACHABLE,
    "NetworkError": _TRUNCATED,
    "RemoteProtocolError": _TRUNCATED,
    "DecodingError": _INVALID,
    # aiohttp
    "ConnectionTimeoutError": _UNREACHABLE,
    "ServerTimeoutError": _TIMEOUT,
    "ClientConnectorError": _UNREACHABLE,
    "ClientConnectionError": _TRUNCATED,
    "ClientPayloadError": _TRUNCATED,
    # both
    "InvalidURL": _UNREACHABLE,
    "TooManyRedirects": _INVALID,
    # Python's own
    "gaierror": _UNREACHABLE,
    "ConnectionRefusedError": _UNREACHABLE,
    "TimeoutError": _TIMEOUT,
    "ConnectionError": _TRUNCATED,
    "IncompleteRead": _TRUNCATED,
    "JSONDecodeError": _INVALID,
    "UnicodeDecodeError": _INVALID,
    # the SDK; a status error gets here when what it carries is no error of the API
    "APIResponseValidationError": _INVALID,
    "APIStatusError": _INVALID,
}
# Wrappers, which say less than their cause: only where no cause has a row.
WRAPPERS: Final[Mapping[str, EndReason | str]] = {
    "APITimeoutError": _TIMEOUT,
    "APIConnectionError": _UNREACHABLE,
}

_SAYS: Final[Mapping[EndReason, str]] = {
    _UNREACHABLE: "the upstream could not be reached",
    _TRUNCATED: "the connection broke off",
    _INVALID: "the client could not read what came",
}

# How h11 words complaints about the form of what came; its others are about an end too early.
_MALFORMED: Final = ("illegal", "Illegal", "bad ", "conflicting ", "multiple ", "Only ", "Receive ")
# How aiohttp's parsers word an end too early; their others are about the form.
_CUT: Final = "Not enough data"
# How Python, and httpx by a class, say that two read the same thing.
_REUSED: Final = (
    "reuse already awaited",
    "awaited already",
    "already executing",
    "already running",
)
_REUSED_NAMES: Final = ("StreamConsumed", "StreamClosed")
_USED_SAYS: Final = "The source was used or closed already; make one per stream."
# Where the SDK reads streams: what is raised right there means that it could not take what came.
_SDK_READERS: Final = ("anthropic._streaming", "anthropic.lib.streaming")


def verdict_on(error: BaseException) -> Verdict:
    """How a stream ends whose source raised `error`."""
    if isinstance(error, NotAStreamError):
        return Failed(EndReason.INTERNAL_ERROR, f"The source cannot be read: {error}.")
    if _is_reuse(error):
        return Failed(EndReason.INTERNAL_ERROR, _USED_SAYS)
    chain = list(_causes(error))
    if any(_is_malformed(it) for it in chain):
        return _failed(_INVALID, error)
    for it in chain:
        answered = _answer_in(it)
        if answered is not None:
            return answered
    meaning = _meaning(chain, NAMES) or _meaning(chain, WRAPPERS)
    if meaning is None and _is_of_the_reader(error):
        meaning = _INVALID
    if meaning is None:
        detail = f"The fault is in the source, which raised {type(error).__name__}."
        return Failed(EndReason.INTERNAL_ERROR, detail)
    if not isinstance(meaning, EndReason):
        return TimedOut(f"The client's own timeout ran out ({type(error).__name__}).")
    return _failed(meaning, error)


def _failed(reason: EndReason, error: BaseException) -> Failed:
    return Failed(reason, f"{_SAYS[reason].capitalize()} ({type(error).__name__}).")


def _meaning(
    chain: list[BaseException], names: Mapping[str, EndReason | str]
) -> EndReason | str | None:
    classes = (cls.__name__ for it in chain for cls in type(it).__mro__)
    return next((names[name] for name in classes if name in names), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__


def _is_malformed(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    if "RemoteProtocolError" in names:
        return str(error).startswith(_MALFORMED)
    return "HttpProcessingError" in names and _CUT not in str(error)


def _is_reuse(error: BaseException) -> bool:
    if type(error).__name__ in _REUSED_NAMES:
        return True
    return type(error) in (RuntimeError, ValueError) and any(it in str(error) for it in _REUSED)


def _is_of_the_reader(error: BaseException) -> bool:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    module = "" if at is None else str(at.tb_frame.f_globals.get("__name__", ""))
    return module.startswith(_SDK_READERS)


# -- an answer that an exception carries ----------------------------------------------------------


def _answer_in(error: BaseException) -> Verdict | None:
    """The response that an SDK's status error, or a `raise_for_status`, was made from."""
    response = getattr(error, "response", None)
    head = head_of(error if response is None else response)
    if head is None or head.status < 300:
        return _event_in(error) if head is not None else None
    return Refused(head, _body_of(error, response))


def _event_in(error: BaseException) -> Said | None:
    """The SDK raises an `error` event as a status error whose status is 200."""
    body = getattr(error, "body", None)
    if not hasattr(error, "status_code") or not isinstance(body, Mapping):
        return None
    if body.get("type") != "error":
        return None
    return Said(msgspec.json.encode(dict(body)))


def _body_of(error: BaseException, response: Any) -> bytes:
    try:
        content = response.content
    except Exception:  # noqa: BLE001 - unread, or no such thing: the parsed body says it as well
        content = None
    if isinstance(content, bytes):
        return content
    body = getattr(error, "body", None)
    return msgspec.json.encode(dict(body)) if isinstance(body, Mapping) else b""
