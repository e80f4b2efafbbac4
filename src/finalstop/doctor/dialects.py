"""The dialects: how to tell each, what is a delta, and which frames are its terminals.

A table of twins: each row tells itself from the frames and judges one frame. A home-made relay has
words of its own; `learn` takes its terminal from a run that was known to be healthy. It may not
know when a frame came, nor how its exchange ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from finalstop.doctor.reading import Carrier, Frame, Reading


class Role(StrEnum):
    """What a frame is in its dialect."""

    DELTA = "delta"  # progress of the answer: text, thinking, tool input
    SUCCESS = "success"  # a terminal: the answer is whole
    FAILURE = "failure"  # a terminal: it is not
    CLOSE = "close"  # a closing mark: it may follow a terminal, and alone it stands for success
    KEEP_ALIVE = "keep-alive"
    OTHER = "other"  # metadata


@dataclass(frozen=True, slots=True)
class Dialect:
    """One row. `success` and `failure` say its terminals as they are written on the wire.

    `repeats`: frames may follow a terminal of failure, as the AI SDK's `finish` follows `error`.
    """

    name: str
    success: str
    failure: str
    tell: Callable[[Reading], bool]
    judge: Callable[[Frame], Role]
    strict_deltas: bool = False
    repeats: bool = False


_TEXT_KEYS: Final = ("text", "delta", "content", "token", "chunk", "message", "response", "answer")
_KIND_KEYS: Final = ("type", "event", "kind", "status", "state", "object")
_FLAG_KEYS: Final = ("done", "finished", "complete", "is_final", "final", "end", "stop")
_END_WORDS: Final = frozenset(
    {
        *("end", "done", "complete", "completed", "finish", "finished", "close", "closed"),
        *("stop", "stopped", "eos", "eof", "final", "message_end", "message_stop", "stream_end"),
    }
)
_ERROR_WORDS: Final = frozenset({"error", "failed", "failure", "abort", "aborted", "exception"})
_ALIVE_WORDS: Final = frozenset({"ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"})
_CLOSING: Final = frozenset({"[DONE]", "[done]", "[END]", "<END>", "<EOS>", "DONE"})
# An event that has a name of its own may do without a payload.
_NO_NAMES: Final = frozenset({"", "message"})
# What a program writes when it meant a text and had none.
NO_TEXTS: Final = frozenset({"undefined", "null", "None", "NaN", "[object Object]", "{}"})


def _types(reading: Reading) -> set[str]:
    return {kind for frame in reading.frames if isinstance(kind := frame.fields.get("type"), str)}


# --- Anthropic ---------------------------------------------------------------------------------

_ANTHROPIC: Final[Mapping[str, Role]] = {
    "content_block_delta": Role.DELTA,
    "message_stop": Role.SUCCESS,
    "error": Role.FAILURE,
    "ping": Role.KEEP_ALIVE,
}


def _tell_anthropic(reading: Reading) -> bool:
    return bool(_types(reading) & {"message_start", "content_block_delta", "message_stop"})


def _judge_anthropic(frame: Frame) -> Role:
    return _by_type(frame, _ANTHROPIC)


# --- AI SDK UI message stream ------------------------------------------------------------------

_AI_SDK: Final[Mapping[str, Role]] = {
    "text-delta": Role.DELTA,
    "reasoning-delta": Role.DELTA,
    "tool-input-delta": Role.DELTA,
    "error": Role.FAILURE,
    "abort": Role.FAILURE,
}
_AI_SDK_OWN: Final = frozenset({"text-start", "text-delta", "start-step", "finish-step", "start"})


def _tell_ai_sdk(reading: Reading) -> bool:
    types = _types(reading)
    return bool(types & {"text-delta", "start-step", "text-start"}) or types == {"start"}


def _judge_ai_sdk(frame: Frame) -> Role:
    if frame.data == "[DONE]":
        return Role.CLOSE
    if frame.fields.get("type") == "finish":
        bad = frame.fields.get("finishReason") in {"error", "interrupted"}
        return Role.FAILURE if bad else Role.SUCCESS
    return _by_type(frame, _AI_SDK)


# --- AG-UI -------------------------------------------------------------------------------------

_AG_UI: Final[Mapping[str, Role]] = {
    "TEXT_MESSAGE_CONTENT": Role.DELTA,
    "TEXT_MESSAGE_CHUNK": Role.DELTA,
    "TOOL_CALL_ARGS": Role.DELTA,
    "TOOL_CALL_CHUNK": Role.DELTA,
    "REASONING_MESSAGE_CONTENT": Role.DELTA,
    "REASONING_MESSAGE_CHUNK": Role.DELTA,
    "RUN_FINISHED": Role.SUCCESS,
    "RUN_ERROR": Role.FAILURE,
}


def _tell_ag_ui(reading: Reading) -> bool:
    return bool(_types(reading) & {"RUN_STARTED", "RUN_FINISHED", "RUN_ERROR"})


def _judge_ag_ui(frame: Frame) -> Role:
    return _by_type(frame, _AG_UI)


# --- OpenAI ------------------------------------------------------------------------------------


def _tell_openai(reading: Reading) -> bool:
    return any(
        frame.fields.get("object") == "chat.completion.chunk"
        or isinstance(frame.fields.get("choices"), list)
        for frame in reading.frames
    )


def _judge_openai(frame: Frame) -> Role:
    if frame.data == "[DONE]":
        return Role.CLOSE
    if "error" in frame.fields:
        return Role.FAILURE
    choices = frame.fields.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    texts = (delta.get("content"), delta.get("tool_calls")) if isinstance(delta, dict) else ()
    return Role.DELTA if any(texts) else _without_data(frame)


# --- home-made: plain deltas, named events, JSON lines -----------------------------------------


def _tell_plain(reading: Reading) -> bool:
    return reading.carrier in {Carrier.SSE, Carrier.JSON_LINES}


def _judge_plain(frame: Frame) -> Role:
    if frame.data is None:
        return _named(frame)
    data = frame.data.strip()
    if data in _CLOSING:
        return Role.CLOSE
    words = {frame.event.lower(), *_kinds(frame)}
    if words & _ERROR_WORDS or frame.fields.get("error"):
        return Role.FAILURE
    if words & _END_WORDS or any(frame.fields.get(key) is True for key in _FLAG_KEYS):
        return Role.SUCCESS
    if words & _ALIVE_WORDS:
        return Role.KEEP_ALIVE
    return Role.DELTA if _is_text(frame, data) else Role.OTHER


def _named(frame: Frame) -> Role:
    # Without data nothing is dispatched, and no browser sees it (WHATWG #dispatchMessage).
    return Role.OTHER if frame.event else Role.KEEP_ALIVE


def _kinds(frame: Frame) -> Iterator[str]:
    for key in _KIND_KEYS:
        value = frame.fields.get(key)
        if isinstance(value, str):
            yield value.lower()


def _is_text(frame: Frame, data: str) -> bool:
    if not frame.fields:
        return bool(data) and not data.startswith(("{", "["))
    return any(isinstance(frame.fields.get(key), str | dict) for key in _TEXT_KEYS)


# --- plain text --------------------------------------------------------------------------------


def _tell_text(reading: Reading) -> bool:
    return reading.carrier is Carrier.TEXT


def _judge_text(_frame: Frame) -> Role:
    return Role.DELTA


def _tell_anything(_reading: Reading) -> bool:
    return True


def _judge_nothing(_frame: Frame) -> Role:
    return Role.OTHER


# --- the table ---------------------------------------------------------------------------------

PLAIN: Final = Dialect(
    "plain deltas",
    'an end frame such as {"event":"end"}, {"done":true}, `event: done` or [DONE]',
    'an error frame such as {"event":"error"} or `event: error`',
    _tell_plain,
    _judge_plain,
    strict_deltas=True,
)
TEXT: Final = Dialect(
    "plain text", "none: the end of the body", "none: a broken connection", _tell_text, _judge_text
)
NONE: Final = Dialect("none", "none", "none", _tell_anything, _judge_nothing)

# The first row that tells itself wins: the foreign ones before the home-made.
DIALECTS: Final[tuple[Dialect, ...]] = (
    Dialect("Anthropic", "message_stop", "an `error` event", _tell_anthropic, _judge_anthropic),
    Dialect(
        "AI SDK UI message stream",
        '{"type":"finish"}, then [DONE]',
        '{"type":"error"} or {"type":"abort"}',
        _tell_ai_sdk,
        _judge_ai_sdk,
        repeats=True,
    ),
    Dialect("AG-UI", "RUN_FINISHED", "RUN_ERROR", _tell_ag_ui, _judge_ag_ui),
    Dialect("OpenAI chat", "[DONE]", '{"error": …}', _tell_openai, _judge_openai),
    PLAIN,
    TEXT,
    NONE,
)


def dialect_of(reading: Reading, *, learned: bool = False) -> Dialect:
    """The dialect of an exchange. `learned`: it ended well, and teaches a home-made terminal."""
    dialect = next(row for row in DIALECTS if row.tell(reading))
    return learn(dialect, reading) if learned and dialect is PLAIN else dialect


def learn(dialect: Dialect, reading: Reading) -> Dialect:
    """Take the terminal from a healthy run, where no known word gives one.

    The deltas are the commonest sort of frame. The terminal is the last frame, if it is of a sort
    that did not occur before the last delta.
    """
    frames = [frame for frame in reading.frames if frame.data is not None]
    if len(frames) < 3 or any(_is_terminal(dialect.judge(frame)) for frame in frames):
        return dialect
    sorts = [_sort_of(frame) for frame in frames]
    delta, count = Counter(sorts).most_common(1)[0]
    if count < 2 or sorts.count(sorts[-1]) > 1 or sorts[-1] == delta:
        return dialect
    last = frames[-1]
    return replace(
        dialect,
        success=f"{'event: ' + last.event + ', ' if last.event else ''}data: {last.data}",
        judge=_learned(dialect.judge, delta, sorts[-1]),
    )


Sort = tuple[str, tuple[str, ...]]


def _learned(known: Callable[[Frame], Role], delta: Sort, terminal: Sort) -> Callable[..., Role]:
    def judge(frame: Frame) -> Role:
        role = known(frame)
        if frame.data is None or role not in {Role.DELTA, Role.OTHER}:
            return role
        sort = _sort_of(frame)
        return Role.SUCCESS if sort == terminal else Role.DELTA if sort == delta else role

    return judge


def _sort_of(frame: Frame) -> Sort:
    """What makes frames alike: the event's name, the JSON's keys, and its word for its kind."""
    if frame.fields:
        return frame.event, (*sorted(frame.fields), *_kinds(frame))
    data = (frame.data or "").strip()
    # A marker is one short word in capitals, brackets or the like; a text may be anything.
    return frame.event, ((data,) if _is_marker(data) else ())


def _is_marker(data: str) -> bool:
    return len(data) <= 40 and data[:1] in "[<#_*{" and data[-1:] in "]>#_*}"


def _is_terminal(role: Role) -> bool:
    return role in {Role.SUCCESS, Role.FAILURE, Role.CLOSE}


def _by_type(frame: Frame, roles: Mapping[str, Role]) -> Role:
    kind = frame.fields.get("type")
    if isinstance(kind, str):
        return roles.get(kind, Role.OTHER)
    return _without_data(frame)


def _without_data(frame: Frame) -> Role:
    return Role.KEEP_ALIVE if frame.data is None and not frame.event else Role.OTHER


def is_empty_delta(frame: Frame) -> bool:
    """Whether the frame pretends to be a delta and holds no text: `{}`, null, `undefined`.

    Only for home-made dialects: the others have honest uses for an empty object.
    """
    data = frame.data
    if data is None or (data.strip() == "{}" and frame.event not in _NO_NAMES):
        return False
    if data.strip() in NO_TEXTS:
        return True
    texts = [frame.fields[key] for key in _TEXT_KEYS if key in frame.fields]
    return len(texts) == 1 and len(frame.fields) <= 2 and _no_text(texts[0])


def _no_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in {"undefined", "[object Object]"})
