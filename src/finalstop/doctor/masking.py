"""What is secret in a question, and how it is kept out of every report, wherever it comes back.

A server may echo a key in an error page, a frame or a header. `masked` blots it out of what was
seen before anything is judged or shown; bytes keep their number, so every offset and size stays
true. It may not know how reports look.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, urlencode, urlsplit

from finalstop.doctor.observations import Arrival, Exchange, Observations, Question, Shutdown
from finalstop.doctor.wording import SECRET_HEADERS, visible

HIDDEN: Final = "(hidden)"
_BLOT: Final = "*"
_SECRET_ANSWERS: Final = frozenset({"set-cookie", "www-authenticate"})
_SECRET_WORDS: Final = ("key", "token", "secret", "password", "signature", "auth")
# A member of a body is named by whoever wrote the program: only whole words count, so that
# `max_tokens` and `author` stay readable.
_MEMBER: Final = re.compile(
    r"(?:^|[-_. ])(?:key|apikey|token|secret|password|passwd|pwd|auth|authorization|credentials?)$",
    re.IGNORECASE,
)
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Shorter ones would blot out words of the answer that only happen to be alike.
_HEADER_CHARACTERS_MIN: Final = 4
_MEMBER_CHARACTERS_MIN: Final = 8


def masked(seen: Observations) -> Observations:
    """The same facts, every secret of the questions blotted out; of the same length in bodies."""
    secrets = secrets_of(seen)
    if not secrets:
        return seen
    return replace(
        seen,
        url=blotted(seen.url, secrets),
        command=blotted(seen.command, secrets),
        steps={step: _exchange(it, secrets) for step, it in seen.steps.items()},
        trials={
            case: replace(
                it, exchange=_exchange(it.exchange, secrets), said=blotted(it.said, secrets)
            )
            for case, it in seen.trials.items()
        },
        shutdown=_shutdown(seen.shutdown, secrets),
        untold=tuple(
            replace(it, what=blotted(it.what, secrets), why=blotted(it.why, secrets))
            for it in seen.untold
        ),
    )


def secrets_of(seen: Observations) -> tuple[str, ...]:
    """Every secret that was sent, as it may come back: raw, in JSON, in a URL. Longest first."""
    questions = {it.question for it in seen.steps.values()}
    questions |= {it.exchange.question for it in seen.trials.values()}
    if seen.shutdown is not None:
        questions.add(seen.shutdown.exchange.question)
    raw = {secret for question in questions for secret in _secrets(question)}
    ways = {way for secret in raw for way in _ways(secret)}
    return tuple(sorted(ways, key=lambda it: (-len(it), it)))


def blotted(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced by as many asterisks."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, _BLOT * len(secret))
    return text


def is_secret(name: str, hidden: frozenset[str] = SECRET_HEADERS | _SECRET_ANSWERS) -> bool:
    """Whether a header or a parameter of that name holds a key."""
    low = name.lower()
    return low in hidden or any(word in low for word in _SECRET_WORDS)


def safe_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers with the values of keys and cookies taken out."""
    return [
        (visible(name), HIDDEN if is_secret(name) else visible(value)) for name, value in headers
    ]


def safe_url(url: str) -> str:
    """The URL without a password, and without the values of what is called a key."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return visible(url.partition("?")[0])
    host = parts.netloc.rpartition("@")[2]
    shown = [(name, HIDDEN if is_secret(name, frozenset()) else value) for name, value in query]
    asked = urlencode(shown, safe="():/,@=") if query else parts.query
    return visible(SplitResult(parts.scheme, host, parts.path, asked, "").geturl(), 400)


def safe_body(question: Question) -> str:
    """The question's body as text, without the values of what is called a key."""
    text = question.body.decode("utf-8", "replace")
    for secret in sorted(_of_body(question), key=len, reverse=True):
        for way in _ways(secret):
            text = text.replace(way, HIDDEN)
    return text


# --- where secrets are -------------------------------------------------------------------------


def _secrets(question: Question) -> Iterator[str]:
    for name, value in question.headers:
        if is_secret(name):
            yield from (it for it in _of_header(value) if len(it) >= _HEADER_CHARACTERS_MIN)
    try:
        query = parse_qsl(urlsplit(question.url).query)
    except ValueError:
        query = []
    of_query = [value for name, value in query if is_secret(name, frozenset())]
    yield from (it for it in (*of_query, *_of_body(question)) if len(it) >= _MEMBER_CHARACTERS_MIN)


def _of_header(value: str) -> Iterator[str]:
    """The value; what follows `Bearer`; what `Basic` says in its own way; each cookie's value."""
    yield value
    scheme, _, rest = value.partition(" ")
    if not rest:
        return
    if "=" not in scheme:
        yield rest.strip()
    if scheme.lower() == "basic":
        try:
            yield b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[2]
        except (NotBase64Error, ValueError):
            return
    yield from (
        it.partition("=")[2].strip() for it in value.split(";") if len(it) >= _MEMBER_CHARACTERS_MIN
    )


def _of_body(question: Question) -> list[str]:
    text = question.body.decode("utf-8", "replace")
    try:
        return list(_of_json(json.loads(text)))
    except (ValueError, RecursionError):
        pairs = parse_qsl(text) if "=" in text else []
        return [value for name, value in pairs if _is_secret_member(name) and value]


def _of_json(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for it in value:
            yield from _of_json(it)
    if isinstance(value, dict):
        for name, it in value.items():
            if isinstance(it, str) and it and _is_secret_member(name):
                yield it
            else:
                yield from _of_json(it)


def _is_secret_member(name: str) -> bool:
    return _MEMBER.search(_HUMP.sub("_", name)) is not None


def _ways(secret: str) -> set[str]:
    in_json = {json.dumps(secret, ensure_ascii=it)[1:-1] for it in (True, False)}
    return {secret, *in_json, quote(secret), quote(secret, safe=""), quote_plus(secret)} - {""}


# --- blotting out ------------------------------------------------------------------------------


def _exchange(it: Exchange, secrets: Iterable[str]) -> Exchange:
    question = replace(
        it.question,
        url=blotted(it.question.url, secrets),
        body=_bytes(it.question.body, secrets),
    )
    return replace(
        it,
        question=question,
        headers=tuple((name, blotted(value, secrets)) for name, value in it.headers),
        arrivals=_arrivals(it, secrets),
        failure=blotted(it.failure, secrets),
    )


def _shutdown(it: Shutdown | None, secrets: Iterable[str]) -> Shutdown | None:
    return replace(it, exchange=_exchange(it.exchange, secrets)) if it else None


def _arrivals(it: Exchange, secrets: Iterable[str]) -> tuple[Arrival, ...]:
    """A secret may have come in two pieces: the body is blotted as a whole, then cut as it was."""
    body = it.body
    clean = _bytes(body, secrets)
    if clean == body:
        return it.arrivals
    ends = accumulate((len(arrival.data) for arrival in it.arrivals), initial=0)
    return tuple(
        replace(arrival, data=clean[start:end])
        for arrival, (start, end) in zip(it.arrivals, pairwise(ends), strict=True)
    )


def _bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    for secret in secrets:
        raw = secret.encode("utf-8", "replace")
        if raw in data:
            data = data.replace(raw, _BLOT.encode() * len(raw))
    return data
