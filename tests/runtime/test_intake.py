"""The intake: chunks of an upstream's body in, events and one end out, however it was cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import MappingProxyType

import pytest

from finalstop.core.endings import EndReason
from finalstop.core.events import Event
from finalstop.core.limits import DEFAULTS, Limits
from finalstop.core.receipt import Ended
from finalstop.log.memory import MemoryLog
from finalstop.runtime import intake as intake_module
from finalstop.runtime.intake import SSEIntake, UpstreamSource
from finalstop.runtime.producer import Producer
from finalstop.upstream.contract import Call, ResponseHead, Sink, UpstreamRequest
from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import SSEDecoder
from tests import builders as b
from tests.log.followers import Listener
from tests.runtime.fakes import FakeClock, RecordingCall, RecordingWatcher

HEAD = ResponseHead(200, {"content-type": "text/event-stream; charset=utf-8", "request-id": "r1"})


class Rig:
    """An intake, the producer it feeds and the log behind."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.clock = FakeClock()
        log = MemoryLog(limits)
        self.producer = Producer(
            "s1", log=log, limits=limits, clock=self.clock, watcher=RecordingWatcher()
        )
        self.told = Listener()
        log.follow("s1", self.told)
        self.sink: Sink = SSEIntake(self.producer, limits)

    def feed(self, *chunks: bytes) -> Rig:
        self.sink.responded(HEAD)
        for chunk in chunks:
            self.sink.data(chunk)
        return self

    @property
    def logged(self) -> list[str]:
        """The types of the events in the log, and the reason of the end."""
        entries = b.apart(entry.event for batch in self.told.batches for entry in batch)
        return [it.reason if isinstance(it, Ended) else it.type for it in entries]

    @property
    def ended(self) -> Ended:
        assert self.producer.ended is not None
        return self.producer.ended


def wire(*events: Event) -> bytes:
    return b"".join(encode_frame(event.json, event=event.type) for event in events)


ANSWER = wire(*b.answer("The sea ", "is né 🌊"))
LOGGED = [event.type for event in b.answer("", "")[:-1]] + ["complete"]


# -- chunks to events -----------------------------------------------------------------------------


def in_pieces(body: bytes, size: int) -> Iterable[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 200, 10_000])
def test_chunk_boundaries_never_change_what_is_logged(size):
    rig = Rig().feed(*in_pieces(ANSWER, size))
    assert rig.logged == LOGGED
    events = b.apart(entry.event for batch in rig.told.batches for entry in batch)
    assert [it.json for it in events] == [it.json for it in b.answer("The sea ", "is né 🌊")]


def test_one_read_is_one_batch():
    rig = Rig().feed(ANSWER[:-40], ANSWER[-40:])
    assert len(rig.told.batches) == 2


def test_bytes_that_are_no_whole_event_log_nothing_and_show_that_the_upstream_lives():
    rig = Rig().feed()
    rig.clock.advance(3.0)
    rig.sink.data(b": comment\n\nevent: message_st")
    assert rig.logged == []
    assert rig.producer.life.clocks.heard_at == rig.clock.now


def test_the_end_is_at_message_stop_and_not_at_the_end_of_the_body():
    rig = Rig().feed(ANSWER)
    assert rig.ended.reason is EndReason.COMPLETE


def test_everything_after_the_end_is_discarded():
    rig = Rig().feed(ANSWER + wire(b.error()) + b"data: {not json\n\n", ANSWER)
    rig.sink.eof()
    rig.sink.failed(EndReason.TRUNCATED, "reset")
    rig.sink.refused(ResponseHead(500, {}), b"late")
    assert rig.logged == LOGGED


# -- how the request makes its way ----------------------------------------------------------------


def test_the_steps_of_the_request_are_timed():
    rig = Rig()
    rig.sink.connected()
    rig.clock.advance(0.5)
    rig.sink.written()
    clocks = rig.producer.life.clocks
    assert clocks.connected_at == 100.0
    assert clocks.written_at == 100.5


def test_of_the_head_what_goes_on_is_kept_and_its_request_id_for_the_receipt():
    rig = Rig().feed(ANSWER)
    assert rig.producer.upstream_headers == {"request-id": "r1"}
    assert rig.ended.receipt.request_id == "r1"


