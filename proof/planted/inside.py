"""Bugs in the law and the languages: the end, time, and what stands on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proof.planted.planting import Planting

LIFECYCLE: Final = ("tests/core/test_lifecycle.py",)
TRANSITIONS: Final = ("tests/core/test_transitions.py",)
TIMERS: Final = ("tests/core/test_timers.py",)
ACCOUNT: Final = ("tests/core/test_account.py",)
SSE: Final = ("tests/wire/test_sse.py",)
VIEWER: Final = ("tests/runtime/test_viewer.py",)
RELAY: Final = ("tests/runtime/test_relay.py",)

# -- the end --------------------------------------------------------------------------------------

ENDS: Final[Sequence[Planting]] = (
    Planting(
        "swallow the end of the body",
        "core/lifecycle.py",
        "return self.end(EndReason.TRUNCATED, detail or self._so_far(), now=now)",
        "return []",
        LIFECYCLE,
    ),
    Planting(
        "complete at the end of the body",
        "core/lifecycle.py",
        "return self.end(EndReason.TRUNCATED, detail or self._so_far(), now=now)",
        'return [] if self.ended else [self._end(EndReason.COMPLETE, "", now)]',
        LIFECYCLE,
    ),
    Planting(
        "complete at the stop reason",
        "core/transitions.py",
        "Move.REPORT: Phase.REPORTED,\n        Move.OTHER: Phase.ANSWERING,",
        "Move.REPORT: Phase.ENDED,\n        Move.OTHER: Phase.ANSWERING,",
        TRANSITIONS,
    ),
    Planting(
        "believe a message_stop that nothing bears out",
        "core/lifecycle.py",
        "return Rule.NO_WITNESS",
        "return None",
        LIFECYCLE,
    ),
    Planting(
        "end at a ping",
        "core/lifecycle.py",
        "if move is None:\n            return None",
        'if move is None:\n            return self._invalid("a ping", event, now)',
        LIFECYCLE,
    ),
    Planting(
        "go on reading after the terminal",
        "core/lifecycle.py",
        "if isinstance(taken, Ended):\n                    break",
        "if isinstance(taken, Ended):\n                    continue",
        LIFECYCLE,
    ),
    Planting(
        "a second terminal when two reasons race",
        "core/lifecycle.py",
        "return [] if self.ended is not None else [self._end(reason, detail, now)]",
        "return [self.ended or self._end(reason, detail, now)]",
        LIFECYCLE,
    ),
    Planting(
        "forget which blocks were left open",
        "core/lifecycle.py",
        "open=tuple(self._open.values()),",
        "open=(),",
        LIFECYCLE,
    ),
    Planting(
        "call half a tool call whole",
        "core/lifecycle.py",
        "in WHOLE_STOP_REASONS and not half_call",
        "in WHOLE_STOP_REASONS",
        LIFECYCLE,
    ),
    Planting(
        "let the events in that follow a stop reason",
        "core/transitions.py",
        "Phase.REPORTED: {\n        Move.CLOSE",
        "Phase.REPORTED: {\n        Move.GROW: Phase.REPORTED,\n        Move.CLOSE",
        TRANSITIONS,
    ),
    Planting(
        "tell in a receipt what the log refused",
        "core/lifecycle.py",
        "if accepted < self._seq:",
        "if False:",
        LIFECYCLE,
    ),
    Planting(
        "bill the placeholder of message_start",
        "core/account.py",
        "output_tokens=self._output_tokens if self._final else None,",
        "output_tokens=stated.output_tokens,",
        ACCOUNT,
    ),
    Planting(
        "take a stated 0 for nothing stated",
        "core/account.py",
        "if report.usage.output_tokens is not None:",
        "if report.usage.output_tokens:",
        ACCOUNT,
    ),
)

# -- time -----------------------------------------------------------------------------------------

TIMES: Final[Sequence[Planting]] = (
    Planting(
        "take pings and bare bytes for content",
        "core/lifecycle.py",
        'Told to people; moves no timer."""\n        self.clocks.heard_at = now',
        'Told to people; moves no timer."""\n        self.clocks.content(now)',
        LIFECYCLE,
    ),
    Planting(
        "take an unknown event for content",
        "core/lifecycle.py",
        "# must not keep a stalled stream alive.\n                pass",
        "# must not keep a stalled stream alive.\n                self.clocks.content(now)",
        LIFECYCLE,
    ),
    Planting(
        "arm the idle timer late",
        "core/timers.py",
        "return clocks.content_at + limits.idle_s",
        "return clocks.content_at + 2 * limits.idle_s",
        TIMERS,
    ),
    Planting(
        "let content push the deadline back",
        "core/timers.py",
        "if now >= clocks.opened_at + limits.deadline_s:",
        "if now >= (clocks.content_at or clocks.opened_at) + limits.deadline_s:",
        TIMERS,
    ),
    Planting(
        "wait for ever for a request that is never written",
        "core/timers.py",
        "since = clocks.opened_at if clocks.written_at is None else clocks.written_at",
        'since = float("inf") if clocks.written_at is None else clocks.written_at',
        TIMERS,
    ),
    Planting(
        "send the keep-alive a sweep late",
        "core/timers.py",
        "return now - written_at >= limits.keep_alive_s - SWEEP_S",
        "return now - written_at >= limits.keep_alive_s + SWEEP_S",
        TIMERS,
    ),
    Planting(
        "forget the keep-alive of a reader that is caught up",
        "runtime/viewer.py",
        "if self._caught_up:  # if not, bytes",
        "if not self._caught_up:  # if not, bytes",
        VIEWER,
    ),
    Planting(
        "never cut a reader that takes nothing",
        "runtime/viewer.py",
        "now - self._taken_at >= limits.write_s",
        "now - self._taken_at >= 1e9",
        VIEWER,
    ),
    Planting(
        "skip the retention sweep",
        "runtime/relay.py",
        "        self._retire(now)\n",
        "        pass\n",
        RELAY,
    ),
)

# -- the languages --------------------------------------------------------------------------------

WIRES: Final[Sequence[Planting]] = (
    Planting(
        "take a CRLF that is cut in two for two line ends",
        "wire/sse.py",
        'chunk = chunk.removeprefix(b"\\n")',
        "pass",
        SSE,
    ),
    Planting(
        "let a bare CR in the data start a field",
        "wire/frames.py",
        'return data.replace(b"\\r\\n", b"\\n").replace(b"\\r", b"\\n").split(b"\\n")',
        'return data.replace(b"\\r\\n", b"\\n").split(b"\\n")',
        ("tests/wire/test_frames.py",),
    ),
    Planting(
        "dispatch the event that the end of the body cut off",
        "wire/sse.py",
        "return Leftover(len(rest), rest[:LEFTOVER_HEAD_BYTES]) if rest else None",
        "return None",
        SSE,
    ),
    Planting(
        "forge message_stop for a stream that failed",
        "wire/anthropic.py",
        "if event.receipt.complete:",
        "if event.receipt:",
        ("tests/wire/test_anthropic.py",),
    ),
    Planting(
        "say end where the stream failed",
        "wire/text.py",
        'if ended.receipt.complete:\n        return {"event": "end", **receipt}',
        'if ended:\n        return {"event": "end", **receipt}',
        ("tests/wire/test_text.py",),
    ),
    Planting(
        "read thinking out as text",
        "wire/text.py",
        'return (delta.text or "") if delta.type == "text_delta" else ""',
        'return delta.text or delta.thinking or ""',
        ("tests/wire/test_text.py",),
    ),
)
