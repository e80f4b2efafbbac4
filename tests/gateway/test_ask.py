"""One question from the terminal: the words as they come, and the receipt at the end."""

from typing import Any

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.events import Block, BlockDelta, BlockStart, Delta, Deltas, Entry, Event, Ping
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.gateway.ask import Terminal, TerminalText, run
from finalstop.gateway.auth import AuthError
from finalstop.gateway.config import Settings
from tests.gateway.served import logged

LIMITS = Limits(first_content_s=1.0, idle_s=0.3)
QUESTION: dict[str, Any] = {"prompt": "Why?", "model": "m", "max_tokens": 9}


async def asked(spec, **settings):
    """The receipt, and what stood on the screen, piece by piece."""
    given = {"port": 0, "simulator_spec": spec, "simulator_pace_ms": 0, "limits": LIMITS}
    pieces: list[str] = []
    with logged() as log:
        ended = await run(Settings(**given | settings), **QUESTION, write=pieces.append)
    assert log.getvalue() == ""
    return ended.receipt, pieces


async def test_the_words_come_as_they_are_said_and_the_receipt_at_the_end():
    receipt, pieces = await asked("text,words=40,pace_ms=1")
    assert len("".join(pieces).split()) == 40
    assert len(pieces) > 3
    assert receipt.complete
    assert receipt.usage.characters == len("".join(pieces))


async def test_thinking_and_tools_are_not_words():
    receipt, pieces = await asked("thinking")
    assert receipt.complete
    assert 0 < len("".join(pieces)) < receipt.usage.characters


# the script, how it ends, whether words were seen before
FAILED = [
    ("fin@mid-text", EndReason.TRUNCATED, True),
    ("stall@mid-text", EndReason.IDLE_TIMEOUT, True),
    ("status-400", EndReason.UPSTREAM_ERROR, False),
    ("json-200", EndReason.UPSTREAM_INVALID, False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "reason", "words"), FAILED)
async def test_a_failure_is_in_the_receipt_and_what_was_said_stays(spec, reason, words):
    receipt, pieces = await asked(spec)
    assert receipt.reason is reason
    assert bool("".join(pieces)) is words


async def test_a_real_upstream_wants_a_key_before_anything_is_sent():
    with pytest.raises(AuthError, match="ANTHROPIC_API_KEY"):
        await asked("text", upstream="http://127.0.0.1:9")


def delta(it):
    return Event("content_block_delta", BlockDelta(0, it), b"{}")


def together(*texts):
    """Deltas of one read: of text, and of something else where there is None."""
    views = [
        BlockDelta(0, Delta("text_delta", text=it) if it else Delta("thinking_delta", thinking="x"))
        for it in texts
    ]
    return Deltas(views, [b"{}"] * len(views), 2 * len(views))


def test_only_text_is_shown():
    ended = Lifecycle("s", Limits(), now=0.0).end(EndReason.STOPPED, now=1.0)[-1]
    encoder = TerminalText()
    rows: list[tuple[Event | Deltas | Ended, bytes]] = [
        (delta(Delta("text_delta", text="hé")), "hé".encode()),
        (delta(Delta("thinking_delta", thinking="x")), b""),
        (together("a", None, "é"), "aé".encode()),
        (Event("content_block_start", BlockStart(0, Block("text", text="Well")), b"{}"), b"Well"),
        (Event("ping", Ping(), b"{}"), b""),
        (ended, b""),
    ]
    for event, shown in rows:
        assert encoder.encode(Entry(1, 1, event)) == shown
    assert encoder.keep_alive == b""


async def test_a_terminal_always_has_room_and_cannot_be_cut():
    shown: list[str] = []
    terminal = Terminal(shown.append)
    terminal.write("é".encode())
    await terminal.drain()
    terminal.abort()
    terminal.write(b"!")
    assert (shown, terminal.backlog) == (["é", "!"], 0)