# content types of a 2xx answer, whether they can be a stream
CONTENT_TYPES = [
    ("text/event-stream", True),
    ("text/event-stream; charset=utf-8", True),
    ("Text/Event-Stream ;charset=utf-8", True),
    ("application/json", False),
    ("text/html; charset=utf-8", False),
    ("text/event-streams", False),
    ("", False),
]


@pytest.mark.parametrize(("content_type", "streams"), CONTENT_TYPES)
def test_only_an_event_stream_is_read_as_one(content_type, streams):
    rig = Rig()
    rig.sink.responded(ResponseHead(200, {"content-type": content_type}))
    rig.sink.data(ANSWER)
    assert rig.logged == (LOGGED if streams else ["upstream_invalid"])


def test_an_answer_that_is_no_event_stream_is_named():
    rig = Rig()
    rig.sink.responded(ResponseHead(200, {"content-type": "text/html"}))
    assert "text/html" in rig.ended.receipt.detail
    assert "text/event-stream" in rig.ended.receipt.detail
    bare = Rig()
    bare.sink.responded(ResponseHead(204, {}))
    assert "204" in bare.ended.receipt.detail


# -- what is wrong with the body ------------------------------------------------------------------

BAD_JSON = b"event: content_block_delta\ndata: {not json\n\n"
BAD_SHAPE = b'data: {"type":"content_block_delta","index":"zero"}\n\n'
BAD_UTF8 = b'data: {"type":"ping","x":"\xff"}\n\n'
NO_TYPE = b'data: {"hello":1}\n\n'


@pytest.mark.parametrize("bad", [BAD_JSON, BAD_SHAPE, BAD_UTF8, NO_TYPE])
@pytest.mark.parametrize("cut", [True, False], ids=["own chunk", "same chunk"])
def test_a_malformed_event_ends_the_stream_after_the_good_ones_before_it(bad, cut):
    good, late = wire(*b.answer("Salt.")[:3]), wire(*b.answer("Salt.")[3:])
    rig = Rig().feed(*([good, bad, late] if cut else [good + bad + late]))
    assert rig.logged == [
        "message_start", "content_block_start", "content_block_delta", "upstream_invalid",
    ]  # fmt: skip
    assert rig.ended.receipt.detail


def test_a_malformed_event_after_message_stop_changes_nothing():
    assert Rig().feed(ANSWER + BAD_JSON).logged == LOGGED


def test_an_event_over_its_bound_ends_the_stream_and_names_the_bound():
    limits = Limits(event_bytes=1024)
    good = wire(b.message_start(), b.text_start())
    rig = Rig(limits).feed(good + b"data: " + b"x" * 5000)
    assert rig.logged == ["message_start", "content_block_start", "upstream_invalid"]
    assert "1024" in rig.ended.receipt.detail


def test_a_body_that_ends_between_two_events_is_truncated():
    rig = Rig().feed(wire(b.message_start(), b.text_start()))
    rig.sink.eof()
    assert rig.ended.reason is EndReason.TRUNCATED
    assert "2 events" in rig.ended.receipt.detail


def test_a_body_that_ends_inside_an_event_says_so_and_repeats_nothing_of_the_answer():
    rig = Rig().feed(wire(b.message_start()), wire(b.text_delta("the secret answer"))[:-1])
    rig.sink.eof()
    assert rig.ended.reason is EndReason.TRUNCATED
    assert "into an event" in rig.ended.receipt.detail
    assert "secret" not in rig.ended.receipt.detail


def test_a_message_stop_without_its_blank_line_is_no_end():
    rig = Rig().feed(ANSWER[:-1])
    rig.sink.eof()
    assert rig.ended.reason is EndReason.TRUNCATED


# -- no stream at all -----------------------------------------------------------------------------


def test_a_refusal_keeps_its_status_its_error_and_its_request_id():
    rig = Rig()
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r2"}'
    rig.sink.refused(ResponseHead(529, {"content-type": "application/json"}), error)
    assert rig.logged == ["upstream_error"]
    assert rig.ended.status == 529
    assert rig.ended.error["type"] == "overloaded_error"
    assert rig.ended.receipt.request_id == "r2"


@pytest.mark.parametrize(
    "reason", [EndReason.UNREACHABLE, EndReason.TRUNCATED, EndReason.UPSTREAM_INVALID]
)
def test_a_failure_is_the_upstreams_own_reason(reason):
    rig = Rig()
    rig.sink.failed(reason, "connection refused")
    assert rig.logged == [reason]
    assert rig.ended.receipt.detail == "connection refused"


