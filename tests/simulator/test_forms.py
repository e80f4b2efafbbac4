"""Unusual forms: other bytes, the same answer."""

import time

import pytest

from finalstop.simulator.catalogue import BY_NAME, Kind, names
from tests.simulator.rawclient import played

QUICK = "hold_s=0.02,pace_ms=0,words=30"
FORMS = names(Kind.FORM)


@pytest.mark.parametrize("name", FORMS)
async def test_every_form_carries_the_same_events(name):
    plain = await played("text,words=30")
    formed = await played(f"{name},{QUICK}")
    unsaid = {"weather_report", "ping"}
    assert formed.status == 200
    assert [t for t in formed.types if t not in unsaid] == [
        t for t in plain.types if t not in unsaid
    ]
    assert formed.ended == "whole"


@pytest.mark.parametrize("name", [n for n in FORMS if BY_NAME[n].phases])
async def test_a_form_with_phases_is_whole_in_each_of_them(name):
    for phase in BY_NAME[name].phases:
        reply = await played(f"{name}@{phase.value},hold_s=0.005,pace_ms=0,words=12")
        assert reply.types[-1] == "message_stop"
        assert reply.ended == "whole"


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("gzip", b"content-encoding: gzip"),
        ("crlf", b"event: message_stop\r\ndata: "),
        ("cr-only", b"event: message_stop\rdata: "),
        ("bom", b"\xef\xbb\xbf"),
        ("no-space", b"event:message_stop\n"),
        ("multi-line-data", b'data: {\ndata: "type":"message_stop"\ndata: }\n\n'),
        ("extra-fields", b"retry: 3000\n"),
        ("unknown-event", b"event: weather_report\n"),
        ("chunk-extensions", b';grain="coarse"\r\n'),
        ("trailers", b"\r\n0\r\nx-checksum: none\r\nx-taste: salt\r\n\r\n"),
        ("close-delimited", b"connection: close"),
        ("http-1.0", b"HTTP/1.0 200 OK"),
        ("informational-1xx", b"HTTP/1.1 103 Early Hints"),
        ("refuse-keepalive", b"connection: close"),
    ],
)
async def test_a_form_shows_on_the_wire(name, mark):
    assert mark in (await played(name)).wire
    assert mark not in (await played("text")).wire


async def test_no_event_names_means_none():
    assert b"event:" not in (await played("no-event-names")).wire


async def test_one_write_is_one_chunk():
    assert (await played("one-write,words=30")).wire.count(b"\r\n") < 24


async def test_gzip_without_trailer_lacks_just_the_trailer():
    whole, cut = await played("gzip"), await played("gzip-no-trailer")
    assert cut.text == whole.text
    assert whole.body.startswith(cut.body)
    assert len(cut.body) < len(whole.body)


@pytest.mark.parametrize("name", ["pause", "pause-pings"])
async def test_a_pause_lasts_as_long_as_it_was_told(name):
    before = time.monotonic()
    reply = await played(f"{name},hold_s=0.06,pace_ms=20,words=5")
    assert time.monotonic() - before >= 0.06
    assert reply.types.count("ping") == (4 if name == "pause-pings" else 1)


async def test_connections_are_left_as_the_form_says():
    assert (await played("close-while-idle")).wire == (await played("text")).wire
    assert (await played("reset-on-reuse")).wire == (await played("text")).wire
