"""What a program does with an answer once it is over: save it, bill it, tell somebody.

A hook runs once per stream, after the viewers have been told, also when nobody was listening. It
may wait; it cannot change how the stream ended, and its failure costs nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any, Final

from finalstop.core.receipt import Receipt
from finalstop.runtime.stream import Stream, TooManyViewersError

# Called with the receipt and the accumulated Message: of a stream that was cut what came of it, and
# {} where nothing did.
# In the event loop: one that blocks belongs into a thread (`asyncio.to_thread`).
OnEnd = Callable[[Receipt, dict[str, Any]], Awaitable[None] | None]

# For a hook that is cancelled, to put its affairs in order.
CANCELLED_S: Final = 0.5


class Hooks:
    """Runs hooks and owns their tasks. Wait for `done` before the loop is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, hook: OnEnd, stream: Stream) -> None:
        """Start `hook` for an ended stream. Returns at once."""
        presence = ExitStack()
        # What somebody still reads is not forgotten, also where nothing is retained. That there
        # are too many to be present as well serves as well.
        with suppress(TooManyViewersError):
            presence.enter_context(stream.presence())
        call = _call(hook, stream, presence)
        task = asyncio.get_running_loop().create_task(call, name="on_end")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def done(self, within_s: float) -> None:
        """Wait for the hooks under way, at most `within_s` seconds; then cancel the rest."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=max(0.0, within_s))
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCELLED_S)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        context = {"message": "an on_end hook failed", "exception": task.exception()}
        task.get_loop().call_exception_handler(context)


async def _call(hook: OnEnd, stream: Stream, presence: ExitStack) -> None:
    with presence:
        receipt = await stream.receipt()
        message, _ = await stream.message()
    said = hook(receipt, message)
    if said is not None:
        await said
