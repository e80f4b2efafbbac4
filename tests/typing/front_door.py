"""What a checker sees of the front door. Never run: `tests/test_typing.py` has it checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Any, assert_type

from finalstop import EndReason, Limits, MemoryLog, Party, Receipt, Relay, Stream, Usage
from finalstop.guarded import guard


class Delta:
    """Somebody's event."""


async def relayed(relay: Relay, source: object) -> None:
    stream = relay.open(source, principal="me", linger_s=2.5, on_end=saved)
    assert_type(stream, Stream)
    assert_type(stream.id, str)
    assert_type(stream.stop(), Receipt)
    assert_type(await stream.receipt(), Receipt)
    assert_type(await stream.message(), tuple[dict[str, Any], str | None])
    assert_type(stream.attach("text", after=3), AsyncGenerator[bytes, None])
    assert_type(await stream.attach().aclose(), None)
    async for chunk in stream.attach():
        assert_type(chunk, bytes)
    assert_type(relay.live, int)
    assert_type(relay.accepting, bool)
    assert_type(await relay.drain(), None)


async def saved(receipt: Receipt, message: dict[str, Any]) -> None:
    assert_type(receipt.reason, EndReason)
    assert_type(receipt.party, Party)
    assert_type(receipt.complete, bool)
    assert_type(receipt.usage, Usage)
    assert_type(receipt.retry_after_s, float | None)
    assert_type(message, dict[str, Any])


def saved_at_once(_receipt: Receipt, _message: dict[str, Any]) -> None:
    """A hook may block as well."""


def opened() -> Relay:
    limits = Limits(idle_s=60.0, linger_s=0.0)
    assert_type(limits.idle_s, float)
    assert_type(limits.max_streams, int)
    return Relay(MemoryLog(limits), limits, on_ended=None)


async def guarded(deltas: AsyncIterable[Delta], blocking: Iterable[Delta]) -> None:
    async for event in guard(deltas):
        assert_type(event, Delta)
    for event in guard(blocking, limits=Limits(idle_s=5.0)):
        assert_type(event, Delta)
