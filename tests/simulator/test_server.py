"""The simulator over real sockets: what the paper says goes onto the wire, and who left is seen."""

import asyncio
import json
import socket
import struct
import time
from urllib.parse import urlsplit

import pytest
import uvloop

from finalstop.simulator import Simulator, server
from finalstop.simulator.calls import CallEnd
from finalstop.simulator.catalogue import ENTRIES, Kind
from finalstop.simulator.script import ScriptError
from tests.simulator.rawclient import PATIENCE_S, ask, connect, played, read_all, request_bytes

SEEN_S = 0.2
PLAYABLE = [entry.name for entry in ENTRIES if entry.kind is not Kind.CONNECT]
QUICK = "hold_s=0.006,pace_ms=0,words=30,bytes=150000"


async def until(condition, *, within_s=1.0):
    """Wait for a condition; returns how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within_s, "it did not happen in time"
        await asyncio.sleep(0.002)
    return time.monotonic() - begun


@pytest.mark.parametrize("name", PLAYABLE)
async def test_the_socket_carries_what_the_paper_says(simulator, name):
    paper = await played(f"{name},{QUICK}")
    # It alone waits for more after a whole answer, so here the reader must leave first.
    patience_s = 0.1 if name == "reset-on-reuse" else PATIENCE_S
    reply = await ask(simulator.url, f"{name},{QUICK}", patience_s=patience_s)
    assert reply.status == paper.status
    assert reply.body == paper.body
    assert reply.ended == paper.ended
    await until(lambda: simulator.calls[0].ended is not CallEnd.OPEN)


@pytest.mark.parametrize("spec", ["stall@before-head", "stall@after-head", "stall", "never-closed"])
@pytest.mark.parametrize("way", ["fin", "half-close", "rst"])
async def test_a_peer_that_leaves_a_silent_call_is_seen_at_once(simulator, spec, way):
    _, writer = await connect(simulator.url)
    writer.write(request_bytes(spec))
    await until(lambda: simulator.calls)
    await asyncio.sleep(0.02)
    left_at = time.monotonic()
    if way == "half-close":
        writer.write_eof()
    elif way == "rst":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
    call = simulator.calls[0]
    await until(lambda: call.ended is CallEnd.PEER_CLOSED)
    assert call.ended_at - left_at < SEEN_S
    await until(lambda: simulator.connections_open == 0)
    writer.transport.abort()


@pytest.mark.parametrize("way", ["fin", "rst"])
async def test_a_call_whose_peer_leaves_with_the_request_is_a_call_all_the_same(simulator, way):
    for number in range(5):
        with socket.create_connection(urlsplit(simulator.url).netloc.split(":")) as sock:
            sock.sendall(request_bytes("stall"))
            if way == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda number=number: len(simulator.calls) == number + 1)
        await until(lambda: simulator.calls[-1].ended is CallEnd.PEER_CLOSED)


async def test_a_call_is_recorded_even_if_the_loop_sees_both_at_once(simulator):
    _, writer = await connect(simulator.url)
    await until(lambda: simulator.connections_open)
    (connection,) = simulator._connections
    connection.data_received(request_bytes("stall"))
    connection.eof_received()
    assert [call.ended for call in simulator.calls] == [CallEnd.PEER_CLOSED]
    writer.transport.abort()


async def test_a_peer_that_leaves_with_nonsense_is_no_call(simulator):
    with socket.create_connection(urlsplit(simulator.url).netloc.split(":")) as sock:
        sock.sendall(b"hello\r\n\r\n")
    await until(lambda: simulator.connections_accepted and not simulator.connections_open)
    assert simulator.calls == []


@pytest.mark.parametrize("spec", ["text,pace_ms=20", "flood,bytes=900000000"])
async def test_a_peer_that_leaves_a_busy_call_is_seen_at_once(simulator, spec):
    reader, writer = await connect(simulator.url)
    writer.write(request_bytes(spec))
    await reader.read(1000)
    left_at = time.monotonic()
    writer.transport.abort()
    await until(lambda: simulator.calls[0].ended is CallEnd.PEER_CLOSED)
    assert simulator.calls[0].ended_at - left_at < SEEN_S


async def test_a_reader_that_reads_nothing_stops_the_flood(simulator):
    _, writer = await connect(simulator.url)
    writer.write(request_bytes("flood,bytes=900000000"))
    await until(lambda: simulator.calls and simulator.calls[0].bytes_sent)
    await asyncio.sleep(0.05)
    sent = simulator.calls[0].bytes_sent
    await asyncio.sleep(0.05)
    assert simulator.calls[0].bytes_sent == sent
    assert sent < 64 << 20
    writer.transport.abort()


async def test_a_finished_call_is_noted_and_its_connection_is_used_again(simulator):
    reader, writer = await connect(simulator.url)
    for number in (1, 2, 3):
        writer.write(request_bytes("text,words=10"))
        wire = await reader.readuntil(b"0\r\n\r\n")
        call = simulator.calls[-1]
        await until(lambda call=call: call.ended is CallEnd.FINISHED)
        assert (call.number, call.connection, call.bytes_sent) == (number, 1, len(wire))
        assert call.accepted_at <= call.ended_at
    assert (simulator.connections_open, simulator.connections_accepted) == (1, 1)
    writer.close()
    await until(lambda: simulator.connections_open == 0)


@pytest.mark.parametrize(
    ("spec", "left"), [("close-while-idle", "eof"), ("reset-on-reuse", "reset"),
                       ("refuse-keepalive", "eof")],
)  # fmt: skip
async def test_a_kept_connection_can_be_lost_before_its_next_use(simulator, spec, left):
    reader, writer = await connect(simulator.url)
    writer.write(request_bytes(f"{spec},words=10", stream=False))
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    if spec == "reset-on-reuse":
        writer.write(request_bytes("text"))
    assert (await read_all(reader, patience_s=1)).ended == left
    assert [call.ended for call in simulator.calls] == [CallEnd.FINISHED]
    writer.transport.abort()


async def test_pipelined_requests_are_answered_in_order(simulator):
    reader, writer = await connect(simulator.url)
    writer.write(request_bytes("text,words=5") + request_bytes("thinking,words=5"))
    first = await reader.readuntil(b"0\r\n\r\n")
    second = await reader.readuntil(b"0\r\n\r\n")
    assert b"thinking_delta" not in first
    assert b"thinking_delta" in second
    writer.close()


async def test_times_counts_calls_of_the_very_same_script(simulator):
    spec = "status-529,times=2,words=10"
    statuses = [(await ask(simulator.url, spec)).status for _ in range(3)]
    assert statuses == [529, 529, 200]
    assert (await ask(simulator.url, "status-529,times=1,words=10")).status == 529
    simulator.forget()
    assert (await ask(simulator.url, spec)).status == 529
    assert len(simulator.calls) == 1


async def test_a_script_can_be_chosen_by_header_model_or_default():
    async with Simulator(default="status-503") as simulator:
        replies = [
            await ask(simulator.url, None),
            await ask(simulator.url, None, model="sim:status-402"),
            await ask(simulator.url, "status-404", model="sim:status-402"),
        ]
        assert [reply.status for reply in replies] == [503, 402, 404]
        assert [call.spec for call in simulator.calls] == ["status-503", "status-402", "status-404"]


async def test_what_is_played_can_be_changed_between_calls(simulator):
    simulator.play("status-529")
    assert (await ask(simulator.url, None)).status == 529
    simulator.play("text")
    assert (await ask(simulator.url, None)).status == 200
    assert [call.spec for call in simulator.calls] == ["status-529", "text"]
    with pytest.raises(ScriptError, match="no answer or fault is called 'nope'"):
        simulator.play("nope")
    assert (await ask(simulator.url, None)).status == 200


async def test_open_calls_can_be_broken_off_and_idle_connections_stay(simulator):
    idle, writer = await connect(simulator.url)
    writer.write(request_bytes("text"))
    await until(lambda: simulator.calls and simulator.calls[0].ended is CallEnd.FINISHED)
    asked = asyncio.get_running_loop().create_task(ask(simulator.url, "stall"))
    await until(lambda: len(simulator.calls) == 2 and simulator.calls[1].bytes_sent)
    simulator.hang_up()
    assert (await asked).ended == "eof"
    assert [call.ended for call in simulator.calls] == [CallEnd.FINISHED, CallEnd.CUT]
    writer.write(request_bytes("text"))
    await until(lambda: len(simulator.calls) == 3)
    assert simulator.calls[2].connection == simulator.calls[0].connection
    writer.transport.abort()
    assert idle.at_eof() is False


async def test_memory_is_bounded_however_many_calls_there_are(simulator, monkeypatch):
    monkeypatch.setattr(server, "CALLS_MAX", 3)
    for number in range(5):
        await ask(simulator.url, f"status-500,times=9,seed={number}")
    assert [call.number for call in simulator.calls] == [3, 4, 5]


async def test_a_bad_script_or_default_is_refused(simulator):
    reply = await ask(simulator.url, "stall@lunch")
    assert reply.status == 400
    assert "'lunch'" in reply.json["error"]["message"]
    assert "mid-text" in reply.json["error"]["message"]
    with pytest.raises(ScriptError, match="nonsense"):
        Simulator(default="nonsense")


async def raw(simulator, line):
    reader, writer = await connect(simulator.url)
    writer.write(line + b" HTTP/1.1\r\nconnection: close\r\n\r\n")
    reply = await read_all(reader)
    writer.transport.abort()
    return reply


async def test_the_calls_can_be_read_and_forgotten_over_http(simulator):
    await ask(simulator.url, "text,words=10", path="/v1/messages?beta=true")
    listed = await raw(simulator, b"GET /simulator/calls")
    (call,) = listed.json
    assert (call["path"], call["spec"], call["key_header"]) == (
        "/v1/messages", "text,words=10", "x-api-key",
    )  # fmt: skip
    assert call["body"]["max_tokens"] == 64
    assert "x-api-key" not in call["headers"]
    assert '"k"' not in json.dumps(call)
    assert (await raw(simulator, b"DELETE /simulator/calls")).json == []
    assert simulator.calls == []
    assert (await raw(simulator, b"PUT /simulator/calls")).status == 405


async def test_what_cannot_be_read_is_answered_and_closed(simulator):
    reply = await raw(simulator, b"hello")
    assert reply.status == 400
    assert reply.ended == "whole"
    await until(lambda: simulator.connections_open == 0)
    assert simulator.calls == []


async def test_head_gets_a_head(simulator):
    reply = await raw(simulator, b"HEAD /")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


async def test_a_client_that_waits_to_be_asked_is_asked(simulator):
    reader, writer = await connect(simulator.url)
    head, blank, body = request_bytes("text,words=5", headers=["expect: 100-continue"]).partition(
        b"\r\n\r\n"
    )
    writer.write(head + blank)
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(body)
    assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"\r\nHTTP/1.1 200 OK\r\n")
    writer.transport.abort()


async def test_the_same_calls_to_a_new_server_are_the_same_bytes():
    specs = ["thinking,seed=9", "status-529", "cut-gzip"]
    wires = []
    for _ in range(2):
        async with Simulator() as simulator:
            wires.append([(await ask(simulator.url, spec)).wire for spec in specs])
    assert wires[0] == wires[1]
    assert len(set(wires[0])) == 3


async def test_stop_closes_everything_and_leaves_no_task():
    before = asyncio.all_tasks()
    simulator = Simulator()
    await simulator.start()
    url = simulator.url
    clients = [await connect(simulator.url) for _ in range(5)]
    for (_, writer), spec in zip(clients, ["stall", "flood", "no-head", "text"], strict=False):
        writer.write(request_bytes(spec))
    await until(lambda: len(simulator.calls) == 4)
    await simulator.stop()
    await simulator.stop()
    assert asyncio.all_tasks() == before
    assert simulator.connections_open == 0
    assert simulator.calls[0].ended is CallEnd.CUT
    for reader, writer in clients:
        assert (await read_all(reader)).ended in {"eof", "reset", "whole"}
        writer.transport.abort()
    with pytest.raises(ConnectionRefusedError):
        await connect(url)


async def test_what_was_never_started_can_be_stopped():
    simulator = Simulator()
    await simulator.stop()
    assert (simulator.connections_accepted, simulator.calls) == (0, [])


def test_it_is_the_same_on_uvloop():
    async def scene():
        async with Simulator() as simulator:
            whole = await ask(simulator.url, "thinking,words=20")
            reset = await ask(simulator.url, "rst")
            _, writer = await connect(simulator.url)
            writer.write(request_bytes("stall"))
            await until(lambda: len(simulator.calls) == 3)
            await asyncio.sleep(0.02)
            writer.transport.abort()
            await until(lambda: simulator.calls[2].ended is CallEnd.PEER_CLOSED, within_s=SEEN_S)
            return whole, reset

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        whole, reset = runner.run(scene())
    assert (whole.ended, whole.types[-1]) == ("whole", "message_stop")
    assert reset.ended == "reset"


async def test_delays_are_kept_before_the_head(simulator):
    begun = time.monotonic()
    reply = await ask(simulator.url, "status-500,delay_s=0.06")
    assert reply.status == 500
    assert time.monotonic() - begun >= 0.06


@pytest.mark.slow
async def test_default_sizes_are_really_sent(simulator):
    assert len((await ask(simulator.url, "huge-event")).body) > 17 << 20
    assert len((await ask(simulator.url, "gzip-bomb")).text) > 128 << 20
