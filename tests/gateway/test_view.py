"""A view has its client's connection for itself, and gives it back for the next request."""

import asyncio
import gc
import json
import weakref
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import HttpVersion11

from finalstop.gateway import view as view_module
from finalstop.gateway.speaker import Speaker
from finalstop.gateway.view import EARLY_BYTES, View, head_bytes
from finalstop.simulator import CallEnd
from tests.gateway.served import ASK, logged, request, served, until
from tests.simulator.rawclient import connect

ON_BOTH_LOOPS = True

STREAM = json.dumps(ASK | {"stream": True}).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(STREAM), STREAM)
LAST_CHUNK = b"\r\n0\r\n\r\n"
QUICK, SLOW = "x-simulator: text,words=3", "x-simulator: text,words=40,pace_ms=50"


def asking(*headers, body=STREAM, version="1.1"):
    sent = request("POST", "/v1/messages", body, *headers, version=version)
    return sent.replace(b"connection: close\r\n", b"")


async def read_answer(reader):
    async with asyncio.timeout(5):
        return await reader.readuntil(LAST_CHUNK)


async def begun(gateway, script=SLOW):
    """A stream that is under way, and its client."""
    reader, writer = await connect(gateway.url)
    writer.write(asking(script))
    async with asyncio.timeout(5):
        await reader.readuntil(b"text_delta")
    return reader, writer


def cut_at(*places):
    def cut(sent):
        ends = [*places, len(sent)]
        return [sent[a:b] for a, b in zip([0, *places], ends, strict=True)]

    return cut


HEAD_ENDS = asking(QUICK).index(b"\r\n\r\n") + 4
# how the request comes: its pieces, each in a read of its own
WAYS = {
    "at once": (asking(QUICK), cut_at()),
    "the body later": (asking(QUICK), cut_at(HEAD_ENDS)),
    "the head in pieces": (asking(QUICK), cut_at(30, HEAD_ENDS - 2)),
    "the body in chunks": (asking(QUICK, "transfer-encoding: chunked", body=CHUNKED), cut_at()),
    "after an empty line": (b"\r\n" + asking(QUICK), cut_at()),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_connection_serves_stream_after_stream_however_its_requests_come(way):
    sent, cut = WAYS[way]
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        for _ in range(3):
            for piece in cut(sent):
                writer.write(piece)
                await asyncio.sleep(0.02)
            answer = await read_answer(reader)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.count(b"event: message_stop") == 1
        writer.transport.abort()


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_follows_what_is_no_stream_and_is_followed_by_it(way):
    sent, cut = WAYS[way]
    health = request("GET", "/healthz").replace(b"connection: close\r\n", b"")
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        for _ in range(2):
            writer.write(health)
            async with asyncio.timeout(5):
                assert await reader.readuntil(b'{"status": "ok"}')
            for piece in cut(sent):
                writer.write(piece)
                await asyncio.sleep(0.02)
            assert b"event: message_stop" in await read_answer(reader)
        writer.transport.abort()


@pytest.mark.parametrize("next_", [1, 20, HEAD_ENDS, len(asking(QUICK)) - 1, len(asking(QUICK))])
async def test_of_the_next_request_nothing_is_lost_that_came_in_the_same_read(next_):
    one = asking("x-simulator: text,words=3,pace_ms=50")
    two = asking(QUICK)
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(one + two[:next_])
        assert b"event: message_stop" in await read_answer(reader)
        writer.write(two[next_:])
        assert b"event: message_stop" in await read_answer(reader)
        assert len(gateway.simulator.calls) == 2
        writer.transport.abort()


async def test_the_next_request_waits_for_the_answer_that_is_under_way():
    async with served() as gateway:
        reader, writer = await begun(gateway, "x-simulator: text,words=10,pace_ms=30")
        for piece in cut_at(10, 60)(asking(QUICK)):
            writer.write(piece)
            await asyncio.sleep(0.02)
        assert b"event: message_stop" in await read_answer(reader)
        assert len(gateway.simulator.calls) == 1
        assert b"event: message_stop" in await read_answer(reader)
        writer.transport.abort()


async def test_a_client_that_has_sent_its_next_request_early_is_missed_all_the_same():
    async with served() as gateway:
        _, writer = await begun(gateway, "x-simulator: stall@mid-text")
        writer.write(asking(QUICK))
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await until(lambda: gateway.call.ended is CallEnd.PEER_CLOSED, within_s=3)


async def test_a_large_request_that_comes_early_is_answered_in_its_turn():
    large = json.dumps(ASK | {"stream": True, "system": "x" * 3_000_000}).encode()
    async with served() as gateway:
        reader, writer = await begun(gateway)
        writer.write(asking(QUICK, body=large))
        assert b"event: message_stop" in await read_answer(reader)
        assert b"event: message_stop" in await read_answer(reader)
        assert len(gateway.simulator.calls) == 2
        writer.transport.abort()


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", "/v1/messages", STREAM, QUICK),
        asking(QUICK, version="1.0"),
    ],
    ids=["connection: close", "HTTP/1.0"],
)
async def test_a_connection_that_is_not_kept_is_closed_with_the_last_byte(sent):
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(sent)
        async with asyncio.timeout(5):
            answer = await reader.read(-1)
        assert answer.count(b"event: message_stop") == 1
        assert answer.endswith(LAST_CHUNK) == (b"HTTP/1.1" in answer)
        await until(lambda: not gateway.relay.watched)
        writer.transport.abort()


