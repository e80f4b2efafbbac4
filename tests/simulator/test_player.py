"""The player: moves in, bytes out, in order; and what it notes of the call."""

import pytest

from finalstop.simulator.calls import CallEnd
from finalstop.simulator.moves import (
    Begin,
    Close,
    Finish,
    Framing,
    Head,
    NextRequest,
    Raw,
    Reset,
    Say,
    Wait,
)  # fmt: skip
from finalstop.simulator.performance import Performance
from finalstop.simulator.player import Player
from tests.simulator.rawclient import PaperWire, a_call

CHUNKED = Begin(Head(200, "OK"))
LENGTH = Begin(Head(200, "OK", framing=Framing.LENGTH, length=2))
LAST = Begin(Head(200, "OK", framing=Framing.LENGTH, keep_alive=False))


@pytest.mark.parametrize(
    ("moves", "body", "ended", "reusable", "left"),
    [
        ([CHUNKED, Say(b"hi"), Finish()], b"2\r\nhi\r\n0\r\n\r\n", "finished", True, "open"),
        ([CHUNKED, Say(b""), Finish(b"a: b\r\n")], b"0\r\na: b\r\n\r\n", "finished", True, "open"),
        ([LENGTH, Say(b"hi"), Finish()], b"hi", "finished", True, "open"),
        ([LAST, Finish()], b"", "finished", False, "open"),
        ([CHUNKED, Raw(b"zz"), Wait(0), Close(), Say(b"x")], b"zz", "cut", False, "eof"),
        ([CHUNKED, Reset(), Say(b"x")], b"", "cut", False, "reset"),
        ([LENGTH, Finish(), NextRequest(), Reset()], b"", "finished", False, "reset"),
        ([CHUNKED, Say(b"x")], b"1\r\nx\r\n", "open", True, "open"),
    ],
)
async def test_moves_are_made_in_order(moves, body, ended, reusable, left):
    wire, call = PaperWire(), a_call()
    player = Player(wire, call, segment=None, bodiless=False)
    assert await player.play(Performance(moves)) is reusable
    head = moves[0].head.encode()
    assert bytes(wire.wire) == head + body
    assert call.bytes_sent == len(head + body)
    assert (call.ended, wire.left) == (CallEnd(ended), left)


async def test_the_answer_to_head_has_no_body():
    wire = PaperWire()
    await Player(wire, a_call(), segment=None, bodiless=True).play(
        Performance([LENGTH, Say(b"hi"), Finish()])
    )
    assert bytes(wire.wire) == LENGTH.head.encode()


async def test_segments_bound_every_write():
    writes = []

    class Counting(PaperWire):
        async def write(self, data):
            writes.append(len(data))
            await super().write(data)

    wire = Counting()
    await Player(wire, a_call(), segment=3, bodiless=False).play(
        Performance([CHUNKED, Say(b"hello"), Finish()])
    )
    assert max(writes) == 3
    assert wire.wire.endswith(b"5\r\nhello\r\n0\r\n\r\n")
