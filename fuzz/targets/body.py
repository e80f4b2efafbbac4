"""Request bodies, at both doors of a whole gateway on a network in memory.

What comes back is an answer, or an error in the API's shape with a status that the routes
document. What goes upstream is JSON that asks for a stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, cast

import msgspec
import structlog

from finalstop.core.limits import Limits
from finalstop.gateway.body import plain_fields, streaming_body
from finalstop.gateway.config import Settings
from finalstop.gateway.errors import RequestError
from finalstop.gateway.serve import Gateway, open_gateway
from fuzz.target import Target, WrongError, want
from proof.simulation.loop import SimLoop
from tests.faults.client import MESSAGES, PLAIN, Answer, read_answer
from tests.upstream.servers import CHUNKED, LAST_CHUNK, chunk

LIMITS: Final = Limits(body_bytes=1024, retention_s=0.0)
STATUSES: Final = {200, 400, 413}
WITHIN_S: Final = 60.0
# A loop remembers all that went over its wires: after so many turns there is a new one.
TURNS_MAX: Final = 100_000

_ANSWER: Final[bytes] = CHUNKED + b"".join(
    chunk(b"data: " + event + b"\n\n")  # type: ignore[no-untyped-call]
    for event in (
        b'{"type":"message_start","message":{"id":"m","model":"m","role":"assistant"}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}}',
        b'{"type":"message_stop"}',
    )
)


class Upstream(asyncio.Protocol):
    """Keeps the body of every request, and answers it well."""

    def __init__(self, bodies: list[bytes]) -> None:
        self._bodies = bodies
        self._asked = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._asked += data
        head, blank, body = bytes(self._asked).partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
        if blank and len(body) >= int(lengths[0].partition(b":")[2]):
            self._asked.clear()
            self._bodies.append(body)
            self._transport.write(_ANSWER + LAST_CHUNK)


class Client(asyncio.Protocol):
    """Sends pieces, a turn of the loop each, and keeps what comes until the connection ends."""

    def __init__(self, head: bytes, pieces: Iterator[bytes]) -> None:
        self.got = bytearray()
        self.over = asyncio.Event()
        self._head = head
        self._pieces = pieces

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the head, then the pieces."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._head)
        self._write()

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.got += data

    def connection_lost(self, _exc: Exception | None) -> None:
        """All has been said."""
        self.over.set()

    def _write(self) -> None:
        piece = next(self._pieces, None)
        if piece is not None and not self._transport.is_closing():
            self._transport.write(piece)
            asyncio.get_running_loop().call_soon(self._write)


class House:
    """A gateway that stays open over many requests, and its upstream."""

    def __init__(self) -> None:
        self.loop: Final = SimLoop(1, shuffles=False)
        self.bodies: Final[list[bytes]] = []
        self._gateway: AbstractAsyncContextManager[Gateway]
        self._port = self._run(self._open())

    def _run(self, main: Any) -> Any:
        asyncio.set_event_loop(None)
        return self.loop.run_until_complete(main)

    async def _open(self) -> int:
        loop: Any = self.loop
        listener = await loop.create_server(lambda: Upstream(self.bodies), "127.0.0.1", 0)
        upstream = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(limits=LIMITS, port=0, upstream=upstream)
        self._gateway = open_gateway(settings)
        gateway = await self._gateway.__aenter__()
        return int(gateway.url.rpartition(":")[2])

    def close(self) -> None:
        """Close the gateway and its loop."""
        self._run(self._gateway.__aexit__(None, None, None))
        self.loop.close()

    def ask(self, path: str, body: bytes, *, by_bytes: bool) -> Answer:
        """One request, and all of its answer."""
        step = 1 if by_bytes else max(1, len(body))
        pieces = iter([body[at : at + step] for at in range(0, len(body), step)])
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nconnection: close\r\n"
            "x-api-key: key\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        client = Client(head, pieces)
        self._run(self._until_over(client))
        return read_answer(bytes(client.got), "eof")  # type: ignore[no-untyped-call, no-any-return]

    async def _until_over(self, client: Client) -> None:
        self.loop.dial(self._port, client)
        async with asyncio.timeout(WITHIN_S):
            await client.over.wait()
        want(not self.loop.reported, f"reported: {self.loop.reported}")


_houses: Final[list[House]] = []


def _house() -> House:
    if _houses and (_houses[0].loop.turns > TURNS_MAX or _houses[0].loop.reported):
        _houses.pop().close()
    if not _houses:
        _houses.append(House())
    return _houses[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Log lines are read, not written: one that tells of a bug of ours is wrong."""

    def look(_logger: Any, _name: str, line: Mapping[str, Any]) -> Any:
        if line["event"] in {"handler_failed", "request_failed"}:
            raise WrongError(f"logged: {dict(line)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[look])
    try:
        yield
    finally:
        structlog.configure(**before)


def judge(data: bytes) -> str:
    """Ask at both doors, whole and byte by byte."""
    with _quiet():
        return " / ".join(_judge_at(path, data) for path in (PLAIN, MESSAGES))


def _judge_at(path: str, data: bytes) -> str:
    verdicts = [_verdict_at(path, data, by_bytes=by_bytes) for by_bytes in (False, True)]
    want(verdicts[0] == verdicts[1], f"{path}: whole {verdicts[0]}; byte by byte {verdicts[1]}")
    return f"{path} {verdicts[0]}"


def _verdict_at(path: str, data: bytes, *, by_bytes: bool) -> str:
    house = _house()
    house.bodies.clear()
    answer = house.ask(path, data, by_bytes=by_bytes)
    want(answer.ended == "whole" and answer.status in STATUSES, f"{path}: {answer}")
    if answer.status == 200:
        want(len(house.bodies) == 1, f"asked upstream {len(house.bodies)} times")
        fields = msgspec.json.decode(house.bodies[0], type=dict[str, msgspec.Raw])
        want(bytes(fields["stream"]) == b"true", f"sent upstream: {house.bodies[0]!r}")
        return "200 " + answer.headers["content-type"]
    want(not house.bodies, f"{answer.status}, but the upstream was asked")
    said = json.loads(answer.body)
    want(said["type"] == "error" and said["error"]["message"], f"not the API's shape: {said}")
    return f"{answer.status} {said['error']['type']}: {said['error']['message']}"


def _feed(data: bytes) -> None:
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        streaming_body(plain_fields(fields, model="m", max_tokens=1))
    except (msgspec.DecodeError, RequestError, RecursionError, ValueError):
        pass  # a documented error; its speed is the subject


def _seeds() -> list[bytes]:
    message = {"role": "user", "content": "Why?"}
    rows: list[object] = [
        {"prompt": "Why?"},
        {"prompt": "Why?", "model": "m", "max_tokens": 5, "stream": True},
        {"prompt": "", "messages": []},
        {"prompt": 5},
        {"messages": [message], "model": "m", "max_tokens": 5, "stream": True},
        {"messages": [message], "model": "m", "max_tokens": 5},
        {"messages": [message], "stream": False},
        {"stream": "yes"},
        {"prompt": "é\U0001f600", "metadata": {"user_id": "u"}, "tools": [{"name": "t"}]},
        [],
        "text",
        None,
    ]
    return [json.dumps(row).encode() for row in rows] + [b"", b"{", b"\xff", b"[" * 900]


TARGET: Final = Target(
    name="body",
    says="request bodies at both doors of a whole gateway",
    judge=judge,
    seeds=_seeds,
    words=(
        b'"prompt":', b'"messages":[]', b'"stream":true', b'"stream":false', b'"stream":null', b"{",
        b'"stream":1', b'"model":"m"', b'"max_tokens":1', b"}", b"[", b"]", b",", b":", b'"', b"\\",
        b"\\u0000", b"\\ud800", b"\xff", b"\x00", b"\xef\xbb\xbf", b"1e999", b"-0", b"NaN", b" ",
        b'"prompt":" "', b'"prompt":"a"', b"null", b"\n", b"9" * 40, b"[[[[[[[[", b'{"a":' * 8,
    ),
    worst={
        "deep nesting": lambda n: b'{"prompt":' + b"[" * n,
        "a long prompt of escapes": lambda n: b'{"prompt":"' + b"\\u00e9" * (n // 6) + b'"}',
        "many fields": lambda n: b'{"prompt":"a"'
        + b"".join(b',"%d":0' % it for it in range(n // 10))
        + b"}",
        "one field, many times": lambda n: b'{"prompt":"a"' + b',"x":0' * (n // 6) + b"}",
        "a long number": lambda n: b'{"prompt":' + b"9" * n + b"}",
    },
    feed=_feed,
    worst_size=1_000_000,
    bytes_max=1100,
    traced=False,
)  # fmt: skip
