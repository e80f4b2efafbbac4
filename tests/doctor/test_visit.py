"""A whole visit: with an address alone, with the server's command, with a borrowed simulator."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from contextlib import asynccontextmanager

import pytest

from finalstop.doctor.announce import DoctorError, Notice
from finalstop.doctor.http import make_question
from finalstop.doctor.observations import Case, Ending, Framing, Observations, Step
from finalstop.doctor.patient import listens, treated
from finalstop.doctor.visit import Borrowed, visit
from tests.doctor.places import FOLDER, free_port, recipe_of, relay_at
from tests.doors import ROOT
from tests.upstream.servers import CHUNKED, LAST_CHUNK, RawServer, chunk, whole
from tools.node import install, node

pytestmark = pytest.mark.slow

QUICK = (Case.NEVER_CLOSED, Case.RESET)


def ask(port, path="/stream-claude"):
    return make_question(f"http://127.0.0.1:{port}{path}", data=b'{"prompt": "hi"}')


async def test_an_address_alone_is_asked_what_anybody_may_ask():
    announced: list[Notice] = []
    async with RawServer([whole(b"data: a\n\n")]) as server:
        seen = await visit(make_question(server.url), announce=announced.append)
        assert seen.url == server.url
    assert set(seen.steps) == {*Step} - {Step.IDLE}
    assert (seen.trials, seen.shutdown, seen.idle_limit_s, seen.untold) == ({}, None, None, ())
    assert announced[0].says == f"examine {seen.url}; 15 s at most"


async def test_a_server_is_started_tried_and_ended():
    port = free_port()
    announced: list[Notice] = []
    seen = await visit(
        ask(port), run=relay_at(port), folder=FOLDER, window_s=1.0, only=QUICK,
        announce=announced.append,
    )  # fmt: skip
    assert list(seen.trials) == [Case.HEALTHY, *QUICK]
    assert seen.steps[Step.ASK] is seen.trials[Case.HEALTHY].exchange
    assert {Step.HEAD, Step.PREFLIGHT, Step.RECONNECT} <= set(seen.steps)
    assert not {Step.LEAVE_MID_STREAM, Step.LEAVE_BEFORE_HEAD} & set(seen.steps)
    # The relay asks its upstream for a HEAD, too; that is seen.
    assert list(seen.calls) == [Step.HEAD]
    assert seen.trials[Case.NEVER_CLOSED].exchange.ending is Ending.STILL_OPEN
    assert seen.trials[Case.RESET].survived is True
    assert seen.sources["relay.py"].startswith('"""A relay')
    assert seen.command == relay_at(port)
    assert seen.untold == ()
    assert seen.shutdown is None  # only these trials were wanted
    assert not await listens(("127.0.0.1", port))
    said = [notice.says for notice in announced]
    assert said[0] == f"start: {relay_at(port)}"
    assert said[1] == "3 trials with the simulator: about 2 s, 4 s at most"


async def test_a_server_that_dies_is_started_again():
    port = free_port()
    only = (Case.RESET, Case.ERROR_MIDWAY)
    run = relay_at(port, "fragile")
    seen = await visit(ask(port), run=run, folder=FOLDER, window_s=1.0, only=only)
    assert seen.trials[Case.RESET].survived is False
    assert seen.trials[Case.ERROR_MIDWAY].survived is True
    assert seen.trials[Case.ERROR_MIDWAY].exchange.status == 200


async def test_a_server_that_loads_its_program_at_the_first_question_is_waited_for():
    port = free_port()
    run = relay_at(port, "cold")
    seen = await visit(ask(port), run=run, folder=FOLDER, window_s=1.0, only=[Case.HEALTHY])
    asked = seen.trials[Case.HEALTHY].exchange
    assert (asked.status, asked.ending) == (200, Ending.WHOLE)
    assert asked.head_s is not None
    assert asked.head_s < 1.0


async def test_a_server_that_never_asks_our_simulator_is_not_tried():
    port = free_port()
    seen = await visit(ask(port), run=relay_at(port, "deaf"), folder=FOLDER, window_s=1.0)
    assert seen.trials == {}
    assert seen.steps[Step.ASK].status == 200
    [untold] = seen.untold
    assert "it never called the simulator at http://127.0.0.1:" in untold.why
    assert "ANTHROPIC_BASE_URL" in untold.why


async def test_an_idle_limit_is_sought_on_request():
    port = free_port()
    seen = await visit(
        ask(port), run=relay_at(port, "frugal"), folder=FOLDER, window_s=1.0, idle_s=4.0,
        only=[Case.HEALTHY],
    )  # fmt: skip
    assert seen.idle_limit_s is not None
    survived_s, cut_s = seen.idle_limit_s
    assert survived_s < cut_s < 3.0
    assert seen.steps[Step.IDLE].ending is Ending.CUT


async def test_a_proxy_before_the_server_is_asked_and_the_server_is_waited_for():
    port = free_port()
    async with RawServer([whole(b"data: a\n\n")]) as proxy:
        seen = await visit(
            make_question(proxy.url), run=relay_at(port), folder=FOLDER,
            listens=f"127.0.0.1:{port}", window_s=1.0,
        )  # fmt: skip
        assert seen.steps[Step.ASK].body == b"data: a\n\n"


@asynccontextmanager
async def a_server_of_theirs(port, simulator_port, mode="attentive"):
    upstream = f"http://127.0.0.1:{simulator_port}"
    async with treated(recipe_of(relay_at(port, mode), port, upstream=upstream)):
        yield


