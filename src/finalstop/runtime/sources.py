"""Sources: anybody's stream object as what a stream is fed from.

It may not know how an object is opened or read (`upstream.objects` does), nor what its events
mean (the lifecycle does).
"""

from __future__ import annotations

from finalstop.core.limits import DEFAULTS, Limits
from finalstop.runtime.intake import SSEIntake
from finalstop.runtime.producer import Producer
from finalstop.runtime.stream import Source, Stream
from finalstop.upstream import objects
from finalstop.upstream.contract import Call


def source_of(thing: object, *, limits: Limits = DEFAULTS) -> Source:
    """A source for `Relay.open`: `thing` itself if it is one, else an `ObjectSource`.

    Raises:
        TypeError: it is no stream; the message names what was given and what is accepted.
    """
    if isinstance(thing, Stream):
        raise TypeError("this Stream is open already; read it with attach(), from any viewer")
    start = getattr(thing, "start", None)
    if callable(start):
        source: Source = thing  # type: ignore[assignment] # duck-typed: it has what a Source has
        return source
    return ObjectSource(thing, limits=limits)


def discard(source: object) -> None:
    """Say of what `Relay.open` was given that it is never going to be opened."""
    if isinstance(source, ObjectSource):
        source.discard()
    else:
        objects.discard(source)


class ObjectSource:
    """A source that reads a stream object. Keeps `runtime.stream.Source`.

    The object is the stream's from `start` on, and is closed with it. Until then, and when
    `Relay.open` refuses, it is still the caller's to close.

    Args:
        thing: a stream of an SDK, a response, an iterator...: docs/reference/sources.md.
        limits: the bounds to keep.

    Raises:
        TypeError: it is no stream; the message names what was given and what is accepted.
    """

    def __init__(self, thing: object, *, limits: Limits = DEFAULTS) -> None:
        objects.check(thing)
        self._thing: object | None = thing
        self._limits = limits

    def start(self, producer: Producer) -> Call:
        """Begin to read. Once only: an object is read up by the first stream.

        Raises:
            RuntimeError: it was started before.
        """
        thing, self._thing = self._thing, None
        if thing is None:
            raise RuntimeError("this source feeds another stream already; make one per stream")
        return objects.pump(thing, SSEIntake(producer, self._limits))

    def discard(self) -> None:
        """Close what would complain that nobody ever awaited it. Not after `start`."""
        objects.discard(self._thing)
