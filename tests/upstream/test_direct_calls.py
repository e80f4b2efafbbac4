"""What is `DirectCall`'s own; the laws of every call are run over both kinds in `test_calls`."""

import asyncio

from finalstop.core.endings import EndReason
from tests.upstream.kinds import direct_to, each_kind, upstream_at  # noqa: F401
from tests.upstream.servers import CHUNKED, LAST_CHUNK, Move, RawServer, chunk, whole
from tests.upstream.sinks import RecordingSink
from tests.upstream.test_calls import HEALTHY, ask, told


async def test_a_greeting_is_an_answer_only_to_who_asked():
    # A whole answer that comes with the connection: the call hears of the connection first.
    async with (
        RawServer(greeting=whole(b"early"), deaf=True) as server,
        upstream_at(server.url) as upstream,
    ):
        sink = await told(upstream)
        assert sink.letters.startswith("c")
        assert sink.body in {b"", b"early"}


async def test_the_end_of_one_answer_and_a_sink_that_asks_again_are_no_surprise():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        again = RecordingSink()

        class Asks(RecordingSink):
            def eof(self):
                super().eof()
                ask(upstream, again)

        sink = Asks()
        ask(upstream, sink)
        assert await again.ended() == "eof"
        assert again.body == b"hello"


async def test_what_is_said_after_a_malformed_piece_is_not_heard():
    moves = [CHUNKED + chunk(b"one") + b"zz\r\n" + chunk(b"two") + LAST_CHUNK, 1.0]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert sink.end is EndReason.UPSTREAM_INVALID
        assert b"two" not in sink.body


async def test_what_was_said_before_a_malformed_piece_of_the_same_read_is_heard():
    moves = [CHUNKED, 0.02, chunk(b"one") + chunk(b"two") + b"zz\r\n", 1.0]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert (sink.end, sink.body) == (EndReason.UPSTREAM_INVALID, b"onetwo")


async def test_half_an_answer_on_a_kept_connection_is_not_asked_for_again():
    half = [b"HTTP/1.1 200 OK\r\ncontent-", 0.01, Move.FIN]
    async with RawServer(HEALTHY, half, HEALTHY) as server, upstream_at(server.url) as upstream:
        assert (await told(upstream)).end == "eof"
        assert (await told(upstream)).end is EndReason.TRUNCATED
        assert server.on_connection == [1, 1]


async def test_calls_that_are_cut_give_their_turns_back():
    cut = [CHUNKED + chunk(b"x"), 0.01, Move.RST]
    async with (
        RawServer(cut, cut, cut, HEALTHY) as server,
        direct_to(server.url, connections_max=2) as upstream,
    ):
        ends = [(await told(upstream)).end for _ in range(4)]
        assert ends == [*[EndReason.TRUNCATED] * 3, "eof"]


async def test_a_call_holds_nothing_once_it_is_over():
    cut = [CHUNKED + chunk(b"x"), 0.01, Move.RST]
    async with RawServer(HEALTHY, cut) as server, direct_to(server.url) as upstream:
        for end in ("eof", EndReason.TRUNCATED):
            sink = await told(upstream)
            assert sink.end == end
            await asyncio.wait({sink.call.task})
            held = (sink.call._connection, sink.call._reader, sink.call._sink)
            assert held == (None, None, None)
