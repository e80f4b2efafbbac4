"""The gateway's application: which request goes to which handler."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from aiohttp import web

from finalstop.gateway.errors import SERVER, Handler, errors
from finalstop.gateway.front import FRONT, Front
from finalstop.gateway.messages import messages, stream_claude
from finalstop.gateway.passthrough import count_tokens, models
from finalstop.gateway.speaker import expect
from finalstop.gateway.streams import message, receipt, stop

# Method, path, handler, and what it is for: the routes, and what `GET /` answers.
Route = tuple[str, str, Handler, str]


async def index(_request: web.Request) -> web.Response:
    """`GET /`: the routes."""
    routes = [{"method": m, "path": p, "is": says} for m, p, _, says in ROUTES]
    return web.json_response({"finalstop": "every stream ends", "routes": routes})


async def healthz(_request: web.Request) -> web.Response:
    """`GET /healthz`: the process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """`GET /readyz`: 200 while streams are accepted, 503 from the first moment of the drain."""
    relay = request.app[FRONT].relay
    status = "ready" if relay.accepting else "draining"
    answer = {"status": status, "live_streams": relay.live}
    return web.json_response(answer, status=200 if relay.accepting else 503)


ROUTES: Final[tuple[Route, ...]] = (
    ("POST", "/v1/messages", messages, "the Messages API: a stream, or a whole Message"),
    ("POST", "/v1/messages/count_tokens", count_tokens, "passed through"),
    ("GET", "/v1/models", models, "passed through"),
    ("GET", "/v1/models/{model}", models, "passed through"),
    ("POST", "/stream-claude", stream_claude, "a prompt in, plain text deltas out"),
    ("GET", "/streams/{id}/receipt", receipt, "how a stream ended; ?wait=SECONDS"),
    ("GET", "/streams/{id}/message", message, "its accumulated Message; ?wait=SECONDS"),
    ("DELETE", "/streams/{id}", stop, "stop it; answers the receipt"),
    ("GET", "/healthz", healthz, "the process answers"),
    ("GET", "/readyz", readyz, "503 while draining"),
    ("GET", "/", index, "this list"),
)


@web.middleware
def host_guard(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
    """Refuse what a hostile page in the same browser could send to a loopback server."""
    # Not a coroutine: nothing comes after the handler, and each wake would go through its frame.
    request.app[FRONT].gatekeeper.check_host(request.method, request.headers)
    return handler(request)


async def sign(_request: web.Request, response: web.StreamResponse) -> None:
    """Say who answers: what is in use below, and in which version, is nobody's business."""
    response.headers["server"] = SERVER


def make_app(front: Front) -> web.Application:
    """The application, ready for a runner with `handler_cancellation` on."""
    app = web.Application(middlewares=[errors, host_guard], client_max_size=front.limits.body_bytes)
    app[FRONT] = front
    app.on_response_prepare.append(sign)
    for method, path, handler, _ in ROUTES:
        app.router.add_route(method, path, handler, expect_handler=expect)
    return app
