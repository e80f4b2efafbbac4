"""What the simulator can play, as data: names, phases, and one line of explanation each.

This room may not know how anything is played. `faults.py`, `forms.py` and `answers.py` hold the
doing; their tables must have exactly the names written here (a test compares them). The page
`docs/reference/simulator.md` and `finalstop simulate --list` are drawn from these rows.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What sort of thing a name stands for.

    `answer` and `form` are healthy and must be relayed whole; `fault` is not; `connect` fails
    before there is a server to script, and is made by `finalstop.simulator.connect`.
    """

    ANSWER = "answer"
    FORM = "form"
    FAULT = "fault"
    CONNECT = "connect"


class Phase(Enum):
    """Where in the life of one call a fault strikes."""

    BEFORE_DIAL = "before-dial"
    BEFORE_HEAD = "before-head"
    AFTER_HEAD = "after-head"
    BEFORE_FIRST_DELTA = "before-first-delta"
    MID_TEXT = "mid-text"
    MID_THINKING = "mid-thinking"
    MID_TOOL_JSON = "mid-tool-json"
    BEFORE_MESSAGE_STOP = "before-message-stop"


HEAD: Final = (Phase.BEFORE_HEAD,)
MID: Final = (Phase.MID_TEXT, Phase.MID_THINKING, Phase.MID_TOOL_JSON)
STARTED: Final = (Phase.BEFORE_FIRST_DELTA, *MID, Phase.BEFORE_MESSAGE_STOP)
BODY: Final = (Phase.AFTER_HEAD, *STARTED)
EVERYWHERE: Final = (*HEAD, *BODY)
ONE_PLACE: Final[tuple[Phase, ...]] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of the catalogue.

    `phases` is empty for what happens in one place only; `says` then tells where. `plain` tells
    that it also means something for an answer that is not a stream (`"stream": false`). `whole`
    tells that message_stop arrives after everything a strict reader wants: the answer is complete.
    """

    name: str
    kind: Kind
    phases: tuple[Phase, ...]
    says: str
    plain: bool = False
    whole: bool = False


def describe() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Every entry as (name, kind, phases, says), healthy answers first."""
    return [(e.name, e.kind.value, tuple(p.value for p in e.phases), e.says) for e in ENTRIES]


def catalogue_markdown() -> str:
    """The catalogue as Markdown tables, one per kind; ends with a newline."""
    return "\n".join(_table(kind) for kind in Kind)


def names(*kinds: Kind) -> list[str]:
    """The names of the given kinds, in catalogue order."""
    return [entry.name for entry in ENTRIES if entry.kind in kinds]


def _table(kind: Kind) -> str:
    rows = [e for e in ENTRIES if e.kind is kind]
    lines = [f"**{_TITLES[kind]}** ({len(rows)})", "", "| name | phases | what it does |"]
    lines += ["|---|---|---|", *(f"| `{e.name}` | {_phases(e.phases)} | {e.says} |" for e in rows)]
    return "\n".join(lines) + "\n"


def _phases(phases: tuple[Phase, ...]) -> str:
    if phases == EVERYWHERE:
        return "all but before-dial"
    if phases == BODY:
        return "after-head and later"
    if phases == STARTED:
        return "before-first-delta and later"
    if phases == MID:
        return "the three mid- phases"
    return ", ".join(p.value for p in phases) or "one place"


_TITLES: Final = {
    Kind.ANSWER: "Healthy answers",
    Kind.FORM: "Healthy answers in unusual bytes",
    Kind.FAULT: "Faults",
    Kind.CONNECT: "Connect faults (`finalstop.simulator.connect`)",
}


def _answer(name: str, says: str) -> Entry:
    return Entry(name, Kind.ANSWER, ONE_PLACE, says, plain=True, whole=True)


def _form(name: str, says: str, *phases: Phase, plain: bool = False) -> Entry:
    return Entry(name, Kind.FORM, phases, says, plain=plain, whole=True)


def _fault(name: str, phases: tuple[Phase, ...], says: str, *, plain: bool = False) -> Entry:
    return Entry(name, Kind.FAULT, phases, says, plain=plain)


def _late(name: str, says: str) -> Entry:
    return Entry(name, Kind.FAULT, ONE_PLACE, f"after message_stop: {says}", whole=True)


def _head(name: str, says: str) -> Entry:
    return Entry(name, Kind.FAULT, HEAD, says, plain=True)


def _connect(name: str, says: str) -> Entry:
    return Entry(name, Kind.CONNECT, (Phase.BEFORE_DIAL,), says, plain=True)


