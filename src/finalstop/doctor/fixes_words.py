"""What to change, in a sentence or two, for each finding. Only words; the diffs are in `fixes`."""

from __future__ import annotations

from typing import Final

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
        "Leave the loop at `message_stop` and end the response there; do not wait for the"
        " body. `finalMessage()` waits for the body, too."
    ),
    "still_open": "Run it again with --run or --simulator: then the cause has a name.",
    "hangs_on_stall": (
        "Set a timer that every event of the answer starts anew, and abort the call when "
        "it runs out. The SDK's `timeout` is not it. If you have such a timer and it is longer "
        "than the doctor watched, say so with --window."
    ),
    "pings_mask_stall": "Let only content start the timer anew: no ping, no comment, no bytes.",
    "hangs_without_head": (
        "Set a timer before the call is made, and abort the call when it runs out; and "
        "retry at most once."
    ),
    "no_terminal": (
        "Send a last frame that says that the answer is whole, such as `data: "
        '{"event":"end"}`, and only after `message_stop`.'
    ),
    "truncation_looks_complete": (
        "Send the end only if `message_stop` was seen, and an error frame otherwise."
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
        "End every frame with a blank line. After the head, `res.status(500).end(text)` "
        "only appends text."
    ),
    "empty_deltas": "Pass on only what has a text: `event.delta.type === 'text_delta'`.",
    "status_flattened": (
        "Send the head when the first event has come; until then answer with the "
        "upstream's own status. Set `maxRetries: 0`."
    ),
    "retry_after_lost": "Pass on the upstream's `retry-after` with its status.",
    "upstream_not_cancelled": (
        "Listen for the response's `close` (not the request's) and abort the call."
    ),
    "upstream_not_cancelled_before_head": (
        "Listen from before the call is made, and hand the call the signal."
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
