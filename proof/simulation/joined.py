"""Viewers of the simulated world that pull a stream, as the library's users do, over no wire."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from finalstop.runtime.stream import Stream


class Joined(Struct):
    """What a viewer that pulls saw, from its cursor on; and when it came and went.

    Args:
        stream: whose.
        after: the cursor.
        data: all that it was given.
        over: whether it was told of the end, and not cut, cancelled or sent away.
        began_at: the instant of its first step; None if it never took one.
        left_at: the instant from which it waited for nothing any more.
    """

    stream: str
    after: int
    data: bytearray
    over: bool = False
    began_at: float | None = None
    left_at: float | None = None

    async def pull(self, stream: Stream, clock: Callable[[], float]) -> None:
        """Attach, and take whatever comes."""
        self.began_at = clock()
        pieces = stream.attach("anthropic", self.after)
        try:
            async for piece in pieces:
                self.data += piece
            self.over = True
        finally:
            self.left_at = clock()
            await pieces.aclose()
