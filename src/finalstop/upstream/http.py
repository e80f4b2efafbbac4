"""The upstream over HTTP/1.1: what a caller configures, and the door to its calls.

Requests are checked and dressed here (credentials, hop-by-hop headers, the URL); `calls` carries
them out. It may not know what the API means by anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from ssl import SSLContext
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict

from finalstop.core.limits import Limits
from finalstop.upstream.address import Address, address_of
from finalstop.upstream.calls import Ask, HttpCall, Well, report_broken
from finalstop.upstream.contract import Response, Sink, UpstreamRequest
from finalstop.upstream.dressing import Dresser
from finalstop.upstream.gather import Gather
from finalstop.upstream.sockets import Pool

# Just under the 60 s after which common load balancers drop an idle connection: the side that
# knows the shorter time should be ours, or every pause costs a dead connection.
KEEPALIVE_S: Final = 55.0
# Everything under way is torn down first, so closing waits for the loop and not for the network.
CLOSE_S: Final = 2.0


class AiohttpUpstream:
    """A `contract.Upstream` over aiohttp. Must be closed; `close` is the last call on it.

    It has no gate: every answer is read at once, whatever `gate_s` and a request's `at_once` say.

    Args:
        base_url: http or https, host, port, and a path prefix if need be; nothing else.
        credentials: headers added to every request, e.g. {"x-api-key": ...}; may be empty.
        limits: `connect_s` bounds each attempt's way to a connection, `stream_bytes` what a
            compressed body may decompress to, `body_bytes` what `fetch` takes.
        proxy: an http or https URL, with user and password if it needs them. Only from here:
            the environment is not asked.
        ssl_context: None for the system's trust store.
        connections_max: 0 for no limit of our own; beyond it a call waits, at most `connect_s`.
        keepalive_s: how long a connection is kept idle.

    Raises:
        ValueError: an URL or a header is not allowed; says which and why.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Mapping[str, str],
        limits: Limits,
        proxy: str | None = None,
        ssl_context: SSLContext | None = None,
        connections_max: int = 0,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._address: Final[Address] = address_of(base_url)
        self._dresser: Final = Dresser(credentials, user_agent())
        self._limits: Final = limits
        self._proxy: Final = _checked_proxy(proxy)
        self._ssl_context: Final = ssl_context
        self._connections_max: Final = connections_max
        self._keepalive_s: Final = keepalive_s
        self._calls: Final[set[HttpCall]] = set()
        self._well: Well | None = None
        self._closed = False

    def call(
        self, request: UpstreamRequest, sink: Sink, *, attempts: int, retry_until: float
    ) -> HttpCall:
        """Start a request; see the contract. Needs a running loop.

        Raises:
            ValueError: the request's method, path or headers are not allowed.
            RuntimeError: the upstream is closed.
        """
        if self._closed:
            raise RuntimeError("the upstream is closed: call() came after close()")
        ask = self._ask(request)
        call = HttpCall(self._open_well(), ask, sink, attempts=attempts, retry_until=retry_until)
        self._calls.add(call)
        call.task.add_done_callback(lambda task: self._ended(call, task))
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
        """Tear down every call and the pool; idempotent. Sinks hear nothing of it."""
        self._closed = True
        tasks = [call.task for call in self._calls]
        for call in tuple(self._calls):
            call.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        if self._well is not None:
            well, self._well = self._well, None
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await well.session.close()

    def _ended(self, call: HttpCall, task: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        report_broken(task)

    def _open_well(self) -> Well:
        """The session is made on first use: it belongs to the loop that runs then."""
        if self._well is None:
            self._well = Well(
                session=self._session(),
                where=self._address.where,
                connect_s=self._limits.connect_s,
                inflated_bytes=self._limits.stream_bytes,
                jitter=random.random,
            )
        return self._well

    def _session(self) -> aiohttp.ClientSession:
        pool = Pool(
            connect_s=self._limits.connect_s,
            keepalive_s=self._keepalive_s,
            connections_max=self._connections_max,
            ssl_context=self._ssl_context,
        )
        return aiohttp.ClientSession(
            connector=pool,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Every time is ours to keep: the pool keeps `connect_s`, the stream's timers the rest.
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            proxy=self._proxy,
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        )

    def _ask(self, request: UpstreamRequest) -> Ask:
        return Ask(
            method=request.method,
            headers=CIMultiDict(self._dresser.headers(request)),
            url=self._address.join(request.path),
            body=request.body,
        )


def _checked_proxy(proxy: str | None) -> str | None:
    """The proxy's URL may hold a password: a complaint does not repeat it."""
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the proxy must be given as http://host:port or https://host:port")
    return proxy


def user_agent() -> str:
    """Who asks, where a client does not say."""
    return f"finalstop/{_version()}"


def _version() -> str:
    try:
        return version("finalstop")
    except PackageNotFoundError:
        return "0"
