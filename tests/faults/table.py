"""The table: every fault of the simulator at every phase, and how the stream must end.

Written by hand from the design (section 5), not from the code: a row says what a reader is
promised. `status` is what the response carries. It is other than 200 where the fault strikes
before the first event, because the head is held for the commit window; a fault that strikes later
is told in the body. "" is the phase of what happens in one place.
"""

from typing import NamedTuple

from finalstop.core.endings import EndReason as R

HEAD = ("before-head",)
MID = ("mid-text", "mid-thinking", "mid-tool-json")
STARTED = ("before-first-delta", *MID, "before-message-stop")
BODY = ("after-head", *STARTED)
ONE_PLACE = ("",)


class Cell(NamedTuple):
    """How the stream ends, and with which status its response began; None for either one."""

    reason: R
    status: int | None = 200


Row = dict[str, Cell]


def at(phases: tuple[str, ...], reason: R, status: int | None = 200) -> Row:
    return dict.fromkeys(phases, Cell(reason, status))


def in_body(reason: R, status: int) -> Row:
    """As the first thing after the head it is the whole answer; later the body tells it."""
    return at(("after-head",), reason, status) | at(STARTED, reason)


def silence() -> Row:
    """Nothing, or nothing that is content: an idle stream once there was content."""
    return at(("after-head",), R.FIRST_CONTENT_TIMEOUT, 504) | at(STARTED, R.IDLE_TIMEOUT)


def refused(status: int) -> Row:
    return at(HEAD, R.UPSTREAM_ERROR, status)


INVALID = in_body(R.UPSTREAM_INVALID, 502)
CUT = in_body(R.TRUNCATED, 502)
COMPLETE = at(ONE_PLACE, R.COMPLETE)

