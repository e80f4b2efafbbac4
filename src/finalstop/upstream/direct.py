"""The upstream over HTTP/1.1, straight on sockets: no client library, no task wake per read.

It keeps what `http.AiohttpUpstream` keeps, to the same tests, and is the faster of the two. What
it cannot do is ask through an HTTP proxy.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from finalstop.core.limits import Limits
from finalstop.upstream.address import DEFAULT_PORTS, Address, address_of
from finalstop.upstream.connections import Kept
from finalstop.upstream.contract import Response, Sink, UpstreamRequest
from finalstop.upstream.direct_calls import DirectAsk, DirectCall, DirectWell
from finalstop.upstream.dressing import Dresser
from finalstop.upstream.gate import BEATS, Gate
from finalstop.upstream.gather import Gather
from finalstop.upstream.http import CLOSE_S, KEEPALIVE_S, user_agent
from finalstop.upstream.rest import Rest


class DirectUpstream:
    """A `contract.Upstream` on sockets of its own. Must be closed; `close` is the last call on it.

    Args:
        base_url: http or https, host, port, and a path prefix if need be; nothing else.
        credentials: headers added to every request, e.g. {"x-api-key": ...}; may be empty.
        limits: `connect_s` bounds each attempt's way to a connection, `stream_bytes` what a
            compressed body may decompress to, `body_bytes` what `fetch` takes, `gate_s` how long
            a stream that flows may wait to be read, unless its request is `at_once`.
        ssl_context: None for the system's trust store.
        connections_max: 0 for no limit of our own; beyond it a call waits, at most `connect_s`.
        keepalive_s: how long a connection is kept idle.
        rest_s: the longest that the loop may sleep, under load, to find several reads at its next
            look; at most an eighth of the gate's tick. It blocks all else that runs there: leave it
            0, for never, where other work shares the loop, or another upstream that rests.

    Raises:
        ValueError: the URL or a header is not allowed; says which and why.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Mapping[str, str],
        limits: Limits,
        ssl_context: ssl.SSLContext | None = None,
        connections_max: int = 0,
        keepalive_s: float = KEEPALIVE_S,
        rest_s: float = 0.0,
    ) -> None:
        self._address: Final[Address] = address_of(base_url)
        self._host: Final = self._address.host
        self._dresser: Final = Dresser(credentials, user_agent())
        self._limits: Final = limits
        self._ssl_context: Final = ssl_context
        self._connections_max: Final = connections_max
        self._keepalive_s: Final = keepalive_s
        self._rest_s: Final = rest_s
        self._calls: Final[set[DirectCall]] = set()
        self._well: DirectWell | None = None
        self._closed = False

    def call(
        self, request: UpstreamRequest, sink: Sink, *, attempts: int, retry_until: float
    ) -> DirectCall:
        """Start a request; see the contract. Needs a running loop.

        Raises:
            ValueError: the request's method, path or headers are not allowed.
            RuntimeError: the upstream is closed.
        """
        if self._closed:
            raise RuntimeError("the upstream is closed: call() came after close()")
        ask = self._ask(request)
        well = self._open_well()
        call = DirectCall(well, ask, sink, attempts=attempts, retry_until=retry_until)
        well.gate.hurry()
        return call

    async def fetch(self, request: UpstreamRequest, *, timeout_s: float) -> Response:
        """One request, one attempt, one whole response; see the contract.

        Raises:
            UpstreamFailedError: no response, over `body_bytes`, or not within `timeout_s`.
            ValueError: the request's method, path or headers are not allowed.
        """
        gather = Gather(bytes_max=self._limits.body_bytes)
        call = self.call(request, gather, attempts=1, retry_until=0.0)
        return await gather.whole(call, timeout_s=timeout_s, where=self._address.where)

    async def close(self) -> None:
        """Tear down every call and what is kept; idempotent. Sinks hear nothing of it."""
        self._closed = True
        tasks = [call.task for call in self._calls if call.task is not None]
        for call in tuple(self._calls):
            call.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        if self._well is not None:
            self._well.kept.close()
            self._well = None
            await asyncio.sleep(0)  # what is aborted is closed in the loop's next turn

    def _open_well(self) -> DirectWell:
        """What the calls share is made on first use: it belongs to the loop that runs then."""
        if self._well is None:
            parts = urlsplit(self._address.origin)
            kept = Kept(
                parts.hostname or "",
                parts.port or DEFAULT_PORTS[parts.scheme],
                tls=self._tls if parts.scheme == "https" else None,
                connect_s=self._limits.connect_s,
                keepalive_s=self._keepalive_s,
                connections_max=self._connections_max,
            )
            gate = self._gate()
            self._well = DirectWell(
                kept=kept,
                where=self._address.where,
                connect_s=self._limits.connect_s,
                inflated_bytes=self._limits.stream_bytes,
                gate=gate,
                open_gate=gate.left_open(),
                jitter=random.random,
                under_way=self._calls,
            )
        return self._well

    def _gate(self) -> Gate:
        limits = self._limits
        # A pause of ours must never be taken for the upstream's silence.
        pause_s = min(limits.idle_s, limits.first_content_s) / 2
        gate_s = min(limits.gate_s, pause_s)
        # Nor may a rest hold up the gate's beats: as many of them as make a tick would be longer.
        rest_s = min(self._rest_s, (gate_s or pause_s) / BEATS)
        loop = asyncio.get_running_loop()
        return Gate(gate_s, loop, rest=Rest(rest_s, loop) if rest_s else None)

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is not None:
            return self._ssl_context
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _ask(self, request: UpstreamRequest) -> DirectAsk:
        headers = {"host": self._host, **self._dresser.headers(request)}
        lines = [f"{request.method} {self._address.target(request.path)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return DirectAsk("\r\n".join([*lines, "", ""]).encode(), request.body, request.at_once)
