"""One call over a real socket: what the sink hears, in order, and what becomes of the socket."""

import asyncio
import gzip
import os
import socket
import time

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.limits import Limits
from finalstop.upstream import calls
from finalstop.upstream.contract import UpstreamRequest
from tests.upstream.kinds import each_kind, over, upstream_at  # noqa: F401
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
from tests.upstream.sinks import RecordingSink

POST = UpstreamRequest("POST", "/v1/messages", {"content-type": "application/json"}, b'{"a":1}')
GET = UpstreamRequest("GET", "/v1/models", {})
HEALTHY = [CHUNKED + chunk(b"hel"), chunk(b"lo"), LAST_CHUNK]
SILENCE = [60.0]
# Closing is one turn of the loop, under a millisecond; the rest is what a busy machine needs.
AT_ONCE_S = 0.1


def ask(upstream, sink, request=POST, *, attempts=1, window_s=5.0):
    retry_until = asyncio.get_running_loop().time() + window_s
    sink.call = upstream.call(request, sink, attempts=attempts, retry_until=retry_until)
    return sink.call


async def told(upstream, request=POST, on_data=None, **options):
    """One call to its end; the sink that heard it."""
    sink = RecordingSink(on_data)
    ask(upstream, sink, request, **options)
    await sink.ended()
    return sink


async def seconds_until_left(server, since):
    async with asyncio.timeout(2):
        await server.left.wait()
    return server.connections[-1].left_at - since


# --- what comes of a request -----------------------------------------------------------------

TRUNCATED, INVALID = EndReason.TRUNCATED, EndReason.UPSTREAM_INVALID
GZIPPED = EVENT_STREAM + b"content-encoding: gzip\r\n\r\n"
PACKED = gzip.compress(b"hello" * 100, mtime=0)