async def test_a_connection_that_asks_no_more_is_closed_in_the_end(monkeypatch):
    monkeypatch.setattr(view_module, "KEEPALIVE_S", 0.1)
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(asking(QUICK))
        await read_answer(reader)
        async with asyncio.timeout(5):
            assert await reader.read(-1) == b""
        writer.transport.abort()


async def test_a_connection_that_asked_again_is_not_closed_for_its_silence_before(monkeypatch):
    monkeypatch.setattr(view_module, "KEEPALIVE_S", 0.3)
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(asking(QUICK))
        await read_answer(reader)
        writer.write(asking("x-simulator: text,words=60,pace_ms=60"))
        asked_at = asyncio.get_running_loop().time()
        assert b"event: message_stop" in await read_answer(reader)
        assert asyncio.get_running_loop().time() - asked_at > 0.4
        writer.transport.abort()


@pytest.mark.parametrize("moment", ["while it streams", "while it waits"])
async def test_closing_the_gateway_closes_the_connections_that_views_have(moment):
    async with served() as gateway:
        if moment == "while it streams":
            reader, writer = await begun(gateway)
        else:
            reader, writer = await connect(gateway.url)
            writer.write(asking(QUICK))
            await read_answer(reader)
    async with asyncio.timeout(5):
        rest = await reader.read(-1)
    assert (b'"reason":"draining"' in rest) == (moment == "while it streams")
    writer.transport.abort()


async def test_a_cancelled_view_is_cut_and_leaves():
    async with served() as gateway:
        reader, writer = await begun(gateway)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "view"]
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readuntil(LAST_CHUNK)
        await until(lambda: gateway.call.ended is CallEnd.PEER_CLOSED, within_s=2)
        writer.transport.abort()


@pytest.mark.slow
async def test_a_reader_that_takes_nothing_is_cut_and_the_log_says_so():
    async with served(write_s=1.0) as gateway:
        _, writer = await connect(gateway.url)
        writer.transport.pause_reading()
        writer.write(asking("x-simulator: flood@mid-text,bytes=20000000"))
        await until(lambda: gateway.lines_of("view_cut"))
        (line,) = gateway.lines_of("view_cut")
        assert line["why"] == "the reader took nothing for write_s=1"
        assert line["stream"] == gateway.lines_of("stream_ended")[0]["stream"]
        writer.transport.abort()


