"""What each finding says: its title, why it happens, who it hurts. Only words.

True of every stack, measured where it can be; what to change is in `fixes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """A title that can stand alone, and two answers."""

    title: str
    why: str
    hurts: str


# The title where it was seen what the response waits for.
OPEN_UPSTREAM: Final = (
    "the response stays open after `message_stop` when the upstream's body is not ended"
)

WORDS: Final[dict[str, Words]] = {
    "unreachable": Words(
        "the endpoint cannot be reached",
        "no connection was made, or what answered did not speak HTTP/1.1",
        "everyone",
    ),
    "status_not_ok": Words(
        "the endpoint answers with an error, or not at all, although nothing was wrong",
        "the question, its method, path or key is not what the endpoint wants, or it is broken",
        "everyone; nothing else can be judged until it answers",
    ),
    "process_dies": Words(
        "the server's process dies of an upstream failure",
        "an error that nobody catches: an `error` event without a listener, a rejected promise, "
        "an exception in a task",
        "every other reader of the same process: their streams are cut with it",
    ),
    "open_after_terminal": Words(
        "the response stays open after the end of the answer",
        "the relay waits for the upstream's body to end. The SDKs' iterators end with the body, "
        "not with the event that ends the answer, and a proxy before the API may leave the body "
        "open. Or the relay never ends its own response",
        "every reader: the whole answer is there and the page waits for ever",
    ),
    "still_open": Words(
        "the response neither goes on nor ends",
        "without the simulator it cannot be told whether the endpoint or its upstream hangs; "
        "either way nothing in the endpoint puts an end to it",
        "every reader, and the server: each leaves a connection and its memory behind",
    ),
    "hangs_on_stall": Words(
        "the response hangs if the upstream falls silent mid-answer",
        "nothing measures the time between two deltas. The TypeScript SDK's `timeout` covers the "
        "wait for the response head only, the Python SDK's is 600 s of silence by default",
        "every reader of such a stream, until somebody gives up",
    ),
    "pings_mask_stall": Words(
        "pings pass for progress: a dead answer with a living connection hangs",
        "the timer is moved by bytes, or by any event, and a ping is both",
        "every reader of such a stream; no time limit on reading helps",
    ),
    "hangs_without_head": Words(
        "the response hangs if the upstream takes the request and never answers",
        "nothing limits the wait for the first event, or only the SDK's default of ten minutes, "
        "three times over with its retries",
        "every reader of such a stream: nothing of the answer comes, often not even a status line",
    ),
    "no_terminal": Words(
        "a whole answer ends without a terminal event",
        "the relay says the end by ending the body, but a body may end for many reasons",
        "clients cannot tell a whole answer from half of one; an EventSource asks again",
    ),
    "truncation_looks_complete": Words(
        "half an answer looks like a whole one",
        "the SDK's iterator ends quietly when the body ends early, and the relay takes the end of "
        "its loop for the end of the answer; or what came is passed on and its end with it. Only "
        "the upstream's own event (`message_stop` with Claude, `finish_reason` with OpenAI) says "
        "that an answer is whole",
        "readers who act on half an answer, and whoever stores it",
    ),
    "reset_looks_complete": Words(
        "an answer that broke off looks like a whole one",
        "the error of the broken connection is swallowed, and the body is ended as always",
        "readers who act on half an answer, and whoever stores it",
    ),
    "error_hidden": Words(
        "a failure ends without a word that a client can read",
        "after the head a status cannot be sent any more; text without a blank line after it is "
        "dropped by every SSE parser, and a proper end of the body looks like success",
        "readers: the answer just stops, and nobody can offer to try again",
    ),
    "two_terminals": Words(
        "one stream ends twice",
        "the end and the error are sent from two places, and one does not know of the other",
        "clients that act on the first and then get the second: a message both done and failed",
    ),
    "undispatched_tail": Words(
        "text after the last blank line: a browser drops it",
        "an event is dispatched at its blank line. What is written without one, such as the text "
        "of an error page after the head, is thrown away",
        "readers: what should have told them is never seen",
    ),
    "empty_deltas": Words(
        "deltas without a text: `{}`, null or `undefined`",
        "thinking, tool input, signatures and the like are deltas without a text; the relay "
        "writes the text of every delta, also where there is none",
        "readers see `undefined` in the answer, or the page throws",
    ),
    "status_flattened": Words(
        "a 429 or 529 of the upstream becomes another status",
        "the handler answers 500 for whatever it catches, or has sent its 200 before it asked",
        "clients cannot tell `come back later` from `broken`, and retry at once or never",
    ),
    "upstream_not_cancelled": Words(
        "the upstream call goes on after the reader has left",
        "nobody listens for the closing of the response, or the call is not handed the signal",
        "whoever pays for tokens that nobody reads; and the upstream's limit of concurrent calls",
    ),
    "upstream_not_cancelled_before_head": Words(
        "the upstream call goes on if the reader leaves before the first byte",
        "a departure is looked for only where bytes are written, and nothing has been written yet",
        "whoever pays for tokens that nobody reads: most departures are impatient ones",
    ),
    "sigterm_hangs": Words(
        "after SIGTERM the process does not exit while a stream is open",
        "the server waits for its open responses, and nothing ends them",
        "deployments: the process is killed at the end of its grace period, streams and all",
    ),
    "sigterm_cuts": Words(
        "after SIGTERM open streams break off without a word",
        "the process exits at once, or closes its connections without a last event",
        "every reader at every deployment",
    ),
    "wrong_content_type": Words(
        "the body is not labelled as what it is",
        "the content type was not set, or something on the way changed it; or this is no stream",
        "EventSource refuses all but text/event-stream, and proxies buffer or compress the rest",
    ),
    "wrong_charset": Words(
        "the stream is not UTF-8",
        "another charset was named, or text was encoded by the platform's default",
        "browsers: an event stream is UTF-8 always, and Chromium refuses one labelled otherwise",
    ),
    "compressed": Words(
        "the stream is compressed",
        "a compressor wants blocks and a stream has small pieces; without a flush after each frame "
        "it holds them until a block is full or the body ends",
        "readers: nothing for a long time, then everything",
    ),
    "buffered": Words(
        "frames are held back and come in bursts",
        "a proxy, a middleware or a server collects the body before it passes it on",
        "readers: nothing for a long time, then everything; idle limits strike meanwhile",
    ),
    "cut_mid_stream": Words(
        "the connection breaks in the middle of an answer",
        "a proxy's or a server's limit on time or silence, or a crash",
        "readers of long or slow answers",
    ),
    "cut_by_idle_limit": Words(
        "something on the way cuts a silent stream",
        "a proxy's idle limit; 30 to 100 s are common. Thinking can be silent for longer",
        "readers of slow answers; a keep-alive comment every 15 s keeps the way open",
    ),
    "eventsource_loops": Words(
        "an EventSource starts the answer again after its end",
        "an EventSource reconnects after every end, with Last-Event-ID. Only a status that is not "
        "200, by custom 204, stops it",
        "readers see the answer again and again, and every round is billed",
    ),
    "head_withheld": Words(
        "the response head comes late",
        "something waits for the body before it passes the head on, or the handler does",
        "proxies with a limit on the first byte (25 to 30 s are common), and impatient readers",
    ),
    "bytes_after_terminal": Words(
        "something comes after the terminal",
        "the relay does not stop at the terminal, or something is appended to every response",
        "strict clients, which take it for a protocol error or for a new message",
    ),
    "close_delimited": Words(
        "only the closing of the connection says where the body ends",
        "an HTTP/1.0 hop, or a server that neither chunks nor gives a length",
        "everyone: httpx, requests, curl, aiohttp and fetch take a cut for a proper end",
    ),
    "no_keep_alive": Words(
        "the wire is silent for longer than common proxies bear",
        "the relay passes content on and sends nothing of its own meanwhile",
        "readers behind a proxy that cuts silent connections after 20 to 60 s",
    ),
    "retry_after_lost": Words(
        "a 429 reaches the client without retry-after",
        "the status is passed on, its headers are not",
        "clients guess when to come back",
    ),
    "head_asks_the_model": Words(
        "a HEAD request asks the model",
        "frameworks answer HEAD by running the GET handler and dropping the body",
        "whoever pays: link checkers and health checks send HEAD",
    ),
    "preflight_refused": Words(
        "pages of other origins may not ask",
        "no CORS headers on OPTIONS; right, if only your own pages ask",
        "pages of another origin, if there should be any",
    ),
}
