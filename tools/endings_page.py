"""The table of endings: EndReason x wire format, before and after the head, to the last byte.

Every cell is made by the code that makes it in service: the real lifecycle is led into each
ending, and the real encoders write it. Nothing here is typed in by hand, so the page is a golden
file: a change of a byte shows as a diff of the page.
"""

from __future__ import annotations

import json
from typing import Final

from finalstop.core.endings import ENDINGS, EndReason, Refusal
from finalstop.core.events import Entry, Event
from finalstop.core.lifecycle import Lifecycle
from finalstop.core.limits import Limits
from finalstop.core.receipt import Ended
from finalstop.core.rules import Rule
from finalstop.wire.anthropic import Malformed, decode_event, error_body
from finalstop.wire.formats import FORMATS, encoder_for
from finalstop.wire.sse import Frame

STREAM_ID: Final = "0123456789abcdef0123456789abcdef"
REQUEST_ID: Final = "req_011CExample"
MODEL: Final = "claude-sonnet-5-5"

_USAGE: Final = {"input_tokens": 12, "output_tokens": 1}
_HEAD: Final = {"id": "msg_01Example", "type": "message", "role": "assistant", "model": MODEL}
OPENING: Final[tuple[dict[str, object], ...]] = (
    {"type": "message_start", "message": {**_HEAD, "content": [], "usage": _USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Because rivers"},
    },
)
CLOSING: Final[tuple[dict[str, object], ...]] = (
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 3},
    },
    {"type": "message_stop"},
)
OVERLOADED: Final = {"type": "overloaded_error", "message": "Overloaded"}

# After the head, because the commit window was over; but no content can have come before them.
NO_CONTENT_BEFORE: Final = frozenset({EndReason.UNREACHABLE, EndReason.FIRST_CONTENT_TIMEOUT})

# When an ending is told, in seconds after the opening.
CONTENT_AT_S: Final = 0.5
END_AT_S: Final = 2.0


def event(fields: dict[str, object]) -> Event:
    """An event as it comes off the wire."""
    decoded = decode_event(Frame("", json.dumps(fields).encode(), "", malformed=False))
    assert not isinstance(decoded, Malformed)
    return decoded


def ended_by(reason: EndReason, *, after_head: bool) -> Ended:
    """Lead a real lifecycle into an ending, before its first event or in the middle of a text."""
    life = Lifecycle(STREAM_ID, Limits(), now=0.0)
    if reason is not EndReason.UNREACHABLE:
        life.saw_connection(now=0.125)
        life.saw_response(REQUEST_ID, now=0.25)
    if after_head and reason not in NO_CONTENT_BEFORE:
        life.receive([event(fields) for fields in OPENING], now=CONTENT_AT_S)
    if reason is EndReason.COMPLETE:
        life.receive([event(fields) for fields in CLOSING], now=END_AT_S)
    elif reason is EndReason.UPSTREAM_ERROR and after_head:
        life.receive([event({"type": "error", "error": OVERLOADED})], now=END_AT_S)
    elif reason is EndReason.UPSTREAM_ERROR:
        life.refused(Refusal(529, OVERLOADED), now=END_AT_S)
    else:
        life.end(reason, "", now=END_AT_S)
    assert life.ended is not None
    return life.ended


def last_bytes(reason: EndReason, wire_format: str) -> bytes:
    """The last bytes of the body, when the head is sent."""
    ended = ended_by(reason, after_head=True)
    return encoder_for(wire_format).encode(Entry(1, ended.receipt.last_seq, ended))


def endings_markdown() -> str:
    """One row per end reason."""
    lines = [
        "| reason | whose doing | triggered by | status before the head | `error.type` | retry? |",
        "|---|---|---|---|---|---|",
    ]
    for reason, row in ENDINGS.items():
        status = "the upstream's" if reason is EndReason.UPSTREAM_ERROR else str(row.status)
        kind = "the upstream's" if reason is EndReason.UPSTREAM_ERROR else row.error_type
        if reason is EndReason.COMPLETE:
            kind, retry = "none", "no need"
        elif reason is EndReason.UPSTREAM_ERROR:
            retry = "as the upstream says"
        else:
            retry = "yes" if row.retryable else "no"
        name = f'<a id="{reason}"></a>`{reason}`'
        lines.append(f"| {name} | {row.party} | {row.trigger} | {status} | {kind} | {retry} |")
    return "\n".join(lines)


def endings_excerpt_markdown() -> str:
    """What a reader of the README needs: when, why, and what the client sees."""
    lines = ["| what happens | reason | before the head | after the head |", "|---|---|---|---|"]
    for reason, row in ENDINGS.items():
        if reason is EndReason.OWNER_LOST:
            continue  # needs a log shared by several processes, which is still to come
        if reason is EndReason.COMPLETE:
            before, after = "200", '`message_stop` · `"event":"end"`'
        else:
            status = "its own status" if reason is EndReason.UPSTREAM_ERROR else str(row.status)
            before, after = status, '`event: error` · `"event":"error"`'
        lines.append(f"| {row.trigger} | `{reason}` | {before} | {after} |")
    return "\n".join(lines)


def last_bytes_markdown() -> str:
    """The exact last bytes of every ending in every format."""
    parts = []
    for reason in EndReason:
        parts += [f"### {reason}", ""]
        if reason is not EndReason.COMPLETE:
            ended = ended_by(reason, after_head=False)
            body = error_body(ended).decode()
            parts += [f"Before the head, status {ended.status}:", "", "```json", body, "```", ""]
        for name in FORMATS:
            wire = last_bytes(reason, name).decode()
            parts += [f"After the head, `{name}`:", "", "```text", wire.rstrip("\n"), "", "```", ""]
    return "\n".join(parts)


def wellformed_markdown() -> str:
    """What is forgiven, and what cannot be."""
    lines = ["| rule | verdict | what |", "|---|---|---|"]
    for rule in Rule:
        verdict, _, what = rule.value.partition(": ")
        lines.append(f"| {rule.name} | {verdict} | {what} |")
    return "\n".join(lines)
