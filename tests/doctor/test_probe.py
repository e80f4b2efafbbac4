"""One exchange over real sockets: every framing and every ending, and the times of both."""

from __future__ import annotations

import time
import zlib

import pytest

from finalstop.doctor.connection import Way
from finalstop.doctor.http import HTTP_10, make_question
from finalstop.doctor.observations import Ending, Framing
from finalstop.doctor.probe import Watch, after_first_bytes, ask
from tests.upstream.servers import (
    CHUNKED,
    EVENT_STREAM,
    LAST_CHUNK,
    UNTIL_CLOSE,
    Move,
    RawServer,
    chunk,
    whole,
)

pytestmark = pytest.mark.slow

A, B = b'data: {"text":"a"}\n\n', b'data: {"text":"b"}\n\n'
SHORT = EVENT_STREAM + b"content-length: 99\r\n\r\n" + A
FIN, RST = Move.FIN, Move.RST
WATCH = Watch(window_s=5.0, total_s=10.0)
# What a busy machine may add to a time.
SLACK_S = 1.0


async def asked(*moves, watch=WATCH, way=None, **question):
    async with RawServer(list(moves)) as server:
        made = make_question(server.url + "/stream", **question)
        return await ask(made, watch, way=way or Way())


# name, moves, framing, ending, body
EXCHANGES = [
    ("chunked", [CHUNKED, chunk(A), chunk(B), LAST_CHUNK], Framing.CHUNKED, Ending.WHOLE, A + B),
    ("length", [whole(A + B)], Framing.LENGTH, Ending.WHOLE, A + B),
    ("until close", [UNTIL_CLOSE + A, FIN], Framing.UNTIL_CLOSE, Ending.CLOSED, A),
    ("http/1.0", [b"HTTP/1.0 200 OK\r\n\r\n" + A, FIN], Framing.UNTIL_CLOSE, Ending.CLOSED, A),
    ("204", [b"HTTP/1.1 204 No\r\n\r\n"], Framing.NONE, Ending.WHOLE, b""),
    ("no last chunk", [CHUNKED, chunk(A), FIN], Framing.CHUNKED, Ending.CUT, A),
    ("inside a chunk", [CHUNKED, chunk(A)[:-5], FIN], Framing.CHUNKED, Ending.CUT, A[:-3]),
    ("short", [SHORT, FIN], Framing.LENGTH, Ending.CUT, A),
    ("reset", [CHUNKED, chunk(A), 0.05, RST], Framing.CHUNKED, Ending.RESET, A),
    ("reset, until close", [UNTIL_CLOSE + A, 0.05, RST], Framing.UNTIL_CLOSE, Ending.RESET, A),
    ("closed before the head", [FIN], Framing.NONE, Ending.CUT, b""),
    ("reset before the head", [RST], Framing.NONE, Ending.RESET, b""),
    ("half a head", [b"HTTP/1.1 200 O", FIN], Framing.NONE, Ending.CUT, b""),
    ("no http", [b"220 mail ready\r\n\r\n"], Framing.NONE, Ending.NOT_HTTP, b""),
    ("bad chunk size", [CHUNKED, chunk(A), b"salt\r\n"], Framing.CHUNKED, Ending.NOT_HTTP, A),
]


@pytest.mark.parametrize(
    ("moves", "framing", "ending", "body"),
    [r[1:] for r in EXCHANGES],
    ids=[r[0] for r in EXCHANGES],
)
async def test_what_ended_it_is_told(moves, framing, ending, body):
    exchange = await asked(*moves)
    assert (exchange.framing, exchange.ending, exchange.body) == (framing, ending, body)
    assert exchange.ended_s < SLACK_S + 0.1
    assert exchange.connected_s is not None
    assert bool(exchange.failure) is (ending in {Ending.CUT, Ending.RESET, Ending.NOT_HTTP})


async def test_times_are_those_of_the_wire():
    exchange = await asked(0.1, CHUNKED, 0.1, chunk(A), 0.3, chunk(B), 0.1, LAST_CHUNK)
    first, second = (arrival.at_s for arrival in exchange.arrivals)
    assert exchange.head_s is not None
    assert 0.1 <= exchange.head_s < first < second < exchange.ended_s < 0.6 + SLACK_S
    assert 0.25 <= second - first < 0.3 + SLACK_S
    assert [arrival.data for arrival in exchange.arrivals] == [A, B]


async def test_the_head_is_kept_in_its_order():
    head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nVia: a\r\nVia: b\r\ncontent-length: 0\r\n\r\n"
    exchange = await asked(head)
    assert exchange.status == 429
    assert exchange.headers[:3] == (("retry-after", "7"), ("via", "a"), ("via", "b"))