async def test_a_reader_that_leaves_is_no_news():
    async with served() as gateway:
        _, writer = await begun(gateway)
        writer.transport.abort()
        await until(lambda: gateway.lines_of("stream_ended"))
        assert not gateway.lines_of("view_cut")


@pytest.mark.parametrize("way", WAYS)
async def test_who_asks_for_another_protocol_is_answered_and_let_go(way):
    sent, cut = WAYS[way]
    head, blank, body = sent.partition(b"content-type")
    sent = head + b"connection: upgrade\r\nupgrade: websocket\r\n" + blank + body
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        for piece in cut(sent):
            writer.write(piece)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            answer = await reader.read(-1)
        assert b"connection: close\r\n" in answer
        assert answer.count(b"event: message_stop") == 1
        writer.transport.abort()


def speakers_and_views():
    # Not isinstance: others' objects may do anything when asked.
    return [it for it in gc.get_objects() if type(it) in (Speaker, View)]


@pytest.mark.parametrize("end", ["leaves", "is answered", "is answered and let go"])
@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_left_of_a_connection_when_it_is_over(way, end):
    sent, cut = WAYS[way]
    if end == "leaves":
        sent = sent.replace(b"text,words=3", b"stall@mid-tx")[: len(sent)]
        sent = sent.replace(b"stall@mid-tx", b"stall@mid-text")
    elif end == "is answered and let go":
        sent = sent.replace(b"content-type", b"connection: close\r\ncontent-type")
    async with served() as gateway:
        gc.collect()
        before = len(speakers_and_views())
        reader, writer = await connect(gateway.url)
        for piece in cut(sent):
            writer.write(piece)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            await reader.readuntil(b"text_delta" if end == "leaves" else LAST_CHUNK)
        writer.transport.abort()
        await until(lambda: not gateway.relay.live)
        await until(lambda: gc.collect() >= 0 and len(speakers_and_views()) <= before)


async def test_a_client_that_is_lost_between_handler_and_view_is_cut_and_missed(monkeypatch):
    finish = Speaker.finish_response

    async def loses(self, request, resp, start_time):
        done = await finish(self, request, resp, start_time)
        self._task_handler.cancel()
        return done

    monkeypatch.setattr(Speaker, "finish_response", loses)
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(asking(SLOW))
        async with asyncio.timeout(5):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readuntil(LAST_CHUNK)
        await until(lambda: gateway.call.ended is CallEnd.PEER_CLOSED, within_s=2)
        assert not gateway.relay.watched
        writer.transport.abort()


@pytest.mark.parametrize("way", WAYS)
async def test_a_view_that_finds_its_connection_full_waits_and_leaves_it_as_it_was(
    way, monkeypatch
):
    sent = WAYS[way][0].replace(b"words=3", b"words=3,pace_ms=60")
    finish = Speaker.finish_response

    async def is_full(self, request, resp, start_time):
        transport = self.transport
        self.pause_writing()  # aiohttp asserts that it is not paused already
        asyncio.get_running_loop().call_later(
            0.05, lambda: transport.get_protocol().resume_writing()
        )
        return await finish(self, request, resp, start_time)

    monkeypatch.setattr(Speaker, "finish_response", is_full)
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        for _ in range(2):
            writer.write(sent)
            assert b"event: message_stop" in await read_answer(reader)
            await asyncio.sleep(0.1)
        writer.transport.abort()


# -- by itself, on a transport that is none --------------------------------------------------------


class Transport:
    """A connection as a view sees it; it takes what it is given only when told to."""

    def __init__(self, *, closing=False):
        self.wire = b""
        self.held = b""
        self.writes = 0
        self.takes = True
        self.closing = closing
        self.aborted = False
        self.reads = True
        self.protocol: Any = None

    def set_protocol(self, protocol):
        self.protocol = protocol

    def set_write_buffer_limits(self, high=None):
        if high == 0 and self.held:
            self.protocol.pause_writing()

    def get_write_buffer_size(self):
        return len(self.held)

    def write(self, data):
        self.writes += 1
        if self.takes:
            self.wire += data
        else:
            self.held += data

    def take(self):
        self.wire, self.held = self.wire + self.held, b""
        self.protocol.resume_writing()

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = self.aborted = True