async def test_who_cancels_is_given_what_was_seen_so_far():
    known: list[Observations] = []
    task = asyncio.current_task()
    assert task is not None

    def announce(notice):
        if "leave" in notice.says:
            task.cancel()

    async with RawServer([CHUNKED, chunk(b"data: a\n\n"), 0.2, LAST_CHUNK]) as server:
        question = make_question(server.url)
        with pytest.raises(asyncio.CancelledError):
            await visit(question, announce=announce, interrupted=known.append)
        task.uncancel()
    [seen] = known
    assert list(seen.steps) == [Step.ASK]
    assert seen.steps[Step.ASK].ending is Ending.WHOLE
    assert seen.untold[-1].why == "it was interrupted"


async def test_a_borrowed_simulator_waits_until_it_is_told():
    port, simulator_port = free_port(), free_port()
    announced: list[Notice] = []
    borrowed = Borrowed(simulator_port)
    async with a_server_of_theirs(port, simulator_port):
        asyncio.get_running_loop().call_later(0.2, borrowed.ready.set)
        seen = await visit(
            ask(port), simulator=borrowed, window_s=1.0, only=QUICK, announce=announced.append
        )
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:{simulator_port} " in announced[0].says
    assert list(seen.trials) == [Case.HEALTHY, *QUICK]
    assert seen.trials[Case.RESET].survived is None
    assert (seen.shutdown, seen.command, seen.sources) == (None, "", {})


async def test_a_borrowed_simulator_waits_until_it_is_called():
    port, simulator_port = free_port(), free_port()
    began = time.monotonic()

    async def call():
        await asyncio.sleep(0.2)
        _, writer = await asyncio.open_connection("127.0.0.1", simulator_port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with a_server_of_theirs(port, simulator_port), asyncio.TaskGroup() as group:
        group.create_task(call())
        seen = await visit(
            ask(port), simulator=Borrowed(simulator_port), window_s=1.0, only=[Case.HEALTHY]
        )
    assert seen.trials[Case.HEALTHY].exchange.ending is Ending.WHOLE
    assert time.monotonic() - began < 30


async def test_a_borrowed_simulator_does_not_wait_for_ever():
    port, simulator_port = free_port(), free_port()
    async with a_server_of_theirs(port, simulator_port, "deaf"):
        seen = await visit(ask(port), simulator=Borrowed(simulator_port, wait_s=0.1), window_s=1.0)
    assert "never called" in seen.untold[0].why


# what is asked for, what is said
REFUSED = [
    ({"only": QUICK}, "--only chooses trials with the simulator: give --run or --simulator"),
    ({"listens": "localhost:1"}, "--listens is the address of the server that --run starts"),
    ({"idle_s": 5.0}, "--idle needs silence of the upstream"),
    ({"idle_s": 1.0, "run": "x"}, "--idle 1: it must be at least 2 seconds"),
    ({"run": "x", "simulator": Borrowed()}, "not both"),
    ({"run": "x", "listens": "localhost"}, "--listens localhost: it must be host:port"),
    ({"run": "x", "listens": "localhost:http"}, "--listens localhost:http: it must be host:port"),
]


@pytest.mark.parametrize(("terms", "says"), REFUSED)
async def test_what_cannot_be_done_is_refused(terms, says):
    with pytest.raises(DoctorError) as refused:
        await visit(ask(9), **terms)
    assert says in str(refused.value)


async def test_a_port_that_is_taken_is_refused():
    async with RawServer([b""]) as server:
        with pytest.raises(DoctorError, match=f"cannot listen on port {server.port}"):
            await visit(ask(9), simulator=Borrowed(server.port))


# --- real servers ----------------------------------------------------------------------------


@pytest.mark.timeout(150)
async def test_express_as_everyone_writes_it_is_tried_with_every_fault(record_property):
    install(ROOT / "examples/express")
    port = free_port()
    run = f"PORT={port} {shlex.quote(str(node()))} server.js"
    began = time.monotonic()
    seen = await visit(ask(port), run=run, folder=ROOT / "examples/express", sigterm_s=5.0)
    took_s = time.monotonic() - began
    record_property("figure", f"doctor --run, Express, every trial: {took_s:.0f} s")
    assert took_s < 100
    ends = {case: trial.exchange.ending for case, trial in seen.trials.items()}
    hangs = {case for case, ending in ends.items() if ending is Ending.STILL_OPEN}
    assert hangs == {
        Case.NEVER_CLOSED, Case.NEVER_CLOSED_PINGS, Case.STALL, Case.PINGS_ONLY, Case.NO_HEAD,
    }  # fmt: skip
    assert set(ends) == set(Case)
    # The official SDK asks three times before it gives up.
    assert len(seen.trials[Case.RATE_LIMITED].calls) == 3
    assert seen.trials[Case.RATE_LIMITED].exchange.status == 500
    left = seen.trials[Case.LEAVE_MID_STREAM]
    assert [call.closed_s for call in left.calls] == [None]
    assert seen.shutdown is not None
    assert seen.shutdown.exchange.ending is Ending.CUT
    assert "server.js" in seen.sources


@pytest.mark.timeout(150)
async def test_a_uvicorn_app_says_that_an_answer_was_cut_and_lets_go_of_its_upstream():
    port = free_port()
    run = shlex.join([sys.executable, "-m", "uvicorn", "--port", str(port), "app:app"])
    only = (Case.TRUNCATED, Case.LEAVE_MID_STREAM)
    seen = await visit(ask(port), run=run, folder=ROOT / "examples/fastapi", only=only)
    assert seen.steps[Step.ASK].framing is Framing.CHUNKED
    assert seen.trials[Case.TRUNCATED].exchange.ending is Ending.WHOLE
    assert b'"reason":"truncated"' in seen.trials[Case.TRUNCATED].exchange.body
    [call] = seen.trials[Case.LEAVE_MID_STREAM].calls
    assert call.closed_s is not None
    assert not call.finished
    assert "app.py" in seen.sources