async def test_what_a_compressor_holds_back_arrives_as_bytes_without_text():
    press = zlib.compressobj(wbits=31)
    pieces = [press.compress(A) or b"\x1f", press.flush(zlib.Z_SYNC_FLUSH), press.flush()]
    head = EVENT_STREAM + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    moves = [move for piece in pieces for move in (chunk(piece), 0.05)]
    exchange = await asked(head, *moves, LAST_CHUNK)
    assert exchange.body == A
    assert exchange.arrivals[0].data == b""
    assert [arrival.wire_bytes for arrival in exchange.arrivals] == [len(it) for it in pieces]


async def test_a_compressed_body_that_breaks_off_says_so():
    head = EVENT_STREAM + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    packed = zlib.compress(A, wbits=31)[:-9]
    exchange = await asked(head, chunk(packed), LAST_CHUNK)
    assert (exchange.ending, exchange.body) == (Ending.WHOLE, A)
    assert "breaks off" in exchange.failure


# --- when we stop looking --------------------------------------------------------------------


async def test_silence_for_a_window_is_an_open_stream():
    exchange = await asked(CHUNKED, 0.2, chunk(A), 30.0, watch=Watch(0.4, 10.0))
    assert exchange.ending is Ending.STILL_OPEN
    assert 0.4 <= exchange.ended_s - exchange.arrivals[-1].at_s < 0.4 + SLACK_S


async def test_pings_for_ever_hold_nobody():
    pings = [move for _ in range(100) for move in (chunk(b": ping\n\n"), 0.05)]
    exchange = await asked(CHUNKED, *pings, watch=Watch(0.4, 0.8))
    assert exchange.ending is Ending.STILL_OPEN
    assert 0.8 <= exchange.ended_s < 0.8 + SLACK_S
    assert exchange.ended_s - exchange.arrivals[-1].at_s < 0.4


async def test_what_stirs_elsewhere_counts_as_progress():
    now = time.monotonic()
    stirred = lambda: min(time.monotonic(), now + 0.6)  # noqa: E731
    exchange = await asked(30.0, watch=Watch(0.3, 10.0, stirred=stirred))
    assert 0.9 <= exchange.ended_s < 0.9 + SLACK_S


async def test_a_body_without_end_is_read_up_to_a_bound():
    watch = Watch(5.0, 10.0, bytes_max=1000)
    exchange = await asked(UNTIL_CLOSE, b"salt" * 1000, 30.0, watch=watch)
    assert len(exchange.body) == 1000
    assert exchange.ending is Ending.STILL_OPEN
    assert exchange.failure == "we stopped reading at 1,000 bytes of body"


async def test_who_was_to_leave_anyway_leaves_a_body_without_end():
    watch = Watch(5.0, 10.0, leaves=lambda at_s, body_bytes: at_s > 5.0, bytes_max=1000)
    exchange = await asked(UNTIL_CLOSE, b"salt" * 1000, 30.0, watch=watch)
    assert (exchange.ending, len(exchange.body), exchange.failure) == (Ending.LEFT, 1000, "")
    assert exchange.ended_s < 2.0


async def test_the_head_may_take_longer_than_silence_in_the_body():
    watch = Watch(0.4, 10.0, head_s=5.0)
    exchange = await asked(0.8, CHUNKED, chunk(A), 30.0, watch=watch)
    assert (exchange.ending, exchange.body) == (Ending.STILL_OPEN, A)
    assert 1.2 <= exchange.ended_s < 1.2 + SLACK_S


async def test_a_head_that_does_not_come_is_given_up():
    exchange = await asked(30.0, watch=Watch(0.2, 10.0, head_s=0.6))
    assert (exchange.ending, exchange.status) == (Ending.STILL_OPEN, None)
    assert 0.6 <= exchange.ended_s < 0.6 + SLACK_S


@pytest.mark.parametrize("resets", [False, True])
async def test_we_leave_when_we_are_told_to(resets):
    watch = Watch(5.0, 10.0, leaves=after_first_bytes(0.1), resets=resets)
    async with RawServer([CHUNKED, 0.1, chunk(A), 30.0]) as server:
        exchange = await ask(make_question(server.url), watch)
        await server.left.wait()
    assert (exchange.ending, exchange.body) == (Ending.LEFT, A)
    assert 0.2 <= exchange.ended_s < 0.2 + SLACK_S


async def test_we_can_leave_before_the_head():
    watch = Watch(5.0, 10.0, leaves=lambda at_s, body_bytes: at_s >= 0.1)
    exchange = await asked(30.0, watch=watch)
    assert (exchange.ending, exchange.status, exchange.head_s) == (Ending.LEFT, None, None)


async def test_the_question_is_sent_as_it_is_told():
    async with RawServer([whole(b"")]) as server:
        question = make_question(server.url + "/a?b", data=b'{"prompt":"hi"}')
        exchange = await ask(question, WATCH, way=Way(version=HTTP_10))
        assert server.requests[0].startswith(b"POST /a?b HTTP/1.0\r\n")
        assert server.bodies == [b'{"prompt":"hi"}']
    assert exchange.question == question
