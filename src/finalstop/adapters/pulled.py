"""The answer of a stream for a framework that makes the response itself and pulls its body.

Quart and Django stand on it. Such a framework must be given the true head, so that the commit
window is over before there is a response; and it cancels what it runs when the client leaves.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from msgspec import Struct

from finalstop.adapters.opening import Opening
from finalstop.runtime.head import Head, head_of, refusal_head
from finalstop.runtime.pulled import PulledView
from finalstop.runtime.relay import NotAcceptingError
from finalstop.runtime.stream import Stream
from finalstop.runtime.viewer import Outlet
from finalstop.wire.formats import Encoder


class Answer(Struct, frozen=True):
    """A response head, and its body: whole in the head, or a view to be pulled."""

    head: Head
    view: PulledView | None = None


async def answer_of(opening: Opening) -> Answer:
    """Open the stream, hold the head for the commit window, begin the view.

    From the opening to the end of the view somebody is present. Cancel it, or close the view, to
    leave; a view that nobody pulls is cut after `write_s`.

    Raises:
        RuntimeError: the source feeds another stream already.
    """
    try:
        stream = opening.open()
    except NotAcceptingError as refused:
        return Answer(refusal_head(refused))
    with ExitStack() as presence:
        presence.enter_context(stream.presence())
        head = await head_of(stream, opening.encoder, commit_s=opening.limits.commit_s)
        if head.body is not None:
            return Answer(head)
        view = partial(_view, stream, opening.encoder)
        leave = presence.pop_all().close
        return Answer(head, PulledView(view, on_over=leave, interrupts=True))


async def _view(stream: Stream, encoder: Encoder, outlet: Outlet) -> None:
    if not await stream.begun(0):
        # Some servers send no head before the first bytes of the body, and there are none yet.
        outlet.write(encoder.keep_alive)
    await stream.view(encoder, outlet)