class Reception(set):
    """Takes connections back."""

    is_closing = False

    def __init__(self):
        super().__init__()
        self.spoken = 0

    @property
    def views(self):
        return self

    def __call__(self):
        self.spoken += 1
        return SimpleNamespace(
            connection_made=lambda _transport: None, data_received=lambda _data: None
        )


class Stream:
    """A stream whose view is what `acts` do."""

    id = "s"

    def __init__(self, *acts):
        self.acts = acts

    async def view(self, _encoder, outlet):
        for act in self.acts:
            await act(outlet)


class Presence:
    left = 0

    def pass_on(self):
        return self

    def leave(self):
        self.left += 1


async def says(outlet):
    outlet.end(b"a")


async def begins(outlet):
    outlet.write(b"a")


async def is_cut(_outlet):
    raise ConnectionAbortedError("the reader took nothing for write_s=1")


async def has_left(_outlet):
    raise ConnectionResetError("gone")


async def breaks(_outlet):
    raise ZeroDivisionError("CANARY")


def a_view(*acts, transport=None, is_there=True, reusable=True):
    made: Any = SimpleNamespace(
        transport=transport or Transport(), presence=Presence(), reception=Reception()
    )
    transport = made.transport if is_there else None
    asked: Any = SimpleNamespace(
        version=HttpVersion11, transport=transport, keep_alive=reusable, headers={}
    )
    made.stream = Stream(*acts)
    encoder: Any = None
    made.view = View(made.stream, encoder, made.presence, asked, {"a": "b"})
    return made


def body_of(made):
    """What was written after the head."""
    head, blank, body = made.transport.wire.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\na: b\r\n")
    assert blank
    return body


async def over(made, *, parked=None, is_full=False):
    made.view.begin(made.reception, parked, is_full=is_full)
    await until(lambda: made.presence.left)
    await asyncio.sleep(0)


async def test_a_view_ends_its_body_and_waits_with_the_connection():
    made = a_view(says)
    await over(made)
    assert body_of(made) == b"1\r\na\r\n0\r\n\r\n"
    assert made.reception == {made.view}
    assert not made.transport.closing
    made.view.connection_lost(None)
    assert made.reception == set()


@pytest.mark.parametrize("pauses", [False, True])
async def test_the_head_goes_with_the_first_words_but_does_not_wait_for_them(pauses):
    async def waits(_outlet):
        await asyncio.sleep(0.02)
        assert made.transport.wire.endswith(b"\r\n\r\n")

    made = a_view(*[waits] * pauses, says)
    await over(made)
    assert body_of(made) == b"1\r\na\r\n0\r\n\r\n"
    assert made.transport.writes == 1 + pauses


async def test_on_a_connection_that_is_closing_a_view_leaves_at_once():
    made = a_view(says, transport=Transport(closing=True))
    made.view.begin(made.reception, None, is_full=False)
    assert (made.presence.left, made.transport.protocol) == (1, None)


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_view_that_does_not_begin_cuts_its_connection(is_there):
    made = a_view(says, is_there=is_there)
    made.view.drop()
    assert (made.presence.left, made.transport.aborted) == (1, is_there)


@pytest.mark.parametrize(
    ("act", "event", "says_"),
    [
        (is_cut, "view_cut", "took nothing"),
        (has_left, None, ""),
        (breaks, "view_failed", "ZeroDivisionError"),
    ],
)
async def test_a_view_that_does_not_come_to_its_end_is_cut_and_told(act, event, says_):
    made = a_view(begins, act)
    with logged() as log:
        await over(made)
    assert made.transport.aborted
    assert not made.transport.wire.endswith(b"0\r\n\r\n")
    assert "CANARY" not in log.getvalue()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ([event] if event else [])
    assert says_ in log.getvalue()


