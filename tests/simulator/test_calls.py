"""The record of calls: one end each, and no secrets."""

import json

import pytest

from finalstop.simulator.calls import CallEnd, key_digest, key_of, without_secrets
from tests.simulator.rawclient import a_call


def test_the_first_end_stands():
    call = a_call()
    assert (call.ended, call.ended_at) == (CallEnd.OPEN, None)
    call.end(CallEnd.PEER_CLOSED, now=5.0)
    call.end(CallEnd.CUT, now=6.0)
    assert (call.ended, call.ended_at) == (CallEnd.PEER_CLOSED, 5.0)


@pytest.mark.parametrize(
    ("headers", "header"),
    [
        ({}, None),
        ({"x-api-key": ""}, None),
        ({"authorization": "Bearer "}, None),
        ({"x-api-key": "secret"}, "x-api-key"),
        ({"authorization": "Bearer secret"}, "authorization"),
        ({"x-api-key": "secret", "authorization": "Bearer other"}, "x-api-key"),
    ],
)
def test_a_key_is_known_by_its_header_and_digest(headers, header):
    assert key_of(headers) == (None if header is None else (header, key_digest("secret")))


def test_credentials_are_not_kept():
    kept = without_secrets({"x-api-key": "a", "authorization": "b", "cookie": "c", "accept": "d"})
    assert kept == {"accept": "d"}


def test_a_record_is_json_and_tells_everything():
    record = json.loads(json.dumps(a_call().as_json()))
    assert record["ended"] == "open"
    assert record["key_present"] is False
    assert {"number", "connection", "path", "headers", "body", "spec", "bytes_sent"} <= set(record)
