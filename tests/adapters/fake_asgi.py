"""A server and its client, faked: an ASGI `receive` and `send` that a test plays by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": []}


class FakeClient:
    """What the server knows of one client. `sent` holds what the application sent it.

    With `takes=False` the client takes nothing after the head: the next `send` waits.
    """

    def __init__(self, *, takes: bool = True) -> None:
        self.sent: list[dict[str, Any]] = []
        self.takes = takes
        self._gone = asyncio.Event()
        self._body = [{"type": "http.request", "body": b"{}", "more_body": False}]
        self.error: Exception | None = None

    def request_body(self, body: bytes) -> None:
        """What the client asks, all of it."""
        self._body = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive(self) -> dict[str, Any]:
        if self._body:
            return self._body.pop()
        await self._gone.wait()
        if self.error is not None:
            raise self.error
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if not self.takes and message.get("body"):
            await self._gone.wait()
        self.sent.append(dict(message))

    def leave(self) -> None:
        """The client goes; as the servers do, `send` swallows what comes after."""
        self._gone.set()

    def breaks(self, error: Exception) -> None:
        """The server's `receive` raises."""
        self.error = error
        self._gone.set()

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[str, str]:
        pairs = self.sent[0]["headers"]
        return {name.decode().lower(): value.decode("latin-1") for name, value in pairs}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def is_whole(self) -> bool:
        """Whether the application said that nothing more follows."""
        last = self.sent[-1] if self.sent else {"type": "nothing"}
        return last["type"] == "http.response.body" and not last.get("more_body", False)


async def asked_in_process(app: Any, client: FakeClient, body: object = None) -> asyncio.Task[None]:
    """One request to an ASGI application in this process; its task, under way."""
    payload = json.dumps(body or {}).encode()
    client.request_body(payload)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "POST", "scheme": "http", "path": "/stream-claude", "query_string": b"",
        "raw_path": b"/stream-claude", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2), "extensions": {}, "state": {},
        "headers": [(b"host", b"x"), (b"content-type", b"application/json"),
                    (b"content-length", str(len(payload)).encode())],
    }  # fmt: skip
    return asyncio.get_running_loop().create_task(app(scope, client.receive, client.send))