async def test_a_connection_that_waits_keeps_nothing_of_its_stream():
    made = a_view(says)
    stream = weakref.ref(made.stream)
    await over(made)
    made.stream = None
    gc.collect()
    assert stream() is None
    assert made.reception == {made.view}


async def test_a_view_that_is_cancelled_before_its_first_step_leaves_and_is_cut():
    made = a_view(says)
    made.view.begin(made.reception, None, is_full=False)
    made.view._task.cancel()
    await until(lambda: made.presence.left)
    assert made.transport.aborted


async def test_nobody_waits_for_the_last_bytes_of_a_client_that_has_gone():
    async def closes(_outlet):
        made.transport.close()

    made = a_view(says, closes)
    made.transport.takes = False
    await over(made)
    assert made.transport.aborted


async def test_a_gateway_that_closes_keeps_no_connection():
    made = a_view(says)
    made.reception.is_closing = True
    await over(made)
    assert made.transport.closing
    assert not made.transport.aborted


async def test_a_transport_that_is_full_from_the_first_is_waited_for():
    async def waits(outlet):
        await outlet.drain()

    made = a_view(waits, says)
    made.view.begin(made.reception, None, is_full=True)
    await asyncio.sleep(0.02)
    assert body_of(made) == b""
    made.view.resume_writing()
    await until(lambda: body_of(made))


@pytest.mark.parametrize(("size", "reads_on"), [(EARLY_BYTES - 1, True), (EARLY_BYTES, False)])
async def test_of_what_comes_early_only_so_much_is_read_and_none_of_it_lost(size, reads_on):
    given: list[object] = []
    parked: Any = SimpleNamespace(connection_made=given.append, data_received=given.append)
    made = a_view(says)
    made.view.begin(made.reception, parked, is_full=False)
    made.view.data_received(b"x" * size)
    assert made.transport.reads is reads_on
    await until(lambda: len(given) == 2)
    assert made.transport.reads
    assert given[1] == b"x" * size


async def test_who_has_heard_of_the_next_request_speaks_next():
    heard: list[object] = []
    parked: Any = SimpleNamespace(connection_made=heard.append, data_received=heard.append)
    made = a_view(says)
    await over(made, parked=parked)
    assert (made.transport.protocol, heard) == (parked, [made.transport])
    assert made.reception.spoken == 0
    assert made.reception == set()


# -- the head --------------------------------------------------------------------------------------

# chunked, kept, the lines beside the headers and the date
HEADS = [
    (True, True, [b"HTTP/1.1 200 OK", b"transfer-encoding: chunked"]),
    (True, False, [b"HTTP/1.1 200 OK", b"transfer-encoding: chunked", b"connection: close"]),
    (False, False, [b"HTTP/1.0 200 OK"]),
]


@pytest.mark.parametrize(("chunked", "is_kept", "lines"), HEADS)
def test_a_head_says_how_its_body_is_framed_and_what_becomes_of_the_connection(
    chunked, is_kept, lines
):
    wire = head_bytes({"x-a": "1", "x-b": "\u00e9"}, chunked=chunked, is_kept=is_kept)
    assert wire.endswith(b"\r\n\r\n")
    said = wire[:-4].split(b"\r\n")
    (date,) = [line for line in said if line.startswith(b"date: ")]
    assert parsedate_to_datetime(date[6:].decode()).tzinfo is UTC
    assert said == [lines[0], b"x-a: 1", b"x-b: \xc3\xa9", date, *lines[1:]]


@pytest.mark.parametrize("value", ["a\r\nx-c: 1", "a\nb", "a\rb", "\r\n\r\n<script>", "a\0b"])
def test_no_header_breaks_out_of_its_line(value):
    with pytest.raises(ValueError, match="a header holds"):
        head_bytes({"x-a": value}, chunked=True, is_kept=True)
