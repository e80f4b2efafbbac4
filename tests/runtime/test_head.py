"""The response head: true while it can be, and never more than it should say."""

from __future__ import annotations

import json

import pytest

from finalstop.core.endings import EndReason, Refusal
from finalstop.runtime.head import error_head, head_of, refusal_head, view_head
from finalstop.runtime.relay import NotAcceptingError
from finalstop.wire.formats import FORMATS, encoder_for
from tests import builders as b
from tests.runtime.fakes import Bench


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.close()


@pytest.mark.parametrize("format", FORMATS)
async def test_a_stream_that_has_begun_is_200_and_a_view_nobody_may_buffer(bench, format):
    stream, source = bench.open()
    source.producer.receive([b.message_start()])
    encoder = encoder_for(format)
    head = await head_of(stream, encoder, commit_s=5.0)
    assert head == view_head(stream, encoder)
    assert (head.status, head.body) == (200, None)
    assert head.headers["content-type"] == encoder.content_type
    assert head.headers["cache-control"] == "no-cache, no-transform"
    assert head.headers["x-accel-buffering"] == "no"
    assert head.headers["finalstop-stream-id"] == stream.id


async def test_the_head_is_not_held_longer_than_the_commit_window(bench):
    stream, _ = bench.open()
    assert (await head_of(stream, encoder_for("text"), commit_s=1e-9)).status == 200


# how the stream failed, the status, x-should-retry, retry-after
FAILURES = [
    (lambda it: it.eof(), 502, "true", None),
    (lambda it: it.end(EndReason.DRAINING), 503, "true", "2"),
    (lambda it: it.refused(Refusal(401, {"type": "authentication_error"})), 401, "false", None),
    (lambda it: it.refused(Refusal(429, {"type": "rate_limit_error"}, 1.2)), 429, "true", "2"),
]


@pytest.mark.parametrize(("fails", "status", "retry", "after"), FAILURES)
async def test_a_stream_that_failed_at_once_has_its_true_status(bench, fails, status, retry, after):
    stream, source = bench.open()
    fails(source.producer)
    head = await head_of(stream, encoder_for("text"), commit_s=5.0)
    assert head.status == status
    assert head.headers["content-type"] == "application/json"
    assert head.headers["x-should-retry"] == retry
    assert head.headers.get("retry-after") == after
    assert head.body is not None
    said = json.loads(head.body)
    assert said["type"] == "error"
    assert said["finalstop"]["stream"] == stream.id


async def test_the_upstreams_own_retry_after_stays_as_it_was(bench):
    stream, source = bench.open()
    source.producer.upstream_headers = {"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}
    source.producer.refused(Refusal(429, {"type": "rate_limit_error"}, 3.0))
    assert stream.ended is not None
    assert error_head(stream, stream.ended).headers["retry-after"].startswith("Fri,")


@pytest.mark.parametrize(("draining", "status"), [(True, 503), (False, 529)])
def test_a_stream_that_was_not_opened_is_refused_in_the_apis_words(draining, status):
    head = refusal_head(NotAcceptingError("10 streams are live", draining=draining))
    assert head.status == status
    assert head.headers["retry-after"] == "2"
    assert head.body is not None
    error = json.loads(head.body)["error"]
    assert error["type"] == "overloaded_error"
    assert "10 streams are live" in error["message"]
