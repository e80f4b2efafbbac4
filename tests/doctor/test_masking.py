"""Masking: what was sent as a key comes back in no report, and sizes and offsets stay."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from urllib.parse import quote

import pytest
from rich.console import Console

from finalstop.doctor.findings import examine
from finalstop.doctor.masking import blotted, masked, safe_body, secrets_of
from finalstop.doctor.observations import Case, Ending, Question, Shutdown, Untold
from finalstop.doctor.page import as_html
from finalstop.doctor.record import as_json
from finalstop.doctor.report import print_ci, print_report
from tests.doctor.exchanges import GOOD, A, B, asked, exchange, treated, trial

URL = "http://h/a"
KEY = 'sk-"SECRET/abc'
BASIC = b64encode(f"me:{KEY}".encode()).decode()

QUESTIONS = [
    Question("GET", URL, (("authorization", f"Bearer {KEY}"),)),
    Question("GET", URL, (("authorization", f"Basic {BASIC}"),)),
    Question("GET", URL, (("x-api-key", KEY),)),
    Question("GET", URL, (("cookie", f"a=1; session={KEY}"),)),
    Question("GET", f"{URL}?x=1&api_key={quote(KEY)}"),
    Question("POST", URL, (), json.dumps({"config": [{"api_key": KEY}]}).encode()),
    Question("POST", URL, (), json.dumps({"openaiApiKey": KEY}).encode()),
    Question("POST", URL, (), f"prompt=hi&api_key={quote(KEY)}".encode()),
]


def echoing(question):
    """An endpoint that gives back all that it was sent, in every way, even in two pieces."""
    half = len(KEY) // 2
    it = exchange(
        *(A, f"data: {json.dumps({'text': KEY})}\n\n", f"data: bad key {KEY}"[: 14 + half]),
        *(KEY[half:] + "\n\n", f"data: {quote(KEY, safe='')}\n\n", f"tail {KEY}"),
        headers=(("x-echo", KEY), ("server", f"uvicorn {KEY}"), ("content-encoding", KEY)),
        ending=Ending.CUT,
        question=question,
    )
    untold = (Untold(KEY, KEY),)
    dead = trial(Case.RESET, it, survived=False, said=f"Error: bad key {KEY}")
    yield asked(it, untold=untold)
    yield asked(exchange(f"bad key {KEY}", status=401, kind="text/plain", question=question))
    shutdown = Shutdown(it, 0.1, 0.2, 0)
    yield treated({Case.HEALTHY: it, Case.RESET: dead}, untold=untold, shutdown=shutdown)


def reports(seen):
    findings = examine(seen)
    for how in (print_report, print_ci):
        out = io.StringIO()
        how(Console(file=out, width=10_000), seen, findings)
        yield out.getvalue()
    yield as_json(seen, findings)
    yield as_html(seen, findings)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_key_that_was_sent_is_in_no_report_whatever_the_server_does_with_it(question):
    for seen in echoing(question):
        for report in reports(seen):
            assert "SECRET" not in report


@pytest.mark.parametrize("question", QUESTIONS)
def test_bytes_and_pieces_keep_their_number(question):
    for seen in echoing(question):
        was, now = (next(iter(it.steps.values())) for it in (seen, masked(seen)))
        assert [len(it.data) for it in was.arrivals] == [len(it.data) for it in now.arrivals]
        assert KEY.encode() not in now.body


PLAIN_WORDS = [
    Question("POST", URL, (), b'{"max_tokens": 1000, "author": "Robert Louis", "key": "text"}'),
    Question("POST", URL, (("x-requested-with", "fetch"),), b"prompt=the+ocean"),
    Question("GET", f"{URL}?prompt=the+ocean+is+salty"),
]


@pytest.mark.parametrize("question", PLAIN_WORDS)
def test_what_is_no_key_is_left_alone(question):
    seen = asked(exchange(A, B, "data: Robert Louis text\n\n", question=question))
    assert secrets_of(seen) == ()
    assert masked(seen) is seen


BODIES = [
    (b'{"prompt":"hi","api_key":"sk"}', '{"prompt":"hi","api_key":"(hidden)"}'),
    (b"prompt=hi&password=abc", "prompt=hi&password=(hidden)"),
    (b'{"key":[{"x":"y"}]}', '{"key":[{"x":"y"}]}'),
    (b"\xff\x00", "\ufffd\x00"),
    (b"[" * 9000, "[" * 9000),
]


@pytest.mark.parametrize(("body", "shown"), BODIES)
def test_a_body_is_shown_without_its_keys_however_short_they_are(body, shown):
    assert safe_body(Question("POST", URL, (), body)) == shown


def test_a_longer_secret_goes_before_one_that_is_part_of_it():
    seen = asked(exchange(A, question=QUESTIONS[0]))
    assert blotted(f"Bearer {KEY}", secrets_of(seen)) == "*" * len(f"Bearer {KEY}")


def test_without_secrets_nothing_is_copied():
    assert masked(asked(GOOD)).steps == asked(GOOD).steps
