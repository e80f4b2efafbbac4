"""The wire formats by name: what an encoder is, and where to find each.

This is the one place that knows them all; they do not know each other. A format that must
remember something about what it has written (an index, what is open) keeps it in its encoder,
which is why every viewer has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from finalstop.core.events import Entry
from finalstop.wire.anthropic import AnthropicEncoder
from finalstop.wire.text import TextEncoder


class Encoder(Protocol):
    """Turns the entries of one stream, in order, into the bytes of one viewer."""

    @property
    def content_type(self) -> str:
        """The response's `content-type`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Further response headers that the format asks for, lower-case names."""

    @property
    def keep_alive(self) -> bytes:
        """Bytes that show life and say nothing. To be written between two entries only."""

    def encode(self, entry: Entry) -> bytes:
        """Return the bytes of an entry; b"" where the format has no word for it.

        Call it once per entry, in order. An `Ended` yields the last bytes of the body.
        """


FORMATS: Final[dict[str, type[Encoder]]] = {
    "anthropic": AnthropicEncoder,
    "text": TextEncoder,
}


def encoder_for(name: str) -> Encoder:
    """Return a new encoder of the named format, for one viewer.

    Raises:
        ValueError: no such format; the message lists those there are.
    """
    if name not in FORMATS:
        raise ValueError(f"unknown format {name[:64]!r}; choose one of: {', '.join(FORMATS)}")
    return FORMATS[name]()