_ANSWERS: Final = (
    _answer("text", "a short explanation in one text block"),
    _answer("empty-text", "one text block without a delta"),
    _answer("no-content", "a whole message with no block at all"),
    _answer("thinking", "a thinking block with its signature, then text"),
    _answer("redacted-thinking", "a redacted_thinking block, then text"),
    _answer("tools", "text, then one tool call whose JSON is split inside escapes"),
    _answer("thinking-tools", "a thinking block, text, then a tool call"),
    _answer("parallel-tools", "two tool calls, one with no input"),
    _answer("citations", "text with each of the five citation locations"),
    _answer("server-tools", "every server tool and its result block, a container, cited text"),
    _answer("beta-blocks", "mcp, advisor, fallback and compaction blocks; stop_reason compaction"),
    _answer("cached", "text whose usage counts prompt-cache reads and writes"),
    _answer("refusal", "text broken off, stop_reason refusal with stop_details"),
    _answer("max-tokens", "text broken off, stop_reason max_tokens"),
    _answer("max-tokens-tool", "a tool call whose JSON is broken off, stop_reason max_tokens"),
    _answer("pause-turn", "a server tool call left waiting, stop_reason pause_turn"),
    _answer("context-window", "stop_reason model_context_window_exceeded"),
    _answer("stop-sequence", "stop_reason stop_sequence, and which one"),
    _answer("unknown-events", "unknown events, an unknown block and unknown deltas"),
    _answer("many-blocks", "forty small text blocks"),
    _answer("unicode", "emoji split between deltas, right-to-left, U+2028, combining marks"),
    _answer("long", "a long text, 64 KiB or `bytes`"),
    _answer("pings", "text with a ping between all deltas"),
)

_FORMS: Final = (
    _form("slow-drip", "content that trickles: 250 ms between deltas, or `pace_ms`"),
    _form("pause", "silence for `hold_s` (default 2), then the rest of the answer", *EVERYWHERE),
    _form("pause-pings", "pings for `hold_s` (default 2), then the rest of the answer", *BODY),
    _form("unknown-event", "one event of an unknown type between the others", *BODY),
    _form("gzip", "compressed although nobody asked", plain=True),
    _form("gzip-no-trailer", "compressed, whole up to message_stop, gzip trailer missing"),
    _form("crlf", "CR LF line ends"),
    _form("cr-only", "CR line ends"),
    _form("bom", "a byte order mark first"),
    _form("no-space", "no space after the colons"),
    _form("no-event-names", "no `event:` fields; the type is in the JSON only"),
    _form("multi-line-data", "each event's JSON spread over several `data:` lines"),
    _form("extra-fields", "`id:`, `retry:`, unknown fields and comments in every event"),
    _form("split-everywhere", "one byte per TCP write"),
    _form("one-write", "the whole stream in a single chunk"),
    _form("chunk-extensions", "chunk sizes carry extensions"),
    _form("trailers", "trailer fields after the last chunk"),
    _form("close-delimited", "HTTP/1.1 without length: the body ends with the connection"),
    _form("http-1.0", "an HTTP/1.0 response that ends with the connection"),
    _form("informational-1xx", "100 and 103 heads before the real one", plain=True),
    _form("refuse-keepalive", "`connection: close`, and closes", plain=True),
    _form("close-while-idle", "answers, then closes the kept connection 20 ms later", plain=True),
    _form("reset-on-reuse", "answers, then resets the connection at its next request", plain=True),
)

_STATUS_FAULTS: Final = (
    _head("status-400", "400 invalid_request_error"),
    _head("status-401", "401 authentication_error"),
    _head("status-402", "402 billing_error"),
    _head("status-403", "403 permission_error"),
    _head("status-404", "404 not_found_error"),
    _head("status-408", "408 timeout_error"),
    _head("status-409", "409 conflict_error"),
    _head("status-413", "413 request_too_large"),
    _head("status-422", "422 invalid_request_error"),
    _head("status-429", "429 rate_limit_error with retry-after (1, or `retry_after`)"),
    _head("status-429-spend", "429 for a spend limit: no retry-after, x-should-retry false"),
    _head("status-500", "500 api_error"),
    _head("status-502", "502 with a proxy's HTML page"),
    _head("status-503", "503 with a proxy's HTML page"),
    _head("status-504", "504 timeout_error"),
    _head("status-529", "529 overloaded_error"),
    _head("status-stall", "a 500 head that promises a body which never comes"),
    _head("redirect", "307 to another path"),
    _head("wrong-content-type", "a good stream labelled application/octet-stream"),
    _head("html-200", "200 with an HTML page"),
    _head("empty-200", "200 text/event-stream with an empty body"),
    _head("json-200", "200 with a JSON Message although a stream was asked for"),
    _head("no-content-204", "204 and nothing"),
    _head("unknown-encoding", "a good stream labelled `content-encoding: br`"),
    _head("huge-head", "a head of 1 MiB, or `bytes`"),
    _head("not-http", "bytes that are no HTTP response"),
    _head("no-head", "silence: the request is read and nothing is said"),
)

_SILENCE_FAULTS: Final = (
    _fault("stall", EVERYWHERE, "silence, with the connection open", plain=True),
    _fault("pings-forever", BODY, "only pings, every 100 ms or `pace_ms`"),
    _fault("comments-forever", BODY, "only comment lines, every 100 ms or `pace_ms`"),
    _fault("spaces-forever", BODY, "only empty lines, every 100 ms or `pace_ms`"),
)

