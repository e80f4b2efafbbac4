"""The report as data: a schema that stays, and no key in it."""

from __future__ import annotations

import json

import pytest

from finalstop.doctor.findings import examine
from finalstop.doctor.observations import Case, Question
from finalstop.doctor.record import (
    HIDDEN,
    SCHEMA,
    as_json,
    diffs_of,
    safe_headers,
    safe_url,
    verdict,
)
from tests.doctor.exchanges import NEVER, A, asked, exchange, treated

HANGS = exchange(A, ending=NEVER)
SICK = treated({Case.STALL: HANGS, Case.NEVER_CLOSED: HANGS}, sources={"a.py": "import fastapi"})


def test_the_schema_is_this():
    record = json.loads(as_json(SICK, examine(SICK)))
    assert record["schema"] == SCHEMA
    assert sorted(record) == [
        *("dialect", "diffs", "exchanges", "findings", "problems", "schema", "stacks"),
        *("untold", "url", "verdict", "window_s"),
    ]
    assert (record["verdict"], record["problems"]) == ("2 problems", 2)
    assert sorted(record["findings"][0]) == [
        *("evidence", "fix", "hurts", "level", "name", "title", "why"),
    ]
    assert sorted(record["exchanges"][0]) == [
        *("body_bytes", "ended_s", "ending", "framing", "head_s", "headers", "key", "method"),
        *("name", "status", "timeline"),
    ]
    assert sorted(record["diffs"][0]) == ["cures", "diff", "for_your_file", "stack"]
    assert record["diffs"][0]["cures"] == ["open_after_terminal", "hangs_on_stall"]


def test_each_diff_is_there_once():
    findings = examine(SICK)
    assert len([it for it in findings if it.fix.diff]) == 2
    assert len(diffs_of(findings)) == 1


VERDICTS = [
    (asked(exchange(A, 'data: {"event":"end"}\n\n')), "no finding"),
    (asked(exchange(A)), "1 problem"),
    (SICK, "2 problems"),
]


@pytest.mark.parametrize(("seen", "said"), VERDICTS)
def test_the_verdict_counts(seen, said):
    assert verdict(examine(seen)) == said


KEYS = [
    "authorization", "Authorization", "x-api-key", "cookie", "proxy-authorization", "set-cookie",
    "x-my-token", "x-goog-api-key",
]  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_no_key_is_shown(name):
    assert safe_headers([(name, "sk-ant-1234")]) == [(name, HIDDEN)]


def test_other_headers_are_shown_with_their_control_characters_visible():
    assert safe_headers([("x-a", "b\x1b[2J")]) == [("x-a", "b\\x1b[2J")]


URLS = [
    ("http://host:1/a?prompt=hi", "http://host:1/a?prompt=hi"),
    ("https://me:pass@host/a", "https://host/a"),
    ("http://host/a?api_key=sk-1&x=2", "http://host/a?api_key=(hidden)&x=2"),
    ("http://host/\x1b[2J", "http://host/\\x1b[2J"),
    ("http://[broken?key=1", "http://[broken"),
]


@pytest.mark.parametrize(("url", "shown"), URLS)
def test_a_url_is_shown_without_what_is_secret_in_it(url, shown):
    assert safe_url(url) == shown


def test_the_key_of_the_question_is_nowhere_in_the_record():
    question = Question("POST", "http://h/a", (("authorization", "Bearer sk-ant-1234"),), b"")
    seen = asked(exchange(A, question=question, headers=(("set-cookie", "sk-ant-1234"),)))
    assert "sk-ant-1234" not in as_json(seen, examine(seen))
