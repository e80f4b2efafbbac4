"""A client that trusts nobody: raw sockets, its own reading of HTTP and of SSE.

`ask` makes one call over a real socket; `played` plays the same call onto a wire of paper. Both
give a `Reply`, so that one can be held against the other.
"""

import asyncio
import json
import zlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from finalstop.simulator.answers import Ask
from finalstop.simulator.calls import Call
from finalstop.simulator.performance import perform
from finalstop.simulator.player import Player
from finalstop.simulator.requests import Request
from finalstop.simulator.script import parse_script
from finalstop.simulator.server import _record, _request_id

MESSAGE = {"role": "user", "content": "Why is the ocean salty?"}
# How long nothing may come before a reader here calls the connection open and silent. Long, for a
# busy machine: no test waits for it, as calls are made with `connection: close`.
PATIENCE_S = 5.0


@dataclass
class Reply:
    """What came back, and how it ended: whole, eof, reset, open (silent), or broken framing."""

    wire: bytes
    ended: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self):
        coded = self.headers.get("content-encoding") == "gzip"
        return zlib.decompressobj(wbits=31).decompress(self.body) if coded else self.body

    @property
    def events(self):
        """The SSE events as (name, data), read with the plainest parser that can be."""
        text = self.text.decode(errors="replace").removeprefix("\ufeff")
        blocks = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")[:-1]
        return [event for block in blocks if (event := _event(block)) is not None]

    @property
    def types(self):
        return [json.loads(data)["type"] for _, data in self.events]

    @property
    def json(self):
        return json.loads(self.text)


def _event(block):
    fields = [line.partition(":") for line in block.split("\n") if not line.startswith(":")]
    data = [value.removeprefix(" ") for name, _, value in fields if name == "data"]
    names = [value.removeprefix(" ") for name, _, value in fields if name == "event"]
    return ("".join(names[-1:]), "\n".join(data)) if data else None


def read_reply(wire: bytes, left: str) -> Reply:
    """Read a response; `left` says how the connection was left once all bytes were in."""
    rest = wire
    while rest.startswith(b"HTTP/1.1 1"):
        rest = rest.partition(b"\r\n\r\n")[2]
    head, blank, rest = rest.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"HTTP/1."):
        return Reply(wire, left)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    reply = Reply(wire, left, int(first.split(" ")[1]), headers)
    if "chunked" in headers.get("transfer-encoding", ""):
        reply.body, how = _unchunked(rest)
    else:
        reply.body = rest
        stated = headers.get("content-length")
        how = "whole" if stated is not None and len(rest) >= int(stated) else ""
    if reply.status == 204:
        how = "whole"
    if not how and stated_end_is_the_connection(headers) and left == "eof":
        how = "whole"
    reply.ended = how or left
    return reply


def stated_end_is_the_connection(headers):
    return "transfer-encoding" not in headers and "content-length" not in headers


def _unchunked(rest):
    body, at = bytearray(), 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        try:
            size = int(rest[at:end].partition(b";")[0], 16)
        except ValueError:
            return bytes(body), "broken"
        if size == 0:
            return bytes(body), "whole" if b"\r\n\r\n" in rest[end:] else ""
        body += rest[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return bytes(body), ""


def request_bytes(spec="text", *, path="/v1/messages", stream=True, headers=(), **body):
    fields = {"model": "m", "max_tokens": 64, "messages": [MESSAGE], "stream": stream} | body
    content = json.dumps(fields).encode()
    lines = [f"POST {path} HTTP/1.1", "host: x", "x-api-key: k"]
    lines += [f"content-length: {len(content)}", *headers]
    lines += [] if spec is None else [f"x-simulator: {spec}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def connect(url):
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def ask(url, spec="text", *, patience_s=PATIENCE_S, **options) -> Reply:
    """Make one call on a new connection and read it to its end, whatever that is."""
    reader, writer = await connect(url)
    writer.write(request_bytes(spec, headers=["connection: close"], **options))
    try:
        return await read_all(reader, patience_s=patience_s)
    finally:
        writer.transport.abort()


async def read_all(reader, *, patience_s=PATIENCE_S) -> Reply:
    wire = bytearray()
    try:
        while piece := await _read(reader, patience_s):
            wire += piece
    except TimeoutError:
        left = "open"
    except ConnectionResetError:
        left = "reset"
    else:
        left = "eof"
    return read_reply(bytes(wire), left)


async def _read(reader, patience_s):
    async with asyncio.timeout(patience_s):
        return await reader.read(1 << 20)


class PaperWire:
    """A wire that only writes down."""

    def __init__(self):
        self.wire = bytearray()
        self.left = "open"

    async def write(self, data):
        self.wire += data

    async def wait_for_bytes(self):
        await asyncio.sleep(0)

    def close(self):
        self.left = "eof"

    def reset(self):
        self.left = "reset"


def a_call() -> Call:
    return _record(Request("POST", "/v1/messages", {}), 1, number=1)


async def played(spec, *, stream=True, prompt=MESSAGE["content"]) -> Reply:
    """The same call as `ask` makes, without a socket. Give hangs a `hold_s=0`."""
    script = parse_script(spec)
    tokens = len(json.dumps([MESSAGE], separators=(",", ":"))) // 4 + 1
    performance = perform(script, Ask("m", prompt, tokens, stream), _request_id(1))
    paper = PaperWire()
    kept = await Player(paper, a_call(), segment=None, bodiless=False).play(performance)
    left = paper.left if kept or paper.left != "open" else "eof"
    return read_reply(bytes(paper.wire), left)
