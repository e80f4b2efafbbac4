"""One stream as a WSGI answer: its head, its body, its hook, and whoever leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest

from finalstop import Limits, MemoryLog, Relay
from finalstop.adapters.background import BackgroundRelay
from finalstop.adapters.wsgi import respond, status_line, stream_response
from tests.adapters.answers import HEALTHY

WAIT_S = 5.0
LIMITS = Limits(commit_s=0.05, write_s=0.3, keep_alive_s=0.5)


@pytest.fixture(scope="module")
def relay():
    """One for all: making a thread for each would be most of the work."""
    background = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))
    yield background
    background.close()


class Source:
    """An async source that begins, then is silent; `over` is set when it is closed."""

    def __init__(self, events=HEALTHY[:3]):
        self.events = events
        self.over = threading.Event()

    async def __aiter__(self):
        try:
            for event in self.events:
                yield event
            await asyncio.sleep(WAIT_S)
        finally:
            self.over.set()


class Ends:
    """Collects what a hook is told, and in which thread."""

    def __init__(self):
        self.told = threading.Event()

    def __call__(self, receipt, message):
        self.receipt, self.message = receipt, message
        self.thread = threading.current_thread().name
        self.told.set()

    def reason(self):
        assert self.told.wait(WAIT_S)
        return self.receipt.reason


def streamed(*source, **options):
    return stream_response(*source, **options)


def last_word(body):
    return json.loads(body.rpartition(b"data: ")[2])


def test_a_healthy_stream_is_a_head_and_its_frames(relay):
    status, headers, body = streamed(iter(HEALTHY), format="text", relay=relay)
    assert status == 200
    assert dict(headers)["content-type"] == "text/event-stream; charset=utf-8"
    assert dict(headers)["finalstop-stream-id"]
    assert "content-length" not in dict(headers)
    whole = b"".join(body)
    body.close()
    assert whole.startswith(b'id: 1-3\ndata: {"text":"Salt."}\n\n')
    assert last_word(whole)["reason"] == "complete"


def test_a_failure_within_the_window_is_a_status_and_a_whole_body(relay):
    status, headers, body = streamed(iter(()), relay=relay)
    whole = b"".join(body)
    assert status == 502
    assert dict(headers)["content-length"] == str(len(whole))
    assert json.loads(whole)["finalstop"]["reason"] == "truncated"


def test_plain_wsgi_gets_a_status_line(relay):
    started = []
    body = respond(
        {}, lambda *head: started.append(head), iter(HEALTHY), format="text", relay=relay
    )
    assert started[0][0] == "200 OK"
    assert last_word(b"".join(body))["event"] == "end"


STATUS_LINES = [
    (200, "200 OK"),
    (499, "499 Client Gone"),
    (529, "529 Overloaded"),
    (599, "599 Unknown"),
]


@pytest.mark.parametrize(("status", "line"), STATUS_LINES)
def test_every_status_has_a_line(status, line):
    assert status_line(status) == line


def test_the_head_does_not_wait_for_a_silent_upstream(relay):
    source = Source(events=[])
    status, _, body = streamed(source, format="text", relay=relay)
    assert status == 200
    assert next(body) == b": keep-alive\n\n"  # a WSGI server sends no head before the first bytes
    body.close()
    assert source.over.wait(WAIT_S)


@pytest.mark.slow
def test_a_silent_wire_gets_keep_alives(relay):
    _, _, body = streamed(Source(), format="text", relay=relay)
    assert b"Salt." in next(body)
    assert next(body) == b": keep-alive\n\n"
    body.close()


def test_closing_the_body_detaches_and_the_stream_is_abandoned(relay):
    source, ends = Source(), Ends()
    _, _, body = streamed(source, format="text", relay=relay, on_end=ends)
    assert b"Salt." in next(body)
    body.close()
    body.close()
    assert source.over.wait(WAIT_S)
    assert ends.reason() == "abandoned"
    with pytest.raises(ConnectionResetError):
        next(body)


@pytest.mark.slow
def test_a_stream_may_outlive_its_reader_by_its_linger(relay):
    source, ends = Source(), Ends()
    _, _, body = streamed(source, relay=relay, linger_s=0.3, on_end=ends)
    body.close()
    assert not source.over.wait(0.15)
    assert ends.reason() == "abandoned"


@pytest.mark.slow
def test_a_body_that_nobody_pulls_is_cut_after_write_s(relay):
    ends = Ends()
    source = Source()
    _, _, body = streamed(source, format="text", relay=relay, on_end=ends)
    assert next(body)  # and the server is stuck with it
    next(body)  # a keep-alive, and stuck again
    assert ends.reason() == "abandoned"
    with pytest.raises(ConnectionResetError):
        next(body)


def test_a_client_gone_before_the_head_gets_a_499(relay):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.close()
        environ = {"gunicorn.socket": ours, "SERVER_PROTOCOL": "HTTP/1.1"}
        source = Source(events=[])
        limits = Limits(commit_s=WAIT_S)
        status, _, body = streamed(source, environ=environ, relay=relay, limits=limits)
    assert (status, list(body)) == (499, [b""])


def test_a_blocking_hook_has_a_thread_of_its_own(relay):
    ends = Ends()
    _, _, body = streamed(iter(HEALTHY), relay=relay, on_end=ends)
    assert b"message_stop" in b"".join(body)
    assert ends.reason() == "complete"
    assert ends.message["content"] == [{"type": "text", "text": "Salt."}]
    assert ends.thread == "finalstop-on-end"


def test_an_async_hook_is_awaited_on_the_loop(relay):
    ends = Ends()

    async def hook(receipt, message):
        await asyncio.sleep(0)
        ends(receipt, message)

    b"".join(streamed(iter(HEALTHY), relay=relay, on_end=hook)[2])
    assert ends.reason() == "complete"
    assert ends.thread == "finalstop-relay"


# what is wrong,  the arguments,  the error,  what it names
MISUSE = [
    ("no stream", {"source": 7}, TypeError, "int"),
    ("no format", {"source": iter(()), "format": "morse"}, ValueError, "choose one of"),
    ("no such option", {"source": iter(()), "fromat": "text"}, TypeError, "fromat"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "named"), [row[1:] for row in MISUSE], ids=[row[0] for row in MISUSE]
)
def test_misuse_is_the_handlers_own_error(relay, arguments, error, named):
    with pytest.raises(error, match=named):
        streamed(**arguments, relay=relay)


def test_a_closed_or_draining_relay_says_so():
    background = BackgroundRelay(lambda: Relay(MemoryLog(LIMITS), LIMITS))
    b"".join(streamed(iter(HEALTHY), relay=background)[2])
    drained = threading.Event()
    background.drain(drained.set)
    assert drained.wait(WAIT_S)
    status, headers, _ = streamed(iter(HEALTHY), relay=background)
    assert (status, dict(headers)["retry-after"]) == (503, "2")
    background.close()
    with pytest.raises(RuntimeError):
        streamed(iter(HEALTHY), relay=background)


@pytest.mark.slow
def test_what_a_slow_thread_has_not_taken_waits_in_the_log_and_not_in_the_pipe(relay):
    big = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "x" * 100_000},
    }
    events = [*HEALTHY[:2], *[big] * 40, *HEALTHY[3:]]
    _, _, body = streamed(iter(events), format="text", relay=relay)
    pieces = [len(piece) for piece in body]
    assert sum(pieces) > 4_000_000
    assert max(pieces) < 1_000_000
