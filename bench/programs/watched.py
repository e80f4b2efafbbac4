"""The gateway, and one more route: `GET /streams/{id}` lets a further viewer watch a stream.

The gateway has no such route of its own yet; `Stream.view` is what it would stand on, and what
is measured. Everything else is the gateway as it is. `watched.py PORT UPSTREAM`.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from finalstop.adapters.outlet import ResponseOutlet
from finalstop.gateway.app import make_app
from finalstop.gateway.auth import Gatekeeper
from finalstop.gateway.compose import open_relay, open_upstream
from finalstop.gateway.config import Settings
from finalstop.gateway.front import FRONT, Front
from finalstop.gateway.serve import BACKLOG, LEFT_S, loop_factory
from finalstop.gateway.speaker import Speakers
from finalstop.runtime.head import view_head
from finalstop.wire.formats import encoder_for


async def watch(request: web.Request) -> web.StreamResponse:
    """Another viewer of a stream, from its beginning."""
    front = request.app[FRONT]
    admission = front.gatekeeper.admit(request.headers)
    stream = front.relay.find(request.match_info["id"], principal=admission.principal)
    encoder = encoder_for("anthropic")
    with stream.presence():
        response = web.StreamResponse(headers=dict(view_head(stream, encoder).headers))
        writer = await response.prepare(request)
        assert writer is not None
        outlet = ResponseOutlet(request.transport, writer.drain, chunked=True)
        await stream.view(encoder, outlet)
        await response.write_eof()
    return response


async def serve(settings: Settings) -> None:
    """Serve until ended by a signal."""
    async with open_upstream(settings) as upstream, open_relay(settings, log_lines=True) as relay:
        app = make_app(Front(settings, relay, upstream, Gatekeeper(settings)))
        app.router.add_get("/streams/{id}", watch)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=LEFT_S)
        await runner.setup()
        assert runner.server is not None  # it has been set up
        speakers = Speakers(runner.server, write_s=settings.limits.write_s)
        loop = asyncio.get_running_loop()
        await loop.create_server(speakers, settings.host, settings.port, backlog=BACKLOG)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as main:
        main.run(serve(Settings(port=int(sys.argv[1]), upstream=sys.argv[2])))
