"""What is `DirectCall`'s own; the laws of every call are run over both kinds in `test_calls`."""

import asyncio
import socket

import pytest

from finalstop.core.endings import EndReason
from finalstop.upstream import calls
from finalstop.upstream.contract import UpstreamRequest
from tests.upstream.kinds import direct_to, each_kind, over, upstream_at  # noqa: F401
from tests.upstream.servers import (
    CHUNKED,
    LAST_CHUNK,
    UNTIL_CLOSE,
    Move,
    RawServer,
    chunk,
    whole,
)
from tests.upstream.sinks import RecordingSink
from tests.upstream.test_calls import HEALTHY, SILENCE, ask, told


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
            await over(sink.call)
            held = (sink.call._connection, sink.call._reader, sink.call._sink)
            assert held == (None, None, None)


# --- a bug of ours ---------------------------------------------------------------------------


class Broken(RecordingSink):
    """Raises at one of the things that it is told, after it has noted it."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def note(self, letter, *what):
        super().note(letter, *what)
        if letter == self.at:
            raise LookupError("a bug in a sink")


# where it is, what the call's server plays, what the sink hears from then on
BUGS = [
    ("c", HEALTHY, "f"),
    ("w", HEALTHY, "f"),
    ("R", HEALTHY, "f"),
    ("d", HEALTHY, "f"),
    ("d", [UNTIL_CLOSE + b"x", 0.01, Move.FIN], "f"),
    # Who has heard of the end hears of no other.
    ("e", HEALTHY, ""),
    ("e", [UNTIL_CLOSE + b"x", 0.01, Move.FIN], ""),
    ("r", [whole(b"no", status="400 Bad")], ""),
    ("f", [CHUNKED, 0.01, Move.FIN], ""),
    ("f", [Move.FIN], ""),
]


@pytest.mark.parametrize(("at", "moves", "then"), BUGS)
async def test_a_bug_of_ours_ends_its_stream_once_and_is_reported_once(at, moves, then):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, it: reported.append(it))
    async with RawServer(moves) as server, direct_to(server.url) as upstream:
        sink = Broken(at)
        call = ask(upstream, sink)
        await over(call)
        await asyncio.sleep(0.02)
        assert sink.letters.partition(at)[2].lstrip(at) == then
        if then:
            assert (sink.end, "LookupError" in sink.detail) == (EndReason.INTERNAL_ERROR, True)
        assert [type(it["exception"]) for it in reported] == [LookupError]
        assert (call.task, call._connection, upstream._calls) == (None, None, set())


async def test_a_bug_after_the_head_closes_the_connection_while_the_upstream_still_talks():
    class Bug(RecordingSink):
        def data(self, chunk):
            raise LookupError("a bug in a sink")

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    moves = [CHUNKED, 0.02, chunk(b"x"), *SILENCE]
    async with RawServer(moves) as server, direct_to(server.url) as upstream:
        sink = Bug()
        call = ask(upstream, sink)
        await sink.began.wait()
        await asyncio.sleep(0.01)
        assert call.task is None
        assert await sink.ended() is EndReason.INTERNAL_ERROR
        assert call not in upstream._calls
        async with asyncio.timeout(1):
            await server.left.wait()


# --- somebody else's cancel ------------------------------------------------------------------


# what the server plays, how long until it comes: None for before the task has begun
CANCELS = [
    (SILENCE, None),
    (SILENCE, 0.0),
    (SILENCE, 0.02),
    ([b"HTTP/1.1 500 Bad\r\ncontent-length: 9\r\n\r\n", *SILENCE], 0.02),
    ([whole(b"", status="529 Over", headers=b"retry-after-ms: 500\r\n")], 0.02),
]


@pytest.mark.parametrize(("moves", "after_s"), CANCELS)
async def test_who_cancels_the_task_from_outside_ends_the_stream(moves, after_s):
    async with RawServer(moves) as server, direct_to(server.url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink, attempts=2)
        if after_s is not None:
            await asyncio.sleep(after_s)
        assert call.task is not None
        call.task.cancel()
        assert await sink.ended() is EndReason.INTERNAL_ERROR
        await over(call)
        assert upstream._calls == set()


# --- an answer that comes early --------------------------------------------------------------


class Early(asyncio.Protocol):
    """Answers once it has a part of the request, goes on reading, and ends at its end."""

    def __init__(self, length):
        self.left = length
        self.began = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if not self.began:
            self.began = True
            self.left += data.index(b"\r\n\r\n") + 4
            self.transport.write(CHUNKED + chunk(b"early"))
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(0.05, self.transport.resume_reading)
        self.left -= len(data)
        if self.left == 0:
            self.transport.write(chunk(b" and whole") + LAST_CHUNK)


async def test_who_streams_before_it_has_read_the_whole_request_still_gets_the_rest():
    big = UpstreamRequest("POST", "/v1/messages", {}, bytes(16 * 1024 * 1024))
    server = await asyncio.get_running_loop().create_server(
        lambda: Early(len(big.body)), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, direct_to(url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink, big)
        await sink.began.wait()
        await asyncio.sleep(0.01)
        assert call.task is not None  # it writes
        assert await sink.ended() == "eof"
        assert (sink.body, sink.letters[:2]) == (b"early and whole", "cR")
        await over(call)
        assert len(upstream._well.kept._idle) == 1


@pytest.mark.parametrize("how", ["release", "cancel"])
async def test_who_lets_go_while_the_request_is_still_written_leaves_nothing(how, monkeypatch):
    waits, wait = [], asyncio.wait

    def counted(*args, **options):
        waits.append(args)
        return wait(*args, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    monkeypatch.setattr(calls, "DRAIN_S", 0.05)
    big = UpstreamRequest("POST", "/v1/messages", {}, bytes(16 * 1024 * 1024))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with direct_to(f"http://127.0.0.1:{listener.getsockname()[1]}") as upstream:
            sink = RecordingSink()
            call = ask(upstream, sink, big)
            async with asyncio.timeout(2):
                while sink.letters != "c":  # noqa: ASYNC110 - a sink has no event for it
                    await asyncio.sleep(0.001)
            with listener.accept()[0] as stalled:
                stalled.sendall(CHUNKED + chunk(b"x"))
                await sink.began.wait()
                waits.clear()
                await asyncio.sleep(0.02)
                assert call.task is not None  # it writes
                assert len(waits) <= 1  # the answer wakes it once, and then it waits for room
                getattr(call, how)()
                await over(call)
            assert (sink.end, call.task, upstream._calls) == (None, None, set())
