"""Our own bare pass-through: the gateway's web server and upstream client, and no guarantee.

What comes from the upstream is written as it came: nothing is decoded, judged, timed or logged.
The gateway's price for its guarantees is what it costs beyond this. `bare.py PORT UPSTREAM`.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from finalstop.adapters.outlet import ResponseOutlet
from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.gateway.compose import open_upstream
from finalstop.gateway.config import Settings
from finalstop.gateway.serve import BACKLOG, loop_factory
from finalstop.upstream.contract import ResponseHead, Upstream, UpstreamRequest

UPSTREAM = web.AppKey("upstream", Upstream)


class Pipe:
    """Keeps `upstream.contract.Sink`: chunks go straight to the transport."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[int] = loop.create_future()
        self.over: asyncio.Future[bool] = loop.create_future()
        self.outlet: ResponseOutlet | None = None
        self._early: list[bytes] = []

    def connected(self) -> None:
        """Nothing to do."""

    def written(self) -> None:
        """Nothing to do."""

    def responded(self, head: ResponseHead) -> None:
        """The status is known."""
        self._answered(head.status)

    def data(self, chunk: bytes) -> None:
        """Write it, or keep it until our own head is out."""
        if self.outlet is None:
            self._early.append(chunk)
            return
        try:
            self.outlet.write(chunk)
        except ConnectionResetError:
            self._done(whole=False)

    def eof(self) -> None:
        """All is said."""
        self._done(whole=True)

    def refused(self, head: ResponseHead, body: bytes) -> None:
        """The status is passed on, the body is not: no figure needs it."""
        del body
        self._answered(head.status)
        self._done(whole=True)

    def failed(self, reason: EndReason, detail: str) -> None:
        """Cut."""
        del reason, detail
        self._answered(502)
        self._done(whole=False)

    def opened(self, outlet: ResponseOutlet) -> None:
        """Our head is out."""
        self.outlet = outlet
        if self._early:
            outlet.write(b"".join(self._early))

    def _answered(self, status: int) -> None:
        if not self.head.done():
            self.head.set_result(status)

    def _done(self, *, whole: bool) -> None:
        if not self.over.done():
            self.over.set_result(whole)


async def messages(request: web.Request) -> web.StreamResponse:
    """`POST /v1/messages`, passed through."""
    pipe = Pipe()
    asked = UpstreamRequest(
        method="POST",
        path="/v1/messages",
        headers={
            "content-type": "application/json",
            "x-api-key": request.headers["x-api-key"],
            "anthropic-version": request.headers["anthropic-version"],
        },
        body=await request.read(),
    )
    call = request.app[UPSTREAM].call(asked, pipe, attempts=1, retry_until=0.0)
    try:
        response = web.StreamResponse(
            status=await pipe.head, headers={"content-type": "text/event-stream"}
        )
        response.enable_chunked_encoding()
        writer = await response.prepare(request)
        assert writer is not None
        outlet = ResponseOutlet(request.transport, writer.drain, chunked=True)
        pipe.opened(outlet)
        if await pipe.over:
            await response.write_eof()
        else:
            outlet.abort()
        return response
    finally:
        call.cancel()


async def serve(port: int, upstream_url: str) -> None:
    """Serve until ended by a signal."""
    app = web.Application()
    app.router.add_post("/v1/messages", messages)
    settings = Settings(upstream=upstream_url, limits=Limits())
    async with open_upstream(settings) as app[UPSTREAM]:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as main:
        main.run(serve(int(sys.argv[1]), sys.argv[2]))
