"""The native language. Goal: what came goes out, byte for byte, and nothing upstream can raise.

Method: the corpus is decoded, logged by the real lifecycle and encoded again; rows for what is odd.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from finalstop.core.endings import EndReason
from finalstop.core.events import (
    BlockDelta,
    BlockStart,
    Entry,
    Event,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    Unknown,
)
from finalstop.wire.anthropic import (
    EXCERPT_CHARACTERS,
    AnthropicEncoder,
    Malformed,
    decode_deltas,
    decode_event,
    decode_json,
    decode_refusal,
    error_body,
    request_id_of,
)
from finalstop.wire.frames import encode_frame
from finalstop.wire.sse import SSEDecoder
from tests.builders import (
    answer,
    block_delta,
    block_stop,
    citations_delta,
    input_json_delta,
    message_start,
    signature_delta,
    text_delta,
    text_start,
    thinking_delta,
    together,
    unknown,
)
from tests.wire.transcripts import (
    ANSWERS,
    CORPUS,
    ended_of,
    ending,
    events_of,
    frame,
    frames_of,
    log_of,
)

FAILURES = [reason for reason in EndReason if reason is not EndReason.COMPLETE]


def encoded(entries: list[Entry]) -> list[bytes]:
    encoder = AnthropicEncoder()
    return [encoder.encode(entry) for entry in entries]


# --- the corpus ------------------------------------------------------------------------------

# Every name that the API's description holds; the corpus must show each.
PUBLIC_NAMES = """
message_start content_block_start content_block_delta content_block_stop message_delta
message_stop ping error
text_delta input_json_delta citations_delta thinking_delta signature_delta compaction_delta
text thinking redacted_thinking tool_use server_tool_use web_search_tool_result
web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result
text_editor_code_execution_tool_result tool_search_tool_result container_upload
advisor_tool_result mcp_tool_use mcp_tool_result mcp_tool_listing compaction fallback
char_location page_location content_block_location web_search_result_location
search_result_location
end_turn max_tokens stop_sequence tool_use pause_turn refusal model_context_window_exceeded
invalid_request_error authentication_error billing_error permission_error not_found_error
request_too_large rate_limit_error timeout_error api_error overloaded_error conflict_error
memory_precondition_failed_error memory_path_conflict_error
"""


def names_in(value: Any) -> set[str]:
    """Every `type` and `stop_reason` in a JSON value."""
    match value:
        case dict():
            own = {value[key] for key in ("type", "stop_reason") if isinstance(value.get(key), str)}
            return own.union(*map(names_in, value.values()))
        case list():
            return set().union(*map(names_in, value))
        case _:
            return set()


def test_the_corpus_shows_every_public_name():
    bodies = (event.json for body in CORPUS.values() for event in events_of(body))
    shown = set().union(*(names_in(decode_json(json)) for json in bodies))
    assert set(PUBLIC_NAMES.split()) - shown == set()


@pytest.mark.parametrize("name", CORPUS)
def test_a_body_says_what_it_is_in_its_first_line(name):
    assert CORPUS[name].startswith(b": corpus, shapes as of 2026-10-21, model claude-")


@pytest.mark.parametrize("name", CORPUS)
def test_decoding_keeps_every_events_json_as_it_came(name):
    body = CORPUS[name]
    assert [event.json for event in events_of(body)] == [frame.data for frame in frames_of(body)]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_goes_out_as_it_came_but_for_its_pings(name):
    events = [event for event in events_of(CORPUS[name]) if event.type != "ping"]
    sent = frames_of(b"".join(encoded(log_of(events))))
    assert [frame.data for frame in sent] == [event.json for event in events]
    assert [frame.id for frame in sent] == [f"3-{seq}" for seq in range(1, len(events) + 1)]
    named = {event.type for event in events} - {"tide high!"}
    assert {frame.event for frame in sent if frame.event} == named


@pytest.mark.parametrize("name", [name for name in CORPUS if name.startswith("errors/")])
def test_an_error_event_goes_out_as_one_with_all_its_fields(name):
    *before, last = events_of(CORPUS[name])
    *sent, final = frames_of(b"".join(encoded(log_of([*before, last]))))
    came, went = decode_json(last.json), decode_json(final.data)
    assert [frame.data for frame in sent] == [event.json for event in before]
    assert final.event == went["type"] == "error"
    assert went["error"]["message"].startswith(came["error"]["message"] + " [finalstop: ")
    assert {**went["error"], "message": ""} == {**came["error"], "message": ""}
    assert went["request_id"] == came.get("request_id")


# --- decoding: events ------------------------------------------------------------------------

DELTA = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}'
HALF = rb'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}'

# the frame's event,    its data,                                the type, the view
DECODED = [
    ("content_block_delta", DELTA, "content_block_delta", BlockDelta),
    ("", DELTA, "content_block_delta", BlockDelta),
    ("message_stop", DELTA, "content_block_delta", BlockDelta),
    ("message", b'{"type":"ping"}', "ping", Ping),
    ("ping", b"{}", "ping", Ping),
    ("ping", b'{"type":null}', "ping", Ping),
    ("message_stop", b"{}", "message_stop", MessageStop),
    ("", b' {"x" : [1] , "type" : "message_stop" } ', "message_stop", MessageStop),
    ("", b'{"type":"tide","type":"ping"}', "ping", Ping),
    ("", b'{"type":"tide"}', "tide", Unknown),
    ("ping", b'{"type":"tide"}', "tide", Unknown),
    ("tide", b"{}", "tide", Unknown),
    ("", b'{"type":"a\\nb: c"}', "a\nb: c", Unknown),
    ("", b'{"type":"message_start","message":{"id":null,"model":null}}', "message_start",
     MessageStart),
    ("", b'{"type":"message_start","message":{"usage":null}}', "message_start", MessageStart),
    ("", b'{"type":"message_delta","delta":{"stop_reason":null},"usage":null}', "message_delta",
     MessageDelta),
    ("", b'{"type":"content_block_start","index":1,"content_block":{"type":"x","text":null}}',
     "content_block_start", BlockStart),
]  # fmt: skip


@pytest.mark.parametrize(("event", "data", "type_", "view"), DECODED)
def test_the_json_says_what_an_event_is_and_the_event_field_only_where_it_does_not(
    event, data, type_, view
):
    decoded = decode_event(frame(data, event))
    assert isinstance(decoded, Event)
    assert (decoded.type, type(decoded.payload), decoded.json) == (type_, view, data)


HALVES = [
    (rb"salt \ud83e", "salt �"),
    (rb"\uddc2 of", "� of"),
    (rb"\ud83e\ud83e\uddc2", "�🧂"),
    (rb"\ud83e\u0041", "�A"),
    (rb"\\ud83e \ud83e", "\\ud83e �"),
    (rb"\ud83e\uddc2", "🧂"),
]


@pytest.mark.parametrize(("escaped", "text"), HALVES)
def test_half_a_surrogate_pair_reads_as_a_replacement_and_passes_on_as_it_came(escaped, text):
    data = HALF % escaped
    decoded = decode_event(frame(data))
    assert isinstance(decoded, Event)
    assert isinstance(decoded.payload, BlockDelta)
    assert (decoded.payload.delta.text, decoded.json) == (text, data)


# data,                                               what the detail must name
MALFORMED = [
    (b"{", "cannot be read as JSON"),
    (b"[DONE]", "cannot be read as JSON"),
    (b'{"type":"ping"} x', "trailing"),
    (b'{"type":"tide","x":01}', "invalid number"),
    (b'{"type":"tide","x":' + b"9" * 5000 + b"}", "out of range"),
    (b"[" * 100_000, "recursion"),
    (b'{"type":"tide","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
    (b'{"type":"ping","x":"\xff"}', "not valid UTF-8"),
    (b"[]", "not an object"),
    (b'"ping"', "not an object"),
    (b"null", "not an object"),
    (b"{}", "`$.type`"),
    (b'{"type":""}', "`$.type`"),
    (b'{"type":5}', "`$.type`"),
    (b'{"type":["ping"]}', "`$.type`"),
    (b'{"type":"content_block_stop"}', "content_block_stop: Object missing required field `index`"),
    (b'{"type":"content_block_stop","index":null}', "`index`"),
    (b'{"type":"content_block_stop","index":"0"}', "`$.index`"),
    (b'{"type":"content_block_stop","index":0.5}', "`$.index`"),
    (b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":[]}}',
     "`$.delta.text`"),
    (b'{"type":"message_start","message":{"usage":{"input_tokens":"3"}}}',
     "`$.message.usage.input_tokens`"),
    (b'{"type":"message_start"}', "`message`"),
    (b'{"type":"error","error":"Overloaded"}', "`$.error`"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "named"), MALFORMED)
def test_what_is_no_event_is_malformed_and_says_where(data, named):
    decoded = decode_event(frame(data))
    assert isinstance(decoded, Malformed)
    assert named in decoded.detail


def test_bytes_that_no_decoder_flagged_are_malformed_too_and_never_raise():
    hidden = frame(b'{"type":"tide"}')
    hidden = msgspec.structs.replace(hidden, data=b'{"type":"t\xff"}')
    assert isinstance(decode_event(hidden), Malformed)


# --- encoding --------------------------------------------------------------------------------


def test_one_delta_on_the_wire():
    [_, _, entry, *_] = log_of(answer("Hi"))
    assert isinstance(entry.event, Event)
    assert AnthropicEncoder().encode(entry) == (
        b"id: 3-3\nevent: content_block_delta\ndata: " + entry.event.json + b"\n\n"
    )


def test_deltas_together_are_a_frame_each():
    [one, two] = events = [text_delta("né 🌊"), signature_delta()]
    both = AnthropicEncoder().encode(Entry(3, 9, together(*events)))
    assert both == b"".join(encoded([Entry(3, 9, one), Entry(3, 10, two)]))


def test_json_with_line_ends_is_split_again_and_reads_the_same():
    json = b'{"type":\n"tide",\n\n"x":1}'
    [sent] = frames_of(encoded([Entry(1, 9, Event("tide", Unknown("tide"), json))])[0])
    assert (sent.data, sent.event, sent.id) == (json, "tide", "1-9")


@pytest.mark.parametrize("type_", ["a b", "a\nevent: message_stop", "x" * 129, "ä", "a\0", ""])
def test_an_event_whose_type_no_field_can_carry_goes_out_without_the_field(type_):
    event = unknown(type_, x=1)
    [sent] = frames_of(encoded([Entry(1, 1, event)])[0])
    assert (sent.data, sent.event, sent.id) == (event.json, "", "1-1")


def test_a_complete_stream_ends_with_the_upstreams_own_message_stop_and_nothing_else():
    [*_, last] = encoded(log_of(answer("Hi")))
    assert last == b'id: 3-6\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'


@pytest.mark.parametrize("reason", FAILURES)
def test_a_failed_stream_ends_with_one_error_event_that_carries_the_receipt(reason):
    ended = ending(reason, [message_start(), text_start()], detail="It was noon.")
    [sent] = frames_of(encoded([Entry(1, 3, ended)])[0])
    assert (sent.event, sent.id, sent.data) == ("error", "1-3", error_body(ended))
    said = decode_json(sent.data)
    assert list(said) == ["type", "error", "request_id", "finalstop"]
    assert (said["type"], said["error"], said["request_id"]) == ("error", ended.error, None)
    assert said["finalstop"] == decode_json(ended.receipt.to_json())
    assert f"[finalstop: {reason}; " in said["error"]["message"]


def test_there_is_no_error_body_for_a_complete_stream():
    ended = ended_of(log_of(answer("Hi"))[-1])
    with pytest.raises(AssertionError):
        error_body(ended)


def test_the_keep_alive_is_the_apis_own_ping():
    [ping] = frames_of(AnthropicEncoder.keep_alive)
    decoded = decode_event(ping)
    assert isinstance(decoded, Event)
    assert (ping.event, decoded.payload) == ("ping", Ping())


def test_the_response_head():
    encoder = AnthropicEncoder()
    assert encoder.content_type == "text/event-stream; charset=utf-8"
    assert encoder.headers == {}


# --- decoding: refusals ----------------------------------------------------------------------

OVERLOADED = {"type": "overloaded_error", "message": "Overloaded", "details": {"x": [None]}}
API_BODY = msgspec.json.encode({"type": "error", "error": OVERLOADED, "request_id": "req_1"})


def test_the_apis_own_error_is_kept_whole():
    refusal = decode_refusal(529, {"content-type": "application/json"}, API_BODY)
    assert (refusal.status, refusal.error) == (529, OVERLOADED)
    assert (refusal.retry_after_s, refusal.should_retry, refusal.retryable) == (None, None, True)


# status, content type, body,                      error type, how the message names what came
FOREIGN = [
    (502, "text/plain; charset=utf-8", b" no\n upstream ", "api_error",
     "text/plain, not with an API error: no upstream"),
    (529, "text/html", b"<html>busy</html>", "overloaded_error",
     "text/html, not with an API error."),
    (404, "text/plain", b"\n <!doctype html>", "not_found_error",
     "text/plain, not with an API error."),
    (403, "", b"denied", "permission_error",
     "no content type, not with an API error."),
    (418, "image/png", b"\x89PNG", "invalid_request_error",
     "image/png, not with an API error."),
    (500, "text/plain", b"", "api_error",
     "text/plain, not with an API error."),
    (500, "text/plain", b"a\x00b\x1b[31m\xffc", "api_error",
     "text/plain, not with an API error: ab[31m�c"),
    (429, "application/json", b"[1]", "rate_limit_error",
     "application/json, not with an API error: [1]"),
    (400, "application/json", b'{"error":"no model"}', "invalid_request_error",
     'application/json, not with an API error: {"error":"no model"}'),
    (400, "application/problem+json", b'{"error":{"type":null}}', "invalid_request_error",
     'application/problem+json, not with an API error: {"error":{"type":null}}'),
]  # fmt: skip


@pytest.mark.parametrize(("status", "content_type", "body", "type_", "came"), FOREIGN)
def test_any_other_body_becomes_an_error_that_names_what_came(
    status, content_type, body, type_, came
):
    refusal = decode_refusal(status, {"content-type": content_type}, body)
    message = f"The upstream answered {status} with {came}"
    assert refusal.error == {"type": type_, "message": message}
    assert refusal.status == status


def test_of_a_long_text_only_the_first_words_are_told():
    refusal = decode_refusal(500, {"content-type": "text/plain"}, "é".encode() * 64_000)
    assert refusal.error["message"].endswith(": " + "é" * EXCERPT_CHARACTERS)


NOON = 1_792_584_000.0  # Wed, 21 Oct 2026 12:00:00 GMT

# headers,                                              now,  the wait in seconds
WAITS = [
    ({}, NOON, None),
    ({"retry-after": "7"}, None, 7.0),
    ({"retry-after": " 1.5 "}, None, 1.5),
    ({"retry-after": "0"}, NOON, 0.0),
    ({"retry-after-ms": "250", "retry-after": "7"}, None, 0.25),
    ({"retry-after-ms": "soon", "retry-after": "7"}, None, 7.0),
    ({"retry-after": "-1"}, NOON, None),
    ({"retry-after": "nan"}, NOON, None),
    ({"retry-after": "inf"}, NOON, None),
    ({"retry-after": "soon"}, NOON, None),
    ({"retry-after": "Wed, 21 Oct 2026 12:00:30 GMT"}, NOON, 30.0),
    ({"retry-after": "Wednesday, 21-Oct-26 12:00:30 GMT"}, NOON, 30.0),
    ({"retry-after": "Wed Oct 21 12:00:30 2026"}, NOON, 30.0),
    ({"retry-after": "Wed, 21 Oct 2026 11:00:00 GMT"}, NOON, 0.0),
    ({"retry-after": "Wed, 21 Oct 2026 12:00:30 GMT"}, None, None),
]


@pytest.mark.parametrize(("headers", "now", "wait_s"), WAITS)
def test_a_retry_after_is_seconds_from_now_or_nothing(headers, now, wait_s):
    assert decode_refusal(429, headers, b"", http_now=now).retry_after_s == wait_s


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), ("x", None)])
def test_the_upstreams_own_word_on_retries_is_kept(value, expected):
    assert decode_refusal(500, {"x-should-retry": value}, API_BODY).should_retry is expected


# headers,                  body,                     the id
REQUEST_IDS = [
    ({"request-id": "req_0"}, API_BODY, "req_0"),
    ({}, API_BODY, "req_1"),
    ({}, b"{", None),
    ({}, b"[]", None),
    ({}, b'{"request_id":5}', None),
    ({}, b"", None),
]


@pytest.mark.parametrize(("headers", "body", "request_id"), REQUEST_IDS)
def test_the_request_id_is_in_the_head_or_in_the_body(headers, body, request_id):
    assert request_id_of(headers, body) == request_id


def test_an_encoded_event_decodes_to_itself():
    event = decode_event(frame(DELTA))
    assert isinstance(event, Event)
    [sent] = frames_of(encode_frame(event.json, event=event.type))
    assert decode_event(sent) == event


# --- deltas together ---------------------------------------------------------------------------

WORD, HEAD = text_delta("né 🌊").json, b"event: content_block_delta\ndata: "
NO_UTF_8 = WORD.replace(b'"text_delta"', b'"\xff"')


def by_frames(body: bytes) -> list[Event | Malformed]:
    return [decode_event(frame) for frame in SSEDecoder().feed(body)]


@pytest.mark.parametrize("events", [
    [text_delta("Hi")],
    [text_delta("né 🌊"), text_delta(""), text_delta('\\ " \n \r {')],
    [thinking_delta("hm", 1), input_json_delta('{"a', 2), signature_delta(), citations_delta()],
    [block_delta(3, "not_yet_invented", words="many")],
])  # fmt: skip
def test_a_chunk_of_deltas_is_read_as_its_frames_are(events):
    body = b"".join(encode_frame(event.json, event=event.type) for event in events)
    deltas = decode_deltas(body)
    assert deltas is not None
    assert deltas.events() == by_frames(body) == events
    assert deltas.size_bytes == sum(len(event.json) for event in events)


@pytest.mark.parametrize("chunk", [
    b"",
    b"\n\n",
    HEAD + WORD,                                      # not yet whole
    HEAD + WORD + b"\n\nevent",
    HEAD + b"\n\n",
    b": comment\n" + HEAD + WORD + b"\n\n",
    HEAD + WORD + b"\nid: 7\n\n",
    HEAD + WORD + b"\ndata: \n\n",
    HEAD + WORD + b"\n\n\n\n",
    (HEAD + WORD + b"\n\n").replace(b"\n", b"\r\n"),
    HEAD + WORD + b"\r\n\n",
    HEAD + NO_UTF_8 + b"\n\n",
    HEAD + WORD.replace(b'"text"', b'"t\xff"') + b"\n\n",
    HEAD + block_stop(0).json + b"\n\n",             # named one thing, and is another
    HEAD + WORD + b"\n\n" + HEAD + b'{"type": "message_stop"}\n\n',
    HEAD + unknown("tide").json + b"\n\n",
    HEAD + b'{"type": "content_block_delta", "index": "0"}\n\n',
    HEAD + b'{"type": "content_block_delta", "index": 0, "delta": {"type": "x", "text": "\\ud83e"}}'
    b"\n\n",
    encode_frame(WORD),                               # named nothing
])  # fmt: skip
def test_of_any_other_chunk_the_frames_are_asked(chunk):
    assert decode_deltas(chunk) is None
