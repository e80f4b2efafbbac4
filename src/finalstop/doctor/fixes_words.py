"""What to change, in a sentence or two, for each finding. Only words; the diffs are in `fixes`.

True of every stack and dialect; what is true of one language only is said where it is spoken.
"""

from __future__ import annotations

from typing import Final

from finalstop.doctor.stacks import Language


def fix_words(name: str, language: Language | None) -> str:
    """What to change, as the language of the handler has it."""
    own = _IN_LANGUAGE.get((name, language)) if language else None
    return f"{FIX_WORDS[name]} {own}" if own else FIX_WORDS[name]


FIX_WORDS: Final[dict[str, str]] = {
    "unreachable": "Start the server, and check host, port and http or https.",
    "status_not_ok": (
        "Ask as a client of yours would: -X, -H and -d as in curl. Then look at its log."
    ),
    "process_dies": (
        "Catch around the whole handler, give every stream an `error` listener, and let "
        "no promise or task go without an owner."
    ),
    "open_after_terminal": (
        "Leave the loop at the event that ends the answer (`message_stop` with Claude, "
        "`finish_reason` or `[DONE]` with OpenAI) and end the response there; do not wait for the"
        " upstream's body."
    ),
    "still_open": "Run it again with --run or --simulator: then the cause has a name.",
    "hangs_on_stall": (
        "Set a timer that every event of the answer starts anew, and abort the call when "
        "it runs out. The SDK's `timeout` is not enough. If you have such a timer and it is longer "
        "than the doctor watched, say so with --window."
    ),
    "pings_mask_stall": "Let only content start the timer anew: no ping, no comment, no bytes.",
    "hangs_without_head": (
        "Set a timer before the call is made, and abort the call when it runs out; and "
        "retry at most once."
    ),
    "no_terminal": (
        "Send a last frame that says that the answer is whole, such as `data: "
        '{"event":"end"}`, and only after the upstream has said so.'
    ),
    "truncation_looks_complete": (
        "Send the end only if the upstream's own (`message_stop` with Claude, `finish_reason` "
        "with OpenAI) was seen, and an error frame otherwise."
    ),
    "reset_looks_complete": (
        "Send the end inside the try, after the loop, never in a finally; and an error "
        "frame in the catch."
    ),
    "error_hidden": (
        "After the head, send an error as a frame of its own, with its blank line, and "
        "end the response. Before the head, send a status."
    ),
    "two_terminals": "Send the terminal in one place, and nothing after it.",
    "undispatched_tail": (
        "End every frame with a blank line. After the head a status or an error page can no "
        "longer be sent: it only appends text."
    ),
    "empty_deltas": "Pass on only what has a text, and skip the rest.",
    "status_flattened": (
        "Send the head when the first event has come; until then answer with the "
        "upstream's own status. Switch off the SDK's retries."
    ),
    "retry_after_lost": "Pass on the upstream's `retry-after` with its status.",
    "upstream_not_cancelled": ("Watch for the client's departure, and abort the call at once."),
    "upstream_not_cancelled_before_head": (
        "Watch from before the call is made, and hand the call what aborts it."
    ),
    "sigterm_hangs": (
        "At SIGTERM take no new request, give open streams some seconds, then end each "
        "with an error frame."
    ),
    "sigterm_cuts": (
        "At SIGTERM take no new request, let open streams end, and end the rest with an "
        "error frame before the process exits."
    ),
    "wrong_content_type": "Set `content-type: text/event-stream` before the first write.",
    "wrong_charset": "Encode as UTF-8, and name no other charset.",
    "compressed": ("Exempt text/event-stream from compression, at the server and at every proxy."),
    "buffered": (
        "Switch buffering off for this route, and flush after each frame. Behind nginx "
        "the header `X-Accel-Buffering: no` does it."
    ),
    "cut_mid_stream": "Raise the limit that cuts, and send a keep-alive comment every 15 s.",
    "cut_by_idle_limit": "Send a keep-alive comment every 15 s, and raise the limit.",
    "eventsource_loops": (
        "Answer 204 if Last-Event-ID is that of the end; and let the page call `close()` "
        "at the terminal."
    ),
    "head_withheld": "Send the head at the first event, and flush it.",
    "bytes_after_terminal": "Return after the terminal.",
    "close_delimited": "Speak HTTP/1.1 on every hop, and let the server chunk.",
    "no_keep_alive": (
        "Send `: keep-alive` and a blank line every 15 s. It ends nothing, and must not "
        "move your timers."
    ),
    "head_asks_the_model": "Answer HEAD without the handler, or take the question by POST.",
    "preflight_refused": ("Only if pages of other origins should ask: allow them by CORS headers."),
}

_JS, _PY = Language.JAVASCRIPT, Language.PYTHON
_IN_LANGUAGE: Final[dict[tuple[str, Language], str]] = {
    ("open_after_terminal", _JS): "`finalMessage()` of Anthropic's SDK waits for the body, too.",
    ("process_dies", _JS): "In Node an `error` event without a listener ends the process.",
    ("hangs_on_stall", _JS): "In TypeScript it covers the wait for the head only.",
    ("hangs_on_stall", _PY): "In Python pings start it anew, and it is 600 s by default.",
    ("undispatched_tail", _JS): "So does `res.status(500).end(text)`.",
    ("empty_deltas", _JS): "With Claude: `event.delta.type === 'text_delta'`.",
    ("empty_deltas", _PY): 'With Claude: `event.delta.type == "text_delta"`, or `text_stream`.',
    ("status_flattened", _JS): "In the SDK: `maxRetries: 0`.",
    ("status_flattened", _PY): "In the SDK: `max_retries=0`.",
    ("upstream_not_cancelled", _JS): "It is the response's `close`, not the request's.",
    ("upstream_not_cancelled_before_head", _JS): "It is the `signal` of an `AbortController`.",
}
