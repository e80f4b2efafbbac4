"""The dialects: told by their frames, ended by their own words."""

from __future__ import annotations

import pytest

from finalstop.doctor.dialects import DIALECTS, NONE, PLAIN, Role, dialect_of, is_empty_delta
from finalstop.doctor.reading import read
from tests.doctor.exchanges import A, B, C, exchange

R = Role


def sse(*datas: str) -> str:
    return "".join(f"data: {it}\n\n" for it in datas)


def named(event: str, data: str) -> str:
    return f"event: {event}\ndata: {data}\n\n"


TOLD = [
    # dialect, body, roles
    (
        "Anthropic",
        named("message_start", '{"type":"message_start"}')
        + named("content_block_delta", '{"type":"content_block_delta"}')
        + named("ping", '{"type":"ping"}')
        + named("message_stop", '{"type":"message_stop"}'),
        [R.OTHER, R.DELTA, R.KEEP_ALIVE, R.SUCCESS],
    ),
    (
        "Anthropic",
        sse('{"type":"message_start"}') + named("error", '{"type":"error"}'),
        [R.OTHER, R.FAILURE],
    ),
    (
        "AI SDK UI message stream",
        sse(
            '{"type":"start"}',
            '{"type":"text-delta","id":"1","delta":"a"}',
            '{"type":"finish","finishReason":"stop"}',
            "[DONE]",
        ),
        [R.OTHER, R.DELTA, R.SUCCESS, R.CLOSE],
    ),
    (
        "AI SDK UI message stream",
        sse('{"type":"start-step"}', '{"type":"finish","finishReason":"interrupted"}'),
        [R.OTHER, R.FAILURE],
    ),
    (
        "AG-UI",
        sse(
            '{"type":"RUN_STARTED"}',
            '{"type":"TEXT_MESSAGE_CONTENT","delta":"a"}',
            '{"type":"RUN_FINISHED"}',
        ),
        [R.OTHER, R.DELTA, R.SUCCESS],
    ),
    ("AG-UI", sse('{"type":"RUN_STARTED"}', '{"type":"RUN_ERROR"}'), [R.OTHER, R.FAILURE]),
    (
        "OpenAI chat",
        sse(
            '{"object":"chat.completion.chunk","choices":[{"delta":{"content":"a"}}]}',
            '{"object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"stop"}]}',
            "[DONE]",
        ),
        [R.DELTA, R.OTHER, R.CLOSE],
    ),
    ("OpenAI chat", sse('{"choices":[]}', '{"error":{}}'), [R.OTHER, R.FAILURE]),
    ("plain deltas", A + sse('{"event":"end"}'), [R.DELTA, R.SUCCESS]),
    ("plain deltas", A + sse('{"done":true}'), [R.DELTA, R.SUCCESS]),
    ("plain deltas", sse("Hello", "[DONE]"), [R.DELTA, R.CLOSE]),
    ("plain deltas", A + ": k\n\n" + named("error", "{}"), [R.DELTA, R.KEEP_ALIVE, R.FAILURE]),
    ("plain deltas", A + sse('{"error":"no"}'), [R.DELTA, R.FAILURE]),
    ("plain deltas", named("token", "a") + named("done", "{}"), [R.DELTA, R.SUCCESS]),
]


@pytest.mark.parametrize(("name", "body", "roles"), TOLD)
def test_a_dialect_is_told_by_its_frames_and_judges_them(name, body, roles):
    reading = read(exchange(body))
    dialect = dialect_of(reading)
    assert dialect.name == name
    assert [dialect.judge(it) for it in reading.frames] == roles


def test_an_event_without_data_reaches_no_browser_and_so_ends_nothing():
    reading = read(exchange(A + "event: end\n\n"))
    assert [PLAIN.judge(it) for it in reading.frames] == [R.DELTA, R.OTHER]


def test_plain_text_has_no_terminal():
    dialect = dialect_of(read(exchange("The ocean", kind="text/plain")))
    assert (dialect.name, dialect.success[:4]) == ("plain text", "none")


LEARNED = [
    # the frames of a healthy run, its terminal
    (A + B + C + sse('{"over":1}'), 'data: {"over":1}'),
    (A + B + sse('{"usage":{}}', '{"bye":true}'), 'data: {"bye":true}'),
    (named("piece", "a") * 3 + named("fin", "{}"), "event: fin, data: {}"),
    (sse("a", "b", "c", "<FIN>"), "data: <FIN>"),
]


@pytest.mark.parametrize(("body", "terminal"), LEARNED)
def test_a_home_made_terminal_is_learned_from_a_healthy_run(body, terminal):
    reading = read(exchange(body))
    dialect = dialect_of(reading, learned=True)
    assert dialect.success == terminal
    assert [dialect.judge(it) for it in reading.frames].count(R.SUCCESS) == 1
    assert dialect.judge(reading.frames[-1]) is R.SUCCESS


UNLEARNED = [A + B + C, sse("a", "b", "c"), A, sse('{"usage":1}') + A + B + sse('{"usage":2}')]


@pytest.mark.parametrize("body", UNLEARNED)
def test_a_run_that_ends_with_what_came_before_teaches_no_terminal(body):
    reading = read(exchange(body))
    dialect = dialect_of(reading, learned=True)
    assert R.SUCCESS not in [dialect.judge(it) for it in reading.frames]


EMPTY = [
    ("{}", True),
    ('{"text":null}', True),
    ('{"text":"undefined"}', True),
    ("undefined", True),
    ("[object Object]", True),
    ('{"text":""}', False),
    ('{"text":"null and void"}', False),
    ('{"event":"end"}', False),
]


@pytest.mark.parametrize(("data", "is_empty"), EMPTY)
def test_an_empty_delta_is_one_without_any_text(data, is_empty):
    (frame,) = read(exchange(sse(data))).frames
    assert is_empty_delta(frame) is is_empty


def test_every_row_says_its_terminals_and_the_last_row_takes_all():
    assert all(it.success and it.failure for it in DIALECTS)
    assert DIALECTS[-1] is NONE
    assert dialect_of(read(exchange())).name == "plain deltas"
    assert dialect_of(read(exchange(kind="text/plain"))) is NONE
