"""The ASGI application: one request, one stream, one proper end or a cut."""

from __future__ import annotations

import asyncio
import json

import pytest

from finalstop.adapters.asgi import StreamApp, client_left, raw_headers
from finalstop.core.endings import EndReason, Refusal
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.runtime.head import Head
from tests import builders as b
from tests.adapters.answers import Unread
from tests.adapters.fake_asgi import SCOPE, FakeClient
from tests.runtime.fakes import Bench, ScriptedSource, reason_of, reported_bugs, settle

LONG = "x" * 100_000


class Request:
    """One request to a StreamApp, under way."""

    def __init__(self, bench: Bench, client: FakeClient | None = None, **options) -> None:
        self.bench = bench
        self.client = client or FakeClient()
        self.source = ScriptedSource()
        self.app = StreamApp(self.source, relay=bench.relay, **options)
        self.task = bench.task(self.app(dict(SCOPE), self.client.receive, self.client.send))

    @property
    def stream(self):
        (stream,) = self.bench.relay._streams.values()
        return stream

    async def says(self, *events) -> None:
        """The upstream says this."""
        await settle()
        self.source.producer.receive(events)
        await settle()


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


def last_word(client):
    return json.loads(client.body.decode().rstrip().rpartition("data: ")[2])


# -- the ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["anthropic", "text"])
async def test_a_whole_answer_is_sent_in_order_and_ended_properly(bench, format):
    request = Request(bench, format=format)
    await request.says(*b.answer("Salt."))
    await request.task
    assert request.client.status == 200
    assert request.client.headers["content-type"].startswith("text/event-stream")
    assert request.client.headers["finalstop-stream-id"] == request.stream.id
    assert b"Salt." in request.client.body
    assert request.client.is_whole
    assert reason_of(request.stream) is EndReason.COMPLETE
    assert not request.stream.watched


async def test_a_truncated_answer_ends_properly_and_says_so(bench):
    request = Request(bench, format="text")
    await request.says(b.message_start(), b.text_start(), b.text_delta("Sa"))
    request.source.producer.eof()
    await request.task
    assert last_word(request.client)["reason"] == "truncated"
    assert request.client.is_whole


# what fails before the head, the status
AT_ONCE = [
    (lambda it: it.refused(Refusal(429, {"type": "rate_limit_error"}, 1.5)), 429),
    (lambda it: it.eof(), 502),
    (lambda it: it.receive([b.error()]), 529),
]


@pytest.mark.parametrize(("fails", "status"), AT_ONCE)
async def test_what_fails_before_the_head_has_its_true_status_and_a_whole_body(
    bench, fails, status
):
    request = Request(bench)
    await settle()
    fails(request.source.producer)
    await request.task
    assert request.client.status == status
    assert json.loads(request.client.body)["type"] == "error"
    assert request.client.headers["content-length"] == str(len(request.client.body))
    assert request.client.is_whole


async def test_the_head_goes_out_after_the_commit_window_also_without_an_event():
    bench = Bench(Limits(commit_s=0.01))
    request = Request(bench)
    await asyncio.sleep(0.05)
    assert request.client.status == 200
    assert [it["type"] for it in request.client.sent[1:]] == ["http.response.body"]
    assert not request.client.is_whole
    await request.says(*b.answer("Salt."))
    await request.task
    assert request.client.is_whole
    await bench.close()


async def test_nothing_is_sent_while_the_head_is_held(bench):
    request = Request(bench)
    await settle()
    await request.says(b.ping())
    assert request.client.sent == []


# -- the client leaves ----------------------------------------------------------------------------

# when it leaves, what has been said by then
MOMENTS = [
    ("before the head", ()),
    ("mid-stream", (b.message_start(), b.text_start(), b.text_delta("Sa"))),
    ("while it takes nothing", (b.message_start(), b.text_start(), b.text_delta(LONG))),
]


@pytest.mark.parametrize(("moment", "said"), MOMENTS, ids=[row[0] for row in MOMENTS])
async def test_a_client_that_leaves_takes_its_upstream_call_with_it(bench, moment, said):
    request = Request(bench, FakeClient(takes="nothing" not in moment))
    await request.says(*said)
    request.client.leave()
    await settle()
    assert request.task.done()
    assert request.task.exception() is None
    assert reason_of(request.stream) is EndReason.ABANDONED
    assert request.source.call.fate == ["cancelled"]
    assert not request.stream.watched


async def test_a_stream_that_lingers_outlives_its_client(bench):
    request = Request(bench, linger_s=5.0)
    await request.says(b.message_start())
    request.client.leave()
    await settle()
    assert request.task.done()
    assert request.stream.ended is None
    bench.sweep_for(5.1)
    assert reason_of(request.stream) is EndReason.ABANDONED


async def test_a_reader_that_takes_nothing_is_cut_after_write_s_and_the_body_with_it():
    bench = Bench(Limits(write_s=5.0))
    request = Request(bench, FakeClient(takes=False))
    await request.says(b.message_start(), b.text_start(), b.text_delta(LONG))
    bench.sweep_for(5.2)
    await settle()
    assert isinstance(request.task.exception(), ConnectionError)
    assert "write_s" in str(request.task.exception())
    assert not request.client.is_whole
    assert reason_of(request.stream) is EndReason.ABANDONED
    await bench.close()


async def test_what_the_server_breaks_is_raised_and_the_stream_is_left(bench):
    request = Request(bench)
    await request.says(b.message_start())
    request.client.breaks(LookupError("no such connection"))
    await settle()
    assert isinstance(request.task.exception(), LookupError)
    assert reason_of(request.stream) is EndReason.ABANDONED