EXPECTED: dict[str, Row] = {
    # -- the head --
    "status-400": refused(400),
    "status-401": refused(401),
    "status-402": refused(402),
    "status-403": refused(403),
    "status-404": refused(404),
    "status-408": refused(408),
    "status-409": refused(409),
    "status-413": refused(413),
    "status-422": refused(422),
    "status-429": refused(429),
    "status-429-spend": refused(429),
    "status-500": refused(500),
    "status-502": refused(502),
    "status-503": refused(503),
    "status-504": refused(504),
    "status-529": refused(529),
    "status-stall": refused(500),
    "redirect": at(HEAD, R.UPSTREAM_INVALID, 502),
    "wrong-content-type": at(HEAD, R.UPSTREAM_INVALID, 502),
    "html-200": at(HEAD, R.UPSTREAM_INVALID, 502),
    "empty-200": at(HEAD, R.TRUNCATED, 502),
    "json-200": at(HEAD, R.UPSTREAM_INVALID, 502),
    "no-content-204": at(HEAD, R.UPSTREAM_INVALID, 502),
    "unknown-encoding": at(HEAD, R.UPSTREAM_INVALID, 502),
    "huge-head": at(HEAD, R.UPSTREAM_INVALID, 502),
    "not-http": at(HEAD, R.UPSTREAM_INVALID, 502),
    "no-head": at(HEAD, R.FIRST_CONTENT_TIMEOUT, 504),
    # -- silence --
    "stall": at(HEAD, R.FIRST_CONTENT_TIMEOUT, 504) | silence(),
    "pings-forever": silence(),
    "comments-forever": silence(),
    "spaces-forever": silence(),
    # -- cuts --
    "fin": CUT,
    "eof": at(HEAD, R.TRUNCATED, 502) | CUT,
    "rst": at(HEAD, R.TRUNCATED, 502) | CUT,
    "cut-chunk": CUT,
    "cut-mid-event": CUT,
    "cut-mid-utf8": CUT,
    "cut-gzip": CUT,
    "content-length-short": CUT,
    # A malformed chunk spoils the read that it comes in: events that came with it, and even the
    # head, may be lost. The status is then 502, which is as true.
    "bad-chunk-size": at(BODY, R.UPSTREAM_INVALID, None)
    | at(("after-head",), R.UPSTREAM_INVALID, 502),
    "missing-message-stop": at(ONE_PLACE, R.TRUNCATED),
    # -- errors said in the stream; the status of a first one is what its type means --
    "error-overloaded": in_body(R.UPSTREAM_ERROR, 529),
    "error-api": in_body(R.UPSTREAM_ERROR, 500),
    "error-rate-limit": in_body(R.UPSTREAM_ERROR, 429),
    "error-timeout": in_body(R.UPSTREAM_ERROR, 504),
    "error-invalid-request": in_body(R.UPSTREAM_ERROR, 400),
    "error-unknown-type": in_body(R.UPSTREAM_ERROR, 500),
    "error-no-body": INVALID,  # a known event of the wrong shape says nothing
    "error-then-open": in_body(R.UPSTREAM_ERROR, 529),
    "error-then-events": in_body(R.UPSTREAM_ERROR, 529),
    "error-first": at(ONE_PLACE, R.UPSTREAM_ERROR, 529),
    # -- nonsense --
    "bad-json": INVALID,
    "wrong-shape": INVALID,
    "not-object": INVALID,
    "invalid-utf8": INVALID,
    "nul-byte": INVALID,
    "duplicate-message-start": at(STARTED, R.UPSTREAM_INVALID),
    "delta-before-start": at(ONE_PLACE, R.UPSTREAM_INVALID, 502),
    "no-message-start": at(ONE_PLACE, R.UPSTREAM_INVALID, 502),
    "delta-unknown-index": at(STARTED, R.UPSTREAM_INVALID),
    "duplicate-block-start": at(MID, R.UPSTREAM_INVALID),
    "early-message-stop": at(("before-first-delta", *MID), R.UPSTREAM_INVALID),
    # What lenient providers leave out, and an answer is whole without (design note 0003).
    "missing-block-stop": COMPLETE,
    "missing-message-delta": COMPLETE,
    "block-after-stop-reason": at(ONE_PLACE, R.UPSTREAM_INVALID),
    # -- after message_stop nothing counts --
    "never-closed": COMPLETE,
    "never-closed-pings": COMPLETE,
    "never-closed-events": COMPLETE,
    "events-after-stop": COMPLETE,
    "error-after-stop": COMPLETE,
    "double-message-stop": COMPLETE,
    "garbage-after-stop": COMPLETE,
    "rst-after-stop": COMPLETE,
    "eof-after-stop": COMPLETE,
    # -- too much --
    "huge-event": at(MID, R.UPSTREAM_INVALID),
    "huge-line-no-newline": INVALID,
    "endless-comment": INVALID,
    "endless-fields": INVALID,
    "flood": at(MID, R.TOO_LARGE),
    "gzip-bomb": at(MID, R.UPSTREAM_INVALID),
    # -- connecting (finalstop.simulator.connect) --
    "refused": at(("before-dial",), R.UNREACHABLE, 502),
    "unresolvable": at(("before-dial",), R.UNREACHABLE, 502),
    "tls-garbage": at(("before-dial",), R.UNREACHABLE, 502),
    "connect-timeout": at(("before-dial",), R.UNREACHABLE, 502),
}

# What ends by a timer of ours: these cells run with short ones, all others with long ones, so that
# a busy machine is never taken for a silent upstream.
TIMEOUTS = {R.FIRST_CONTENT_TIMEOUT, R.IDLE_TIMEOUT}
TIMED = {
    fault
    for fault, row in EXPECTED.items()
    if all(cell.reason in TIMEOUTS for cell in row.values())
}
PATIENT = {"commit_s": 4.0, "first_content_s": 6.0, "idle_s": 6.0}

# The matrix runs with these bounds, and what is too much is sized to be just over them.
BOUNDS = {"event_bytes": 64 * 1024, "stream_bytes": 512 * 1024}
OPTIONS = {
    "huge-event": ",bytes=100000",
    "huge-line-no-newline": ",bytes=100000",
    "endless-comment": ",bytes=100000",
    "endless-fields": ",bytes=100000",
    "flood": ",bytes=700000",
    "gzip-bomb": ",bytes=4000000",
    "huge-head": ",bytes=100000",
    # A reset throws away what the kernel has not sent yet: the stream goes out in small steps.
    "rst": ",pace_ms=1,words=40",
    "rst-after-stop": ",pace_ms=1,words=40",
    # The body of a refusal is waited for 2 s; a test of its own waits that long.
    "status-stall": ",hold_s=0.1",
}


def spec_of(fault: str, phase: str) -> str:
    """The simulator's script for one cell."""
    return f"{fault}{'@' + phase if phase else ''}{OPTIONS.get(fault, '')}"