# name, moves, the end, the body
ANSWERS = [
    ("a healthy stream", HEALTHY, "eof", b"hello"),
    ("in one write", [b"".join(HEALTHY)], "eof", b"hello"),
    ("with a length", [whole(b"hello")], "eof", b"hello"),
    ("until close", [UNTIL_CLOSE + b"hello", Move.FIN], "eof", b"hello"),
    ("an empty body", [CHUNKED + LAST_CHUNK], "eof", b""),
    ("204", [b"HTTP/1.1 204 No Content\r\n\r\n"], "eof", b""),
    ("HTTP/1.0", [b"HTTP/1.0 200 OK\r\n\r\nhello", Move.FIN], "eof", b"hello"),
    ("103, then 200", [b"HTTP/1.1 103 Early Hints\r\n\r\n" + b"".join(HEALTHY)], "eof", b"hello"),
    ("chunks with extensions", [CHUNKED + b"5;x=y\r\nhello\r\n" + LAST_CHUNK], "eof", b"hello"),
    ("trailers", [CHUNKED + chunk(b"hello") + b"0\r\nx: y\r\n\r\n"], "eof", b"hello"),
    ("gzip", [GZIPPED + PACKED, Move.FIN], "eof", b"hello" * 100),
    ("gzip, byte by byte", [GZIPPED, *(bytes([b]) for b in PACKED), Move.FIN], "eof",
     b"hello" * 100),
    ("gzip cut before its trailer", [GZIPPED + PACKED[:-8], Move.FIN], TRUNCATED, b"hello" * 100),
    ("gzip cut, in a proper body",
     [whole(PACKED[:-8], headers=b"content-encoding: gzip\r\n")], TRUNCATED, b"hello" * 100),
    ("gzip of nothing at all", [whole(b"", headers=b"content-encoding: gzip\r\n")], TRUNCATED, b""),
    ("not the gzip it says", [GZIPPED + b"hello there", 1.0], INVALID, b""),
    ("br", [whole(b"x", headers=b"content-encoding: br\r\n")], INVALID, b""),
    ("no last chunk", [CHUNKED + chunk(b"hello"), 0.01, Move.FIN], TRUNCATED, b"hello"),
    ("reset in a chunked body", [CHUNKED + chunk(b"hello"), 0.01, Move.RST], TRUNCATED, b"hello"),
    ("reset in a close-delimited one", [UNTIL_CLOSE + b"hello", 0.01, Move.RST], TRUNCATED,
     b"hello"),
    ("cut in a chunk", [CHUNKED + b"9\r\nhello", 0.01, Move.FIN], TRUNCATED, b"hello"),
    ("short of its length", [EVENT_STREAM + b"content-length: 9\r\n\r\nhello", 0.01, Move.FIN],
     TRUNCATED, b"hello"),
    ("closed before the head", [Move.FIN], TRUNCATED, b""),
    ("reset before the head", [Move.RST], TRUNCATED, b""),
    ("closed inside the head", [b"HTTP/1.1 200 OK\r\nx: ", Move.FIN], TRUNCATED, b""),
    ("a bad chunk size", [CHUNKED + chunk(b"hello"), 0.01, b"zz\r\nhello\r\n", 1.0], INVALID,
     b"hello"),
    ("a bad chunk size at once", [CHUNKED + b"zz\r\nhello\r\n", 1.0], INVALID, b""),
    ("not HTTP", [b"SSH-2.0-OpenSSH\r\n", 1.0], INVALID, b""),
    ("a huge head", [b"HTTP/1.1 200 OK\r\nx: " + b"a" * 40_000 + b"\r\n\r\n", 1.0], INVALID, b""),
    ("a head of many lines", [b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 500 + b"\r\n", 1.0], INVALID,
     b""),
    ("length and chunks at once",
     [EVENT_STREAM + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 1.0],
     INVALID, b""),
    ("a redirect", [whole(b"", status="307 Away", headers=b"location: http://evil/\r\n")], 307,
     b""),
    ("a protocol switch", [b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"],
     101, b""),
    ("a refusal", [whole(b'{"type":"error"}', status="400 Bad")], 400, b'{"type":"error"}'),
    ("a compressed refusal",
     [whole(PACKED, status="529 Over", headers=b"content-encoding: gzip\r\n")], 529,
     b"hello" * 100),
    ("a refusal in an unknown coding",
     [whole(b"?", status="500 Bad", headers=b"content-encoding: br\r\n")], 500, b""),
    ("a refusal that breaks off",
     [b"HTTP/1.1 500 Bad\r\ncontent-length: 9\r\n\r\nsorr", 0.01, Move.FIN], 500, b"sorr"),
    ("a refusal with a bad chunk",
     [b"HTTP/1.1 500 Bad\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"sorr"), 0.01, b"zz\r\n"],
     500, b"sorr"),
    ("a refusal without end",
     [b"HTTP/1.1 500 Bad\r\n\r\n" + b"x" * 100_000, 1.0], 500, b"x" * calls.DRAIN_BYTES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("moves", "end", "body"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
async def test_every_answer_comes_to_its_one_end(moves, end, body):
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert (sink.end, sink.body) == (end, body)


async def test_a_refusal_is_not_waited_for_longer_than_its_bound(monkeypatch):
    monkeypatch.setattr("finalstop.upstream.bodies.REFUSAL_S", 0.1)
    moves = [b"HTTP/1.1 500 Bad\r\ncontent-length: 99\r\n\r\nsorry", *SILENCE]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert (sink.end, sink.body) == (500, b"sorry")


async def test_what_the_sink_hears_is_complete_and_in_order():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert sink.said[:3] == [("connected",), ("written",), ("responded", 200)]
        assert sink.letters.startswith("cwRd")
        assert sink.head.headers["content-type"] == "text/event-stream"


async def test_a_request_without_a_body_is_written_too():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, GET)
        assert sink.said[:2] == [("connected",), ("written",)]


async def test_one_read_is_one_push():
    pieces = [b"a" * 500] * 20
    moves = [CHUNKED, 0.01, b"".join(chunk(piece) for piece in pieces), 0.01, LAST_CHUNK]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert sink.chunks == [b"".join(pieces)]


async def test_a_head_that_repeats_a_header_keeps_both_values():
    moves = [whole(b"", headers=b"X-Limit: 1\r\nx-limit: 2\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        assert (await told(upstream)).head.headers["x-limit"] == "1, 2"


async def test_a_detail_names_the_place_and_quotes_nothing():
    moves = [b"HTTP/1.1 200 OK\r\nx: " + b"secret" * 10_000 + b"\r\n\r\n"]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        assert server.where in sink.detail
        assert "secret" not in sink.detail


async def test_a_bomb_ends_at_its_cap():
    bomb = gzip.compress(bytes(300_000), mtime=0)
    limits = Limits(stream_bytes=100_000, event_bytes=50_000)
    moves = [whole(bomb, headers=b"content-encoding: gzip\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url, limits=limits) as upstream:
        sink = await told(upstream)
        assert sink.end is EndReason.UPSTREAM_INVALID
        assert "100000 bytes" in sink.detail
        assert len(sink.body) <= 100_000


# --- retries ---------------------------------------------------------------------------------

OVERLOADED = [whole(b"busy", status="529 Overloaded", headers=b"retry-after-ms: 10\r\n")]


async def test_a_refusal_that_may_pass_is_asked_again_and_nobody_hears_of_it():
    async with RawServer(OVERLOADED, HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, attempts=2)
        assert sink.end == "eof"
        assert sink.letters.startswith("cwcwR")
        assert server.bodies == [POST.body, POST.body]
        # The refusal had come whole: its connection served the second attempt.
        assert server.on_connection == [1, 1]


async def test_attempts_run_out_and_the_last_refusal_is_told():
    async with RawServer(OVERLOADED) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, attempts=3)
        assert (sink.end, sink.body, len(server.requests)) == (529, b"busy", 3)


async def test_a_retry_after_beyond_the_window_is_passed_on_at_once():
    moves = [whole(b"", status="429 Slow", headers=b"retry-after: 30\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        began = time.monotonic()
        sink = await told(upstream, attempts=5)
        assert (sink.end, len(server.requests)) == (429, 1)
        assert sink.head.headers["retry-after"] == "30"
        assert time.monotonic() - began < 0.5


async def test_nothing_is_retried_once_a_stream_has_begun():
    moves = [CHUNKED + chunk(b"hello"), 0.01, Move.FIN]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        assert (await told(upstream, attempts=3)).end is EndReason.TRUNCATED
        assert len(server.requests) == 1


async def test_a_request_that_was_written_is_not_sent_twice():
    async with RawServer([Move.FIN]) as server, upstream_at(server.url) as upstream:
        assert (await told(upstream, attempts=3)).end is EndReason.TRUNCATED
        assert len(server.requests) == 1


# --- the pool --------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [POST, GET], ids=["POST", "GET"])
@pytest.mark.parametrize("death", [Move.FIN, Move.RST])
async def test_a_kept_connection_that_was_dead_is_not_an_attempt(death, request_):
    scripts = [HEALTHY, [death], HEALTHY]
    async with RawServer(*scripts) as server, upstream_at(server.url) as upstream:
        assert (await told(upstream)).end == "eof"
        sink = await told(upstream, request_, attempts=1)
        assert sink.end == "eof"
        assert server.on_connection == [1, 1, 2]


async def test_the_one_free_retry_takes_a_new_connection_and_is_the_only_one():
    scripts = [[CHUNKED, 0.02, LAST_CHUNK], [CHUNKED, 0.02, LAST_CHUNK], [Move.FIN], [Move.FIN]]
    async with RawServer(*scripts) as server, upstream_at(server.url) as upstream:
        first, second = RecordingSink(), RecordingSink()
        ask(upstream, first)
        ask(upstream, second)
        await first.ended()
        await second.ended()
        assert (await told(upstream)).end is EndReason.TRUNCATED
        kept, fresh = server.on_connection[2:]
        assert kept in {1, 2}
        assert fresh == 3


async def test_bytes_that_nobody_asked_for_are_not_the_next_calls_answer():
    forged = whole(b"evil")
    scripts = [[CHUNKED + chunk(b"a"), 0.02, LAST_CHUNK + forged], HEALTHY]
    async with RawServer(*scripts) as server, upstream_at(server.url) as upstream:
        await told(upstream)
        await asyncio.sleep(0.02)
        assert (await told(upstream)).body == b"hello"
        assert server.on_connection == [1, 2]


async def test_an_idle_connection_that_greets_late_is_not_used():
    scripts = [[CHUNKED + LAST_CHUNK, 0.02, whole(b"evil")], HEALTHY]
    async with RawServer(*scripts) as server, upstream_at(server.url) as upstream:
        await told(upstream)
        await asyncio.sleep(0.06)
        assert (await told(upstream)).body == b"hello"


# --- release ---------------------------------------------------------------------------------


def release(sink):
    sink.call.release()


async def test_a_released_call_says_nothing_more_and_its_connection_is_reused():
    moves = [CHUNKED + chunk(b"last"), 0.02, chunk(b"late"), 0.02, LAST_CHUNK]
    async with RawServer(moves, HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(release)
        await over(ask(upstream, sink))
        assert (sink.body, sink.end) == (b"last", None)
        assert (await told(upstream)).body == b"hello"
        assert server.on_connection == [1, 1]


async def test_the_drain_is_bounded_in_time(monkeypatch):
    monkeypatch.setattr(calls, "DRAIN_S", 0.05)
    moves = [CHUNKED + chunk(b"last"), *SILENCE]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(release)
        began = time.monotonic()
        call = ask(upstream, sink)
        assert await seconds_until_left(server, began) < 0.05 + 2 * AT_ONCE_S
        await over(call)


async def test_the_drain_is_bounded_in_bytes():
    flood = [chunk(b"x" * 10_000)] * 20
    moves = [CHUNKED + chunk(b"last"), 0.02, *flood, *SILENCE]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        began = time.monotonic()
        ask(upstream, RecordingSink(release))
        assert await seconds_until_left(server, began) < 0.5


async def test_a_released_compressed_body_is_drained_without_being_unpacked():
    body = gzip.compress(b"last", mtime=0)
    head = CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n"
    scripts = [[head + chunk(body), 0.02, chunk(b"not gzip"), LAST_CHUNK], HEALTHY]
    async with RawServer(*scripts) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(release)
        await over(ask(upstream, sink))
        assert sink.body == b"last"
        await told(upstream)
        assert server.on_connection == [1, 1]


async def test_release_twice_and_cancel_after_it_are_no_surprise():
    moves = [CHUNKED + chunk(b"last"), *SILENCE]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(release)
        call = ask(upstream, sink)
        await sink.began.wait()
        await asyncio.sleep(0.01)
        call.release()
        began = time.monotonic()
        call.cancel()
        call.cancel()
        assert await seconds_until_left(server, began) < AT_ONCE_S


async def test_release_before_the_response_is_a_cancel():
    async with RawServer(SILENCE) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink)
        await asyncio.sleep(0.02)
        began = time.monotonic()
        call.release()
        assert await seconds_until_left(server, began) < AT_ONCE_S
        assert sink.end is None


@pytest.mark.parametrize("how", ["release", "cancel"])
async def test_a_late_word_does_not_touch_the_connection_of_the_next_call(how):
    slow = [CHUNKED + chunk(b"a"), 0.05, chunk(b"b") + LAST_CHUNK]
    async with RawServer(HEALTHY, slow) as server, upstream_at(server.url) as upstream:
        first, second = RecordingSink(), RecordingSink()
        old = ask(upstream, first)
        await first.ended()
        ask(upstream, second)
        await second.began.wait()
        getattr(old, how)()
        assert await second.ended() == "eof"
        assert (second.body, server.on_connection) == (b"ab", [1, 1])


# --- cancel ----------------------------------------------------------------------------------


def cancel(sink):
    sink.call.cancel()


# name, moves, how long until cancel, the request
MOMENTS = [
    ("before the head", SILENCE, 0.03, POST),
    ("before the head of a GET", SILENCE, 0.03, GET),
    ("after the head", [CHUNKED, *SILENCE], 0.03, POST),
    ("inside the body", [CHUNKED + chunk(b"hello"), *SILENCE], 0.03, POST),
    ("inside a refusal", [b"HTTP/1.1 500 Bad\r\ncontent-length: 9\r\n\r\n", *SILENCE], 0.03, POST),
]


@pytest.mark.parametrize(
    ("moves", "after_s", "request_"), [row[1:] for row in MOMENTS], ids=[row[0] for row in MOMENTS]
)
async def test_cancel_closes_the_socket_at_once_and_ends_the_talk(moves, after_s, request_):
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink, request_)
        await asyncio.sleep(after_s)
        said = list(sink.said)
        began = time.monotonic()
        call.cancel()
        assert await seconds_until_left(server, began) < AT_ONCE_S
        await over(call)
        assert (sink.said, sink.end) == (said, None)


def read_to_the_end(listener):
    """What a peer sees that reads only now: True for an end, False for silence."""
    with listener.accept()[0] as late:
        late.settimeout(1)
        try:
            while late.recv(1 << 20):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


async def test_cancel_does_not_wait_for_a_request_that_a_stalled_upstream_will_not_take():
    big = UpstreamRequest("POST", "/v1/messages", {}, bytes(16 * 1024 * 1024))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with upstream_at(f"http://127.0.0.1:{listener.getsockname()[1]}") as upstream:
            sink = RecordingSink()
            call = ask(upstream, sink, big)
            await asyncio.sleep(0.05)
            assert sink.letters == "c"
            call.cancel()
            await over(call)
            await asyncio.sleep(0)
            assert read_to_the_end(listener)


async def test_cancel_between_two_attempts_starts_no_other():
    moves = [whole(b"", status="529 Over", headers=b"retry-after-ms: 50\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        call = ask(upstream, RecordingSink(), attempts=3)
        await asyncio.sleep(0.03)
        call.cancel()
        await asyncio.sleep(0.08)
        assert len(server.requests) == 1


async def test_cancel_from_inside_data_is_heard_at_once():
    moves = [CHUNKED + chunk(b"one"), 0.02, chunk(b"two"), *SILENCE]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(cancel)
        call = ask(upstream, sink)
        await over(call)
        assert sink.body == b"one"
        await seconds_until_left(server, time.monotonic())


async def test_cancel_from_inside_data_stops_the_unpacking():
    moves = [whole(gzip.compress(bytes(500_000), mtime=0), headers=b"content-encoding: gzip\r\n")]
    async with RawServer(moves) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink(cancel)
        await over(ask(upstream, sink))
        assert len(sink.chunks) == 1


async def test_cancel_before_the_loop_has_turned_sends_nothing():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink)
        call.cancel()
        await asyncio.sleep(0.02)
        assert (sink.said, server.connections) == ([], [])


async def test_cancel_of_a_call_that_is_over_is_nothing():
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream)
        sink.call.cancel()
        sink.call.release()
        assert (await told(upstream)).end == "eof"
        assert server.on_connection == [1, 1]


# --- the unexpected --------------------------------------------------------------------------


async def test_a_sink_that_raises_ends_its_call_alone_and_is_reported():
    def raise_(sink):
        raise LookupError("a bug in a sink")

    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, it: reported.append(it))
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, on_data=raise_)
        assert sink.end is EndReason.INTERNAL_ERROR
        assert "LookupError" in sink.detail
        await asyncio.sleep(0)
        assert [type(it["exception"]) for it in reported] == [LookupError]
        assert (await told(upstream)).end == "eof"


async def test_a_task_that_somebody_else_cancels_still_ends_its_stream():
    async with RawServer(SILENCE) as server, upstream_at(server.url) as upstream:
        sink = RecordingSink()
        call = ask(upstream, sink)
        await asyncio.sleep(0.02)
        call.task.cancel()
        assert await sink.ended() is EndReason.INTERNAL_ERROR


async def test_a_large_request_arrives_whole_and_written_is_said_after_it():
    body = os.urandom(3 * 1024 * 1024)
    big = UpstreamRequest("POST", "/v1/messages", {}, body)
    async with RawServer(HEALTHY) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, big)
        assert server.bodies == [body]
        assert sink.letters.startswith("cwR")


async def test_an_answer_that_comes_before_the_request_is_written_is_told():
    big = UpstreamRequest("POST", "/v1/messages", {}, bytes(16 * 1024 * 1024))
    early = whole(b"too much", status="413 Large")
    async with RawServer(greeting=early, deaf=True) as server, upstream_at(server.url) as upstream:
        sink = await told(upstream, big)
        assert (sink.end, sink.body) == (413, b"too much")
        assert await seconds_until_left(server, time.monotonic()) < 0.5
