"""Faults inside the stream and after it: what is on the wire, and how it is left."""

import json

import pytest

from finalstop.simulator.catalogue import BY_NAME, Phase
from finalstop.simulator.faults import BOMB_BYTES, FAULTS, FLOOD_BYTES, HUGE_EVENT_BYTES, MIB
from tests.simulator.rawclient import played

QUICK = "hold_s=0.004,pace_ms=0,words=12,bytes=100000"
HEALTHY_TYPES = ["message_start", "content_block_start", "ping", "content_block_delta"]

# fault -> how the connection is left at the paper's end, and the last event types said
ENDINGS = {
    "stall": ("eof", ["content_block_delta"]),
    "pings-forever": ("eof", ["ping", "ping", "ping"]),
    "comments-forever": ("eof", ["content_block_delta"]),
    "spaces-forever": ("eof", ["content_block_delta"]),
    "fin": ("whole", ["content_block_delta"]),
    "eof": ("eof", ["content_block_delta"]),
    "rst": ("reset", ["content_block_delta"]),
    "cut-chunk": ("eof", ["content_block_delta"]),
    "cut-mid-event": ("whole", ["content_block_delta"]),
    "cut-mid-utf8": ("whole", ["content_block_delta"]),
    "cut-gzip": ("whole", ["content_block_delta"]),
    "content-length-short": ("eof", ["content_block_delta"]),
    "bad-chunk-size": ("broken", ["content_block_delta"]),
    "missing-message-stop": ("whole", ["message_delta"]),
    "error-overloaded": ("whole", ["error"]),
    "error-api": ("whole", ["error"]),
    "error-rate-limit": ("whole", ["error"]),
    "error-timeout": ("whole", ["error"]),
    "error-invalid-request": ("whole", ["error"]),
    "error-unknown-type": ("whole", ["error"]),
    "error-no-body": ("whole", ["error"]),
    "error-then-open": ("eof", ["error"]),
    "error-then-events": ("whole", ["message_stop"]),
    "error-first": ("whole", ["error"]),
    "wrong-shape": ("whole", ["message_stop"]),
    "invalid-utf8": ("whole", ["message_stop"]),
    "duplicate-message-start": ("whole", ["message_stop"]),
    "delta-before-start": ("whole", ["message_stop"]),
    "no-message-start": ("whole", ["message_stop"]),
    "delta-unknown-index": ("whole", ["message_stop"]),
    "duplicate-block-start": ("whole", ["message_stop"]),
    "early-message-stop": ("whole", ["content_block_delta", "message_stop"]),
    "missing-block-stop": ("whole", ["content_block_delta", "message_delta", "message_stop"]),
    "missing-message-delta": ("whole", ["content_block_stop", "message_stop"]),
    "block-after-stop-reason": ("whole", ["content_block_stop", "message_stop"]),
    "never-closed": ("eof", ["message_stop"]),
    "never-closed-pings": ("eof", ["message_stop", "ping", "ping", "ping", "ping"]),
    "never-closed-events": ("eof", ["message_stop", *["content_block_delta"] * 4]),
    "events-after-stop": ("whole", ["message_stop", "content_block_start",
                                    "content_block_delta", "content_block_stop"]),
    "error-after-stop": ("whole", ["message_stop", "error"]),
    "double-message-stop": ("whole", ["message_delta", "message_stop", "message_stop"]),
    "rst-after-stop": ("reset", ["message_stop"]),
    "eof-after-stop": ("eof", ["message_stop"]),
    "huge-event": ("whole", ["message_stop"]),
    "flood": ("whole", ["message_stop"]),
    "gzip-bomb": ("whole", ["message_stop"]),
    "huge-line-no-newline": ("eof", ["content_block_delta"]),
    "endless-comment": ("eof", ["content_block_delta"]),
    "endless-fields": ("eof", ["content_block_delta"]),
}  # fmt: skip
# What breaks its own JSON is looked at one by one below.
BROKEN_JSON = {"bad-json", "not-object", "nul-byte", "garbage-after-stop"}


def test_no_fault_is_untested():
    assert set(ENDINGS) | BROKEN_JSON == set(FAULTS)


@pytest.mark.parametrize("name", ENDINGS)
async def test_a_fault_leaves_the_wire_as_it_says(name):
    ended, last = ENDINGS[name]
    reply = await played(f"{name},{QUICK}")
    assert reply.ended == ended
    assert reply.types[-len(last) :] == last


@pytest.mark.parametrize("name", [n for n, (_, t) in ENDINGS.items() if t[-1] != "message_stop"])
async def test_a_stream_cut_short_never_says_message_stop(name):
    if not BY_NAME[name].whole:
        assert "message_stop" not in (await played(f"{name},{QUICK}")).types


