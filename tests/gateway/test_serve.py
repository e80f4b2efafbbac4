"""Serving: a socket that listens while it should, and a signal that ends it all in good order."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import threading
import time
from collections import Counter

import pytest

from finalstop.core.limits import Limits
from finalstop.gateway.config import Settings
from finalstop.gateway.serve import CannotListenError, loop_factory, open_gateway, run, serve
from tests.gateway.served import ASK, Log, logged, request, say, served, until, whole_reply
from tests.simulator.rawclient import connect

QUIET = {"port": 0, "simulator_pace_ms": 0}
# On the way out whoever still reads is told so, within this.
SHORT = Limits(drain_s=0.8)


def settings(**given):
    return Settings(**{**QUIET, "limits": SHORT, **given})


async def test_the_embedded_simulator_answers_without_a_key():
    with logged():
        async with open_gateway(settings()) as gateway:
            sent = request("POST", "/stream-claude", b'{"prompt": "x"}', key=None)
            reply = await say(gateway.url, sent)
            assert b'"event":"end"' in reply.body


async def test_port_0_is_a_free_port_and_is_told():
    async with served() as one, served() as two:
        assert one.url != two.url
        assert one.url.startswith("http://127.0.0.1:")
        assert (await two.get("/healthz")).status == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine speaks no IPv6")
async def test_an_ipv6_address_is_told_as_a_url_writes_it():
    with logged():
        try:
            async with open_gateway(settings(host="::1")) as gateway:
                assert gateway.url.startswith("http://[::1]:")
        except CannotListenError:
            pytest.skip("this machine has no ::1")


async def test_a_taken_port_is_said_and_ends_with_1():
    async with served() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(CannotListenError):
            async with open_gateway(settings(port=port)):
                pytest.fail("it listens twice")
        assert await serve(settings(port=port)) == 1
        (line,) = first.lines_of("cannot_listen")
        assert (line["port"], line["level"]) == (port, "error")
        assert line["why"]


async def test_after_the_end_nobody_listens_and_nothing_streams():
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        sent = request("POST", "/stream-claude", b'{"prompt": "x"}', "x-simulator: stall")
        writer.write(sent)
        await reader.readuntil(b"data:")
        url = gateway.url
    rest = await whole_tail(reader)
    assert b'"reason":"draining"' in rest
    with pytest.raises(ConnectionError):
        await connect(url)
    writer.transport.abort()


async def whole_tail(reader):
    async with asyncio.timeout(5):
        return await reader.read()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_streams_end_and_then_ends_with_0(number):
    with logged() as log:
        serving = asyncio.create_task(serve(settings()))  # noqa: TID251 # held by this test
        url = await announced(log)
        ask = request(
            "POST", "/stream-claude", b'{"prompt": "x"}', "x-simulator: text,words=30,pace_ms=10"
        )
        reader, writer = await connect(url)
        writer.write(ask)
        await reader.readuntil(b"data:")
        os.kill(os.getpid(), number)
        reply = await whole_tail(reader)
        assert b'"event":"end"' in reply
        assert reply.endswith(b"\r\n0\r\n\r\n")
        async with asyncio.timeout(5):
            assert await serving == 0
        (line,) = Log(log).lines_of("signal")
        assert (line["signal"], line["live_streams"]) == (number.name, 1)
        assert Log(log).lines_of("stopped")
        writer.transport.abort()


@pytest.mark.slow
async def test_a_stream_that_does_not_end_is_ended_inside_the_window():
    with logged() as log:
        serving = asyncio.create_task(serve(settings()))  # noqa: TID251 # held by this test
        url = await announced(log)
        reader, writer = await connect(url)
        writer.write(request("POST", "/v1/messages", stalling(), "x-simulator: stall"))
        await reader.readuntil(b"data:")
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        rest = await whole_tail(reader)
        assert b'"reason":"draining"' in rest
        assert rest.endswith(b"\r\n0\r\n\r\n")
        async with asyncio.timeout(5):
            assert await serving == 0
        assert time.monotonic() - began < SHORT.drain_s + 1.0
        writer.transport.abort()


def stalling():
    return json.dumps(ASK | {"stream": True}).encode()


async def announced(log):
    """The URL, once the log tells it."""
    await until(lambda: "listening" in log.getvalue())
    (line,) = Log(log).lines_of("listening")
    assert (line["upstream"], line["key"]) == ("the embedded simulator", "none needed")
    return line["url"]


# However a stream ends, and also when its client leaves.
LEAVE_NO_CYCLES = ["text,words=5", "fin@mid-text", "status-401", "error@mid-text", "(leaves)"]


@pytest.mark.parametrize("spec", LEAVE_NO_CYCLES)
async def test_a_stream_leaves_nothing_to_the_collector_of_cycles(spec):
    asked = ASK | {"stream": True}

    async def one(gateway):
        if spec != "(leaves)":
            await gateway.post("/v1/messages", asked, f"x-simulator: {spec}")
            return
        reader, writer = await connect(gateway.url)
        writer.write(request("POST", "/v1/messages", json.dumps(asked).encode()))
        await reader.readuntil(b"content_block_delta")
        writer.transport.abort()
        await until(lambda: not gateway.relay.live)
        await asyncio.sleep(0.01)

    async with served(retention_s=0.2) as gateway:
        await one(gateway)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await one(gateway)
            await until(lambda: not gateway.relay._streams)  # also what was kept for a while
            # Fewer than one for a stream: the test itself may leave some.
            assert gc.collect() < 5
        finally:
            gc.enable()


# What carries a request, and is done with once it is sent.
SENT = {"Admission", "Credential", "DirectAsk", "UpstreamRequest", "UpstreamSource"}


def sent_and_kept():
    return Counter(name for it in gc.get_objects() if (name := type(it).__name__) in SENT)


@pytest.mark.parametrize("path", ["/v1/messages", "/stream-claude"])
async def test_an_open_stream_keeps_nothing_of_what_was_asked(path):
    body = json.dumps(ASK | {"stream": True}).encode()
    async with served() as gateway:
        before = sent_and_kept()
        reader, writer = await connect(gateway.url)
        writer.write(request("POST", path, body, "x-simulator: stall@mid-text"))
        await reader.readuntil(b"\r\n\r\n")  # the head: the answer streams
        assert gateway.relay.live
        assert sent_and_kept() == before
        writer.transport.abort()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def terminated_once_it_listens(port):
    """Before that the signal would end this process and not the gateway."""
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            os.kill(os.getpid(), signal.SIGTERM)
            return
        threading.Event().wait(0.01)


@pytest.mark.slow
def test_run_serves_in_a_loop_of_its_own_until_it_is_told_to_stop(capsys):
    port = free_port()
    stop = threading.Thread(target=terminated_once_it_listens, args=(port,))
    stop.start()
    assert run(settings(log_format="json", port=port)) == 0
    stop.join()
    said = capsys.readouterr().err
    assert '"event":"listening"' in said
    assert '"event":"stopped"' in said


def test_the_loop_is_the_fast_one_where_there_is_one():
    factory = loop_factory()
    assert factory is not None
    loop = factory()
    try:
        assert type(loop).__module__.startswith("uvloop")
    finally:
        loop.close()


async def test_a_reply_can_still_be_read_when_the_gateway_has_gone():
    async with served() as gateway:
        reader, writer = await connect(gateway.url)
        writer.write(request("GET", "/healthz"))
        await asyncio.sleep(0.05)
    assert (await whole_reply(reader)).status == 200
    writer.transport.abort()