# -- our own bugs ---------------------------------------------------------------------------------


class BugError(Exception):
    """Something of ours that is wrong."""


def raising(*_args: object, **_options: object) -> None:
    raise BugError("the secret prompt")


def test_a_bug_in_the_decoding_ends_the_stream_and_tells_only_its_kind(monkeypatch):
    monkeypatch.setattr(intake_module, "decode_event", raising)
    rig = Rig().feed(ANSWER)
    assert rig.logged == ["internal_error"]
    assert "BugError" in rig.ended.receipt.detail
    assert "secret" not in rig.ended.receipt.detail


def test_a_bug_on_the_way_of_a_refusal_ends_the_stream_too(monkeypatch):
    monkeypatch.setattr(intake_module, "decode_refusal", raising)
    rig = Rig()
    rig.sink.refused(ResponseHead(429, {}), b"")
    assert rig.logged == ["internal_error"]


def test_a_bug_on_the_way_of_the_last_byte_ends_the_stream_too(monkeypatch):
    monkeypatch.setattr(SSEDecoder, "close", raising)
    rig = Rig().feed(wire(b.message_start()))
    rig.sink.eof()
    assert rig.logged == ["message_start", "internal_error"]


# -- the source -----------------------------------------------------------------------------------


class RecordingUpstream:
    """An upstream that writes down what it was asked. Keeps as much of the contract as is used."""

    def __init__(self) -> None:
        self.asked: list[tuple[UpstreamRequest, int, float]] = []
        self.sinks: list[Sink] = []
        self.under_way = RecordingCall()

    def call(
        self, request: UpstreamRequest, sink: Sink, *, attempts: int, retry_until: float
    ) -> Call:
        self.asked.append((request, attempts, retry_until))
        self.sinks.append(sink)
        return self.under_way

    async def fetch(self, request, *, timeout_s):
        raise NotImplementedError

    async def close(self):
        raise NotImplementedError


def test_a_source_asks_once_and_feeds_its_producer():
    upstream, rig = RecordingUpstream(), Rig()
    request = UpstreamRequest("POST", "/v1/messages", {}, b"{}")
    source = UpstreamSource(upstream, request, attempts=2, limits=DEFAULTS)
    assert source.start(rig.producer) is upstream.under_way
    # Attempts may start only as long as the head can still tell the truth.
    assert upstream.asked == [(request, 2, 100.0 + DEFAULTS.commit_s)]
    [sink] = upstream.sinks
    sink.responded(HEAD)
    sink.data(ANSWER)
    assert rig.logged == LOGGED


def test_a_plain_request_dict_becomes_a_request_for_a_stream():
    upstream, rig = RecordingUpstream(), Rig()
    fields = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "né"}]}
    limits = Limits(attempts_own=3, commit_s=2.0)
    for given in (fields, {**fields, "stream": False}, MappingProxyType(fields)):
        UpstreamSource.of(upstream, given, limits=limits).start(rig.producer)
    headers = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
    for request, attempts, retry_until in upstream.asked:
        assert (request.method, request.path) == ("POST", "/v1/messages")
        assert request.headers == headers
        assert json.loads(request.body) == {**fields, "stream": True}
        assert (attempts, retry_until) == (3, 100.0 + 2.0)
    assert len(upstream.asked) == 3
    assert "stream" not in fields


@pytest.mark.parametrize(("named", "at_once"), [({}, False), ({"at_once": True}, True)])
def test_a_plain_request_is_read_at_once_if_that_is_asked_for(named, at_once):
    upstream, rig = RecordingUpstream(), Rig()
    UpstreamSource.of(upstream, {"model": "m"}, **named).start(rig.producer)
    assert [request.at_once for request, *_ in upstream.asked] == [at_once]


# what is given as a request, what is said of it
NO_REQUESTS = [
    ("Why?", "must be a dict of the Messages API's fields, not str"),
    ([], "must be a dict of the Messages API's fields, not list"),
    ({"model": object()}, "type object is unsupported"),
]


@pytest.mark.parametrize(("given", "said"), NO_REQUESTS)
def test_what_is_no_request_is_named(given, said):
    with pytest.raises(TypeError, match=said):
        UpstreamSource.of(RecordingUpstream(), given)