async def test_an_encoder_with_a_bug_makes_the_server_cut_the_body(bench):
    request = Request(bench)
    await request.says(b.message_start())

    def broken(entry: object) -> bytes:
        raise LookupError("no such index")

    setattr(request.app._opening.encoder, "encode", broken)  # noqa: B010 - it has none to give
    with reported_bugs():
        await request.says(b.text_start())
    assert isinstance(request.task.exception(), LookupError)
    assert not request.client.is_whole


# -- the server goes ------------------------------------------------------------------------------


async def test_a_server_that_cancels_us_ends_the_stream_draining_and_the_reader_is_told(bench):
    request = Request(bench, format="text")
    await request.says(b.message_start(), b.text_start(), b.text_delta("Sa"))
    request.task.cancel()
    await settle()
    assert request.task.cancelled()
    assert reason_of(request.stream) is EndReason.DRAINING
    assert last_word(request.client)["reason"] == "draining"
    assert request.client.is_whole


async def test_a_server_that_cancels_us_before_the_head_gets_a_true_status(bench):
    request = Request(bench)
    await settle()
    request.task.cancel()
    await settle()
    assert request.client.status == 503
    assert request.client.is_whole


async def test_a_stream_with_somebody_else_in_it_outlives_a_server_that_cancels_us(bench):
    request = Request(bench)
    await request.says(b.message_start())
    with request.stream.presence():
        request.task.cancel()
        await settle()
        assert request.task.cancelled()
        assert request.stream.ended is None


async def test_last_words_to_a_reader_that_takes_nothing_are_bounded(bench, monkeypatch):
    monkeypatch.setattr("finalstop.adapters.asgi.LAST_WORDS_S", 0.01)
    request = Request(bench, FakeClient(takes=False))
    await request.says(b.message_start())
    request.task.cancel()
    await asyncio.wait([request.task], timeout=1)
    assert request.task.cancelled()
    assert reason_of(request.stream) is EndReason.DRAINING


async def test_while_the_server_drains_a_request_is_refused_with_503_and_its_source_closed(bench):
    await bench.relay.drain()
    pulls = Unread()
    app = StreamApp(pulls, relay=bench.relay)
    client = FakeClient()
    await app(dict(SCOPE), client.receive, client.send)
    await settle()
    assert client.status == 503
    assert client.headers["retry-after"] == "2"
    assert client.is_whole
    assert pulls.closed


async def test_at_a_bound_a_request_is_refused_with_529():
    bench = Bench(Limits(max_streams=1))
    bench.open()
    request = Request(bench)
    await request.task
    assert request.client.status == 529
    assert json.loads(request.client.body)["error"]["type"] == "overloaded_error"
    await bench.close()


# -- what is asked --------------------------------------------------------------------------------


async def test_the_hook_gets_the_receipt_and_the_message(bench):
    saved = []
    request = Request(bench, on_end=lambda receipt, message: saved.append((receipt, message)))
    await request.says(*b.answer("Salt."))
    await settle()
    ((receipt, message),) = saved
    assert receipt.complete
    assert message["content"][0]["text"] == "Salt."


async def test_the_stream_belongs_to_its_principal(bench):
    request = Request(bench, principal="ann")
    await settle()
    assert request.stream.principal == "ann"


async def test_further_headers_stand_beside_ours(bench):
    request = Request(bench, headers=[(b"x-mine", b"1")])
    await request.says(*b.answer("Salt."))
    assert request.client.headers["x-mine"] == "1"


async def test_limits_of_its_own_are_kept(bench):
    request = Request(bench, limits=Limits(first_content_s=2.0))
    await settle()
    bench.sweep_for(2.1)
    await request.task
    assert request.client.status == 504


# what is asked, what is said about it
MISTAKES = [
    ({"source": 7}, TypeError, "int"),
    ({"source": [], "format": "morse"}, ValueError, "morse"),
]


@pytest.mark.parametrize(("asked", "error", "says"), MISTAKES)
def test_what_cannot_be_streamed_is_refused_before_anything_starts(asked, error, says):
    with pytest.raises(error, match=says):
        StreamApp(asked.pop("source"), **asked)


async def test_only_an_http_request_is_answered(bench):
    app = StreamApp(ScriptedSource(), relay=bench.relay)
    with pytest.raises(RuntimeError, match="websocket"):
        await app({"type": "websocket"}, FakeClient().receive, FakeClient().send)


async def test_what_is_left_of_the_requests_body_is_thrown_away():
    messages = [{"type": "http.request", "more_body": more} for more in (True, True, False)]
    messages.append({"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    await client_left(receive)
    assert messages == []


def test_a_header_that_no_wire_can_carry_costs_no_answer():
    head = Head(200, {"request-id": "№1"})
    assert raw_headers(head) == [(b"request-id", b"?1")]


async def test_a_head_that_nobody_takes_is_given_up_after_write_s():
    bench = Bench(Limits(write_s=0.01))

    async def send(message):
        await asyncio.Event().wait()

    source = ScriptedSource()
    app = StreamApp(source, relay=bench.relay)
    task = bench.task(app(dict(SCOPE), FakeClient().receive, send))
    await settle()
    source.producer.receive(b.answer("Salt."))
    await asyncio.wait([task], timeout=1)
    assert isinstance(task.exception(), TimeoutError)
    await bench.close()


def test_by_default_a_stream_has_the_default_limits():
    assert StreamApp([])._opening.limits is DEFAULTS