@pytest.mark.parametrize("name", [name for name in FAULTS if BY_NAME[name].phases])
async def test_every_fault_can_strike_in_each_of_its_phases(name):
    for phase in BY_NAME[name].phases:
        reply = await played(f"{name}@{phase.value},{QUICK}")
        early = phase is Phase.BEFORE_HEAD
        upto = await played(f"{'eof' if early else 'fin'}@{phase.value},words=12")
        assert (reply.status is None) == early, phase
        assert reply.text.startswith(upto.text), phase


async def test_before_the_head_no_byte_is_written():
    for name in ("stall", "eof", "rst"):
        assert (await played(f"{name}@before-head,hold_s=0")).wire == b""


async def test_a_cut_chunk_is_shorter_than_it_says():
    tail = (await played("cut-chunk")).wire.rpartition(b"\r\n")
    size = int(tail[0].rpartition(b"\r\n")[2].split(b"\r\n")[-1], 16) if tail[0] else 0
    assert size > len(tail[2])


async def test_a_cut_event_has_no_blank_line():
    text = (await played("cut-mid-event@before-message-stop")).text
    assert b"event: message_stop" in text
    assert text.count(b"\n\n") == len((await played("fin@before-message-stop")).events)


async def test_a_cut_character_is_half_there():
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        (await played("cut-mid-utf8")).text.decode()


async def test_cut_gzip_ends_inside_the_packed_data():
    cut, fin = await played("cut-gzip"), await played("fin,gzip=1")
    assert len(cut.body) > len(fin.body) - 10
    assert cut.text.startswith(fin.text)


async def test_a_short_body_has_stated_more():
    reply = await played("content-length-short")
    assert int(reply.headers["content-length"]) > len(reply.body)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-overloaded", "overloaded_error"),
        ("error-api", "api_error"),
        ("error-rate-limit", "rate_limit_error"),
        ("error-timeout", "timeout_error"),
        ("error-invalid-request", "invalid_request_error"),
        ("error-unknown-type", "tide_error"),
    ],
)
async def test_an_error_event_names_its_type(name, kind):
    (event, data) = (await played(name)).events[-1]
    assert (event, json.loads(data)["error"]["type"]) == ("error", kind)


async def test_an_error_can_be_the_very_first_event_or_empty():
    assert (await played("error-first")).types == ["error"]
    assert (await played("error-no-body")).events[-1] == ("error", '{"type":"error"}')


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bad-json", '{"type":"content_block_delta","index":0,"delta":{"type":"te'),
        ("wrong-shape", '{"type":"content_block_delta","index":0}'),
        ("not-object", '["content_block_delta",0]'),
    ],
)
async def test_nonsense_is_one_event_in_an_otherwise_good_stream(name, data):
    reply, healthy = await played(name), await played("text")
    assert [event for event in reply.events if event not in healthy.events] == [
        ("content_block_delta", data)
    ]
    assert reply.ended == "whole"


@pytest.mark.parametrize(("name", "bad"), [("invalid-utf8", b"\xff\xc0\x80"), ("nul-byte", b"\0")])
async def test_spoilt_bytes_are_on_the_wire_once(name, bad):
    reply = await played(name)
    assert reply.text.count(bad) == 1
    assert len(reply.events) == len((await played("text")).events)


async def test_disorder_is_the_disorder_it_says():
    types = {name: (await played(name)).types for name in FAULTS if name not in BROKEN_JSON
             and name.startswith(("dup", "delta", "no-", "miss", "block"))}  # fmt: skip
    assert types["duplicate-message-start"].count("message_start") == 2
    assert types["duplicate-block-start"].count("content_block_start") == 2
    assert types["delta-before-start"][:2] == ["content_block_delta", "message_start"]
    assert "message_start" not in types["no-message-start"]
    assert "content_block_stop" not in types["missing-block-stop"]
    assert "message_delta" not in types["missing-message-delta"]
    late = types["block-after-stop-reason"]
    assert late.index("message_delta") < len(late) - 1 - late[::-1].index("content_block_start")
    assert '"index":99' in (await played("delta-unknown-index")).text.decode()


async def test_garbage_after_the_stop_is_garbage():
    after = (await played("garbage-after-stop")).text.partition(b'{"type":"message_stop"}\n\n')[2]
    with pytest.raises(UnicodeDecodeError):
        after.decode()


@pytest.mark.parametrize("size", [0, 1, 70_000])
async def test_huge_things_are_exactly_as_huge_as_asked(size):
    base = await played("huge-event,bytes=0")
    assert len((await played(f"huge-event,bytes={size}")).text) == len(base.text) + size
    assert len((await played(f"gzip-bomb,bytes={size}")).text) == len(base.text) + size
    line = (await played(f"huge-line-no-newline,hold_s=0,bytes={size}")).text
    assert len(line.rpartition(b"\ndata: ")[2]) == size


def test_the_defaults_are_over_the_limits_they_are_meant_to_break():
    assert HUGE_EVENT_BYTES > 16 * MIB
    assert FLOOD_BYTES > 64 * MIB
    assert BOMB_BYTES > 64 * MIB
