"""HTTP/1.x as bytes: a question as it is sent, a response as it is read. No socket, no clock.

The parser is h11: it is strict about framing, tells a body that was cut from one that ended, and
reads HTTP/1.0 too. It shares nothing with the code that serves our own endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11
import msgspec

from finalstop.doctor.announce import DoctorError
from finalstop.doctor.coding import accepted_codings
from finalstop.doctor.observations import Ending, Framing, Question

USER_AGENT: Final = "finalstop-doctor"
HEAD_BYTES_MAX: Final = 256 * 1024
HTTP_10: Final = "1.0"
HTTP_11: Final = "1.1"
_BODILESS_STATUSES: Final = {204, 304}


@dataclass(frozen=True, slots=True)
class Head:
    """A response's head. Header names are lower-case."""

    status: int
    version: str
    headers: tuple[tuple[str, str], ...]
    framing: Framing

    def header(self, name: str) -> str:
        """The first header of that name, or ""."""
        return next((value for key, value in self.headers if key == name), "")


def make_question(
    url: str,
    *,
    method: str = "",
    headers: Iterable[tuple[str, str]] = (),
    data: bytes = b"",
) -> Question:
    """A question as a browser or a fetch client asks it.

    Args:
        url: http or https.
        method: POST where there is `data`, else GET.
        headers: these win over what is added.
        data: the body; JSON is labelled so, anything else as a form, as curl does.

    Raises:
        DoctorError: the URL, the method or a header cannot be sent.
    """
    method = (method or ("POST" if data else "GET")).upper()
    given = [(name.strip().lower(), value.strip()) for name, value in headers]
    names = {name for name, _ in given}
    added = [(name, value) for name, value in _own_headers(url, data) if name not in names]
    question = Question(method, url, (*added, *given), data)
    request_bytes(question)
    return question


def asked_otherwise(question: Question, method: str, *headers: tuple[str, str]) -> Question:
    """The same address and credentials, another method, no body."""
    dropped = {"content-length", "content-type", *(name for name, _ in headers)}
    kept = tuple(pair for pair in question.headers if pair[0] not in dropped)
    return Question(method, question.url, (*kept, *headers), b"")


def request_bytes(question: Question, *, version: str = HTTP_11, absolute: bool = False) -> bytes:
    """The request as it goes onto the wire.

    Args:
        question: what to ask.
        version: HTTP_10 asks as an old hop does.
        absolute: with the whole URL as target, as a proxy wants it.

    Raises:
        DoctorError: it is not valid HTTP.
    """
    parts = urlsplit(question.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}" if absolute else path
    writer = h11.Connection(our_role=h11.CLIENT)
    try:
        request = h11.Request(method=question.method, target=target, headers=_raw(question))
        head = writer.send(request) or b""
    except (h11.LocalProtocolError, UnicodeEncodeError) as bad:
        raise DoctorError(f"this cannot be sent as an HTTP request: {bad}") from None
    if version == HTTP_10:
        line, rest = head.split(b"\r\n", 1)
        head = line.removesuffix(b"HTTP/1.1") + b"HTTP/1.0\r\nConnection: close\r\n" + rest
    return head + question.body


class ResponseReader:
    """Reads one response.

    `head` is None until it is whole. `whole` is whether the framing says that all has come.
    `failure` has the parser's words once something came that is no HTTP/1.x; nothing is read after.
    """

    def __init__(self, question: Question) -> None:
        self.head: Head | None = None
        self.whole = False
        self.failure = ""
        self._bodiless = question.method == "HEAD"
        self._began = False
        self._parser = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        # The parser only wants to know which method is answered.
        asked = h11.Request(method=question.method, target="/", headers=[("host", "-")])
        self._parser.send(asked)
        self._parser.send(h11.EndOfMessage())

    def receive(self, data: bytes) -> bytes:
        """The body bytes that these bytes brought, freed of transfer coding."""
        if not data:
            return b""  # to the parser this would be the end
        self._began = True
        self._parser.receive_data(data)
        return b"".join(self._events())

    def receive_eof(self) -> tuple[Ending, str]:
        """How it ended, now that the peer has ended the connection; and the parser's words."""
        if self.whole:
            return Ending.WHOLE, ""
        if self.head is None:
            said = "in the middle of the head" if self._began else "before any byte of an answer"
            return Ending.CUT, f"the connection was closed {said}"
        if self.head.framing is Framing.UNTIL_CLOSE:
            return Ending.CLOSED, ""
        return Ending.CUT, f"closed before the {self.head.framing} body was whole"

    def _events(self) -> Iterable[bytes]:
        while not (self.whole or self.failure):
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as bad:
                self.failure = str(bad)
                return
            match event:
                case h11.Response():
                    self._head(event)
                case h11.Data():
                    yield bytes(event.data)
                case h11.EndOfMessage():
                    self.whole = True
                case h11.InformationalResponse():
                    continue
                case _:
                    return

    def _head(self, response: h11.Response) -> None:
        headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in response.headers)
        version = response.http_version.decode()
        framing = _framing(response.status_code, dict(headers), bodiless=self._bodiless)
        self.head = Head(response.status_code, version, headers, framing)


def _framing(status: int, headers: dict[str, str], *, bodiless: bool) -> Framing:
    # RFC 9112, section 6.3.
    if bodiless or status in _BODILESS_STATUSES:
        return Framing.NONE
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return Framing.CHUNKED
    return Framing.LENGTH if "content-length" in headers else Framing.UNTIL_CLOSE


def _own_headers(url: str, data: bytes) -> Iterable[tuple[str, str]]:
    parts = _checked(url)
    yield "host", parts
    yield "accept", "text/event-stream"
    yield "accept-encoding", accepted_codings()
    yield "user-agent", USER_AGENT
    if data:
        yield "content-type", _content_type(data)
        yield "content-length", str(len(data))


def _checked(url: str) -> str:
    """The host (and port) of a URL that can be asked."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as bad:
        raise DoctorError(f"{url!r} is not a URL: {bad}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise DoctorError(f"{url!r} is not an http or https URL, e.g. http://localhost:3000/stream")
    if parts.username is not None:
        raise DoctorError("a URL with a user name is not asked: give -H 'authorization: ...'")
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _content_type(data: bytes) -> str:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "application/x-www-form-urlencoded"
    return "application/json"


def _raw(question: Question) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("utf-8")) for name, value in question.headers]
