"""One question from the terminal, through the same relay as everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from finalstop.core.events import Deltas, Entry, Event
from finalstop.core.receipt import Ended
from finalstop.gateway.auth import Gatekeeper
from finalstop.gateway.compose import open_relay, open_upstream
from finalstop.gateway.config import Settings
from finalstop.runtime.intake import UpstreamSource
from finalstop.upstream.contract import UpstreamRequest
from finalstop.wire.text import text_in

API_VERSION: Final = "2023-06-01"


class TerminalText:
    """The answer's text, as a terminal wants it. Keeps `wire.formats.Encoder`."""

    content_type = "text/plain; charset=utf-8"
    headers: Final[Mapping[str, str]] = {}
    keep_alive = b""

    def encode(self, entry: Entry) -> bytes:
        """The text; nothing for anything else."""
        match entry.event:
            case Deltas(views=views):
                return "".join(map(text_in, views)).encode()
            case Event(payload=payload):
                return text_in(payload).encode()
            case Ended():
                return b""


class Terminal:
    """Writes where the person is looking. Keeps `runtime.viewer.Outlet`."""

    backlog = 0

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Show `data`."""
        self._write(data.decode())
        return 0

    def end(self, data: bytes) -> int:
        """Show the last `data`."""
        return self.write(data)

    async def drain(self) -> None:
        """A terminal always has room."""

    async def flush(self) -> None:
        """A terminal holds nothing back."""

    def abort(self) -> None:
        """A terminal cannot be cut."""


async def run(
    settings: Settings,
    *,
    prompt: str,
    model: str,
    max_tokens: int,
    write: Callable[[str], None],
) -> Ended:
    """Ask one question; `write` gets the text as it comes. Return how it ended.

    Raises:
        AuthError: a real upstream, and no API key of our own.
    """
    own_headers = Gatekeeper(settings).own_headers()
    body = {
        "model": model,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
    }
    request = UpstreamRequest(
        method="POST",
        path="/v1/messages",
        headers={
            "content-type": "application/json",
            "anthropic-version": API_VERSION,
            **own_headers,
        },
        body=msgspec.json.encode(body),
    )
    limits = settings.limits
    async with open_upstream(settings) as upstream, open_relay(settings, log_lines=False) as relay:
        source = UpstreamSource(upstream, request, attempts=limits.attempts_own, limits=limits)
        stream = relay.open(source)
        with stream.presence():
            await stream.view(TerminalText(), Terminal(write))
            await stream.receipt()
        assert stream.ended is not None
        return stream.ended