_CUT_FAULTS: Final = (
    _fault("fin", BODY, "the body ends properly, too early", plain=True),
    _fault("eof", EVERYWHERE, "the connection closes without the last chunk", plain=True),
    _fault("rst", EVERYWHERE, "the connection is reset", plain=True),
    _fault("cut-chunk", BODY, "closed inside a chunk", plain=True),
    _fault("cut-mid-event", BODY, "half an event, then a proper end of the body"),
    _fault("cut-mid-utf8", BODY, "cut inside a four-byte character, then a proper end"),
    _fault("cut-gzip", BODY, "compressed, and cut inside the compressed data"),
    _fault("content-length-short", BODY, "fewer bytes than content-length promised", plain=True),
    _fault("bad-chunk-size", BODY, "a chunk size that is no number", plain=True),
    _fault("missing-message-stop", ONE_PLACE, "all but message_stop, then a proper end"),
)

_ERROR_FAULTS: Final = (
    _fault("error-overloaded", BODY, "an overloaded_error event, then a proper end"),
    _fault("error-api", BODY, "an api_error event, then a proper end"),
    _fault("error-rate-limit", BODY, "a rate_limit_error event, then a proper end"),
    _fault("error-timeout", BODY, "a timeout_error event, then a proper end"),
    _fault("error-invalid-request", BODY, "an invalid_request_error event, then a proper end"),
    _fault("error-unknown-type", BODY, "an error event of a type nobody knows"),
    _fault("error-no-body", BODY, "an error event without an error object"),
    _fault("error-then-open", BODY, "an overloaded_error event, then silence"),
    _fault("error-then-events", BODY, "an overloaded_error event, then the stream goes on"),
    _fault("error-first", ONE_PLACE, "an overloaded_error as the very first event"),
)

_CONTENT_FAULTS: Final = (
    _fault("bad-json", BODY, "one event whose JSON is broken off; the stream goes on"),
    _fault("wrong-shape", BODY, "a delta event without its delta; the stream goes on"),
    _fault("not-object", BODY, "an event whose JSON is a list; the stream goes on"),
    _fault("invalid-utf8", BODY, "an event with bytes that are no UTF-8; the stream goes on"),
    _fault("nul-byte", BODY, "an event with a raw NUL byte in its JSON; the stream goes on"),
    _fault("duplicate-message-start", STARTED, "a second message_start"),
    _fault("delta-before-start", ONE_PLACE, "a delta before message_start"),
    _fault("no-message-start", ONE_PLACE, "a whole stream without message_start"),
    _fault("delta-unknown-index", STARTED, "a delta for block 99"),
    _fault("duplicate-block-start", MID, "the open block is started again"),
    _fault("early-message-stop", STARTED[:-1], "message_stop inside an open block, then the end"),
    _fault("missing-block-stop", ONE_PLACE, "a whole stream without content_block_stop"),
    _fault("missing-message-delta", ONE_PLACE, "a whole stream without message_delta"),
    _fault("block-after-stop-reason", ONE_PLACE, "a new block after message_delta"),
)

_AFTER_STOP_FAULTS: Final = (
    _late("never-closed", "silence, with the connection open"),
    _late("never-closed-pings", "pings, every 100 ms or `pace_ms`, for ever"),
    _late("never-closed-events", "text deltas, every 100 ms or `pace_ms`, for ever"),
    _late("events-after-stop", "one more text block, then a proper end"),
    _late("error-after-stop", "an error event, then a proper end"),
    _late("double-message-stop", "message_stop again, then a proper end"),
    _late("garbage-after-stop", "bytes that are no event, then a proper end"),
    _late("rst-after-stop", "the connection is reset"),
    _late("eof-after-stop", "closed without the last chunk"),
)

_SIZE_FAULTS: Final = (
    _fault("huge-event", MID, "one delta of 17 MiB, or `bytes`, then the rest"),
    _fault("huge-line-no-newline", BODY, "a data line of 64 MiB, or `bytes`, that never ends"),
    _fault("endless-comment", BODY, "a comment line of 64 MiB, or `bytes`, that never ends"),
    _fault("endless-fields", BODY, "64 MiB, or `bytes`, of data lines without a blank line"),
    _fault("flood", MID, "content without end: 80 MiB, or `bytes`, as fast as it is read"),
    _fault("gzip-bomb", MID, "a compressed delta of 128 MiB, or `bytes`, unpacked"),
)

_CONNECT_FAULTS: Final = (
    _connect("refused", "a port nobody listens on"),
    _connect("unresolvable", "a name that does not resolve"),
    _connect("tls-garbage", "an https port that does not speak TLS"),
    _connect("connect-timeout", "a port whose queue is full: connecting never succeeds"),
)

ENTRIES: Final[tuple[Entry, ...]] = (
    *_ANSWERS,
    *_FORMS,
    *_STATUS_FAULTS,
    *_SILENCE_FAULTS,
    *_CUT_FAULTS,
    *_ERROR_FAULTS,
    *_CONTENT_FAULTS,
    *_AFTER_STOP_FAULTS,
    *_SIZE_FAULTS,
    *_CONNECT_FAULTS,
)
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}
