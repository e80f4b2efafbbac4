"""The wire formats by name: what an encoder is, and where to find each.

This is the one place that knows them all; they do not know each other. A format that must
remember something about what it has written (an index, what is open) keeps it in its encoder,
which is why every viewer has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

        Call it once per entry, in order. `Deltas` are several events, numbered from the entry's
        `seq` on: where a format carries ids, each has its own. An `Ended` yields the last bytes of
        the body.
        """


# The formats whose encoders hold no state, and what each said last.
_SAID: Final[dict[type, tuple[Sequence[Entry], bytes]]] = {
    AnthropicEncoder: ((), b""),
    TextEncoder: ((), b""),
}

FORMATS: Final[dict[str, type[Encoder]]] = {
    "anthropic": AnthropicEncoder,
    "text": TextEncoder,
}


def encode_batch(encoder: Encoder, batch: Sequence[Entry]) -> bytes:
    """Return the bytes of a batch; what several viewers of a format are told is encoded once.

    A log tells all followers of a stream of the very same batch, one after the other. So of each
    format whose encoders hold no state the last batch is remembered, with its bytes.
    """
    kind = type(encoder)
    said = _SAID.get(kind)
    if said is not None and said[0] is batch:
        return said[1]
    encode = encoder.encode
    data = encode(batch[0]) if len(batch) == 1 else b"".join([encode(entry) for entry in batch])
    if said is not None:
        _SAID[kind] = (batch, data)
    return data


def encoder_for(name: str) -> Encoder:
    """Return a new encoder of the named format, for one viewer.

    Raises:
        ValueError: no such format; the message lists those there are.
    """
    if name not in FORMATS:
        raise ValueError(f"unknown format {name[:64]!r}; choose one of: {', '.join(FORMATS)}")
    return FORMATS[name]()
