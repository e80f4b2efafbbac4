"""The round without a simulator: which requests are made, in which order, which are left out."""

from __future__ import annotations

import time
import zlib

import pytest

from finalstop.doctor.announce import Notice
from finalstop.doctor.http import make_question
from finalstop.doctor.observations import Call, Ending, Step
from finalstop.doctor.probe import TOO_MUCH
from finalstop.doctor.steps import ASK_BYTES_MAX, ORIGIN, SMALL_BYTES_MAX, Round, make_round
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk, whole

pytestmark = pytest.mark.slow

FRAME = b'id: 7-1\ndata: {"text":"a"}\n\n'
STREAM = [CHUNKED, chunk(FRAME), 0.3, chunk(FRAME), LAST_CHUNK]
REFUSED = [whole(b"no", status="404 Not Found")]


def round_of(url, *, time_s=10.0, hear=None, **question):
    announced: list[Notice] = []
    visit = Round(
        make_question(url, **question),
        window_s=2.0,
        deadline=time.monotonic() + time_s,
        announce=announced.append,
    )
    if hear:
        visit.hear = hear
    return visit, announced


def lines(requests):
    return [head.split(b"\r\n")[0].decode() for head in requests]


async def test_a_handful_of_requests_each_announced_before_it_is_made():
    async with RawServer(STREAM) as server:
        visit, announced = round_of(server.url + "/s", data=b"{}")
        await make_round(visit)
        asked = lines(server.requests)
    methods = ["POST", "POST", "POST", "HEAD", "OPTIONS", "GET"]
    assert asked == [f"{method} /s HTTP/1.1" for method in methods]
    steps = [
        Step.ASK, Step.LEAVE_BEFORE_HEAD, Step.LEAVE_MID_STREAM,
        Step.HEAD, Step.PREFLIGHT, Step.RECONNECT,
    ]  # fmt: skip
    assert list(visit.steps) == steps
    assert len(announced) == len(steps)
    assert all(notice.at_most_s > 0 for notice in announced)
    assert visit.steps[Step.ASK].body == FRAME * 2
    assert visit.steps[Step.LEAVE_MID_STREAM].ending is Ending.LEFT
    assert visit.untold == []


async def test_a_browser_reconnects_with_the_last_id_and_asks_before_it_posts():
    async with RawServer(STREAM) as server:
        visit, _ = round_of(server.url, data=b"{}")
        await make_round(visit)
        preflight, reconnect = server.requests[-2:]
    assert b"origin: " + ORIGIN.encode() in preflight.lower()
    assert b"access-control-request-method: POST" in preflight
    assert b"last-event-id: 7-1" in reconnect.lower()
    assert b"content-length" not in reconnect.lower()


async def test_without_an_id_the_reconnect_names_none():
    async with RawServer([whole(b"data: a\n\n")]) as server:
        visit, _ = round_of(server.url)
        await make_round(visit)
        assert b"last-event-id" not in server.requests[-1].lower()


async def test_an_endpoint_that_refuses_the_question_is_not_asked_it_again():
    async with RawServer(REFUSED) as server:
        visit, _ = round_of(server.url, data=b"{}")
        await make_round(visit)
        assert [line.split(" ")[0] for line in lines(server.requests)] == [
            "POST",
            "HEAD",
            "OPTIONS",
        ]


async def test_an_endpoint_that_cannot_be_reached_is_asked_once():
    visit, announced = round_of("http://127.0.0.1:9")
    await make_round(visit)
    assert list(visit.steps) == [Step.ASK]
    assert visit.steps[Step.ASK].ending is Ending.NO_CONNECTION
    assert len(announced) == 1


async def test_the_time_is_kept_and_what_it_cost_is_named():
    async with RawServer([CHUNKED, chunk(FRAME), 30.0]) as server:
        visit, _ = round_of(server.url, time_s=2.0, data=b"{}")
        began = time.monotonic()
        await make_round(visit)
        took_s = time.monotonic() - began
    assert visit.steps[Step.ASK].ending is Ending.STILL_OPEN
    assert took_s < 2.0 + 1.0
    named = [untold.what for untold in visit.untold]
    assert named
    assert {*named, *visit.steps} == {str(step) for step in Step} - {"idle"}
    assert all("--time" in untold.why for untold in visit.untold)


async def test_a_model_may_think_before_the_head_for_longer_than_the_window():
    async with RawServer([2.5, *STREAM]) as server:
        visit, _ = round_of(server.url, time_s=15.0, data=b"{}")
        await make_round(visit)
    assert visit.steps[Step.ASK].ending is Ending.WHOLE
    assert visit.steps[Step.LEAVE_MID_STREAM].ending is Ending.LEFT
    assert visit.steps[Step.LEAVE_MID_STREAM].body == FRAME


GZIP = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
ENDLESS = {
    "frames": [CHUNKED, *[chunk(b'data: {"text":"a"}\n\n' * 3000)] * 100],
    "one line": [CHUNKED, *[chunk(b"x" * 64_000)] * 100],
    "gzip": [GZIP, chunk(zlib.compress(b"data: xx\n\n" * 600_000, wbits=31))],
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_answer_without_end_is_read_up_to_a_bound_and_in_time(name):
    async with RawServer([*ENDLESS[name], 30.0]) as server:
        visit, _ = round_of(server.url, data=b"{}")
        began = time.monotonic()
        await make_round(visit)
        took_s = time.monotonic() - began
    asked, *others = visit.steps.values()
    assert asked.failure.startswith(TOO_MUCH)
    assert len(asked.body) == ASK_BYTES_MAX
    assert visit.steps[Step.LEAVE_MID_STREAM].ending is Ending.LEFT
    assert all(len(it.body) <= SMALL_BYTES_MAX for it in others)
    assert took_s < 10.0 + 1.0


async def test_what_the_upstream_hears_during_a_step_is_kept():
    call = Call(0.1, None, finished=False)
    heard = iter([(), (call,), ()])
    async with RawServer(REFUSED) as server:
        visit, _ = round_of(server.url, hear=lambda: lambda: next(heard), data=b"{}")
        await make_round(visit)
    assert visit.calls == {Step.HEAD: (call,)}
