"""Clues: what a refusal tells about how to ask instead."""

from __future__ import annotations

import pytest

from finalstop.doctor.clues import clue_of
from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Ending, Question
from tests.doctor.exchanges import GOOD, asked, exchange

SECURE = Question("GET", "https://h:1/a")
PLAIN = Question("GET", "http://h:1/a?api_key=sk-123456")
NGINX = "<center>The plain HTTP request was sent to HTTPS port</center>"


def refused(status, *headers, body="", question=PLAIN):
    return exchange(body, status=status, kind="text/html", headers=headers, question=question)


def failed(ending, failure, question):
    it = exchange(status=None, ending=ending, question=question)
    return type(it)(**{name: getattr(it, name) for name in it.__slots__} | {"failure": failure})


CLUES = [
    # the exchange, what the clue must say
    (refused(426, ("upgrade", "websocket")), "it wants websocket"),
    (refused(426), "it wants another protocol"),
    (refused(307, ("location", "/openai")), "it redirects to http://h:1/openai: examine"),
    (refused(308, ("location", "https://i/?token=abcdef")), "https://i/?token=(hidden)"),
    (refused(302, ("location", "http://[x")), "which is no URL"),
    (refused(400, body=NGINX), "this port speaks TLS: ask https://h:1/a?api_key=(hidden)"),
    (failed(Ending.NOT_HTTP, "illegal request line", PLAIN), "if this port speaks TLS"),
    (failed(Ending.NO_CONNECTION, "no connection within 9 s", SECURE), "ask http://h:1/a"),
    (failed(Ending.NO_CONNECTION, "TLS: WRONG_VERSION_NUMBER", SECURE), "ask http://h:1/a"),
    (refused(401), "-H 'authorization"),
    (refused(405, ("allow", "POST")), "it allows POST"),
]


@pytest.mark.parametrize(("it", "said"), CLUES)
def test_a_refusal_tells_how_to_ask_instead(it, said):
    assert said in clue_of(it)
    (finding, *_) = examine(asked(it))
    assert said in finding.evidence[0]


NONE = [
    GOOD,
    refused(404),
    refused(304),
    refused(405),
    failed(Ending.NO_CONNECTION, "TLS certificate: self-signed certificate", SECURE),
    failed(Ending.NO_CONNECTION, "connection refused", PLAIN),
    exchange(ending=Ending.NOT_HTTP, question=PLAIN),
]


@pytest.mark.parametrize("it", NONE)
def test_where_nothing_is_told_nothing_is_said(it):
    assert clue_of(it) == ""
