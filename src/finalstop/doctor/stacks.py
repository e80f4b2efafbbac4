"""Which stack is this? The best evidence first: sources, then the command, then headers.

Rows of patterns and nothing else. "unknown" is a valid answer, and the empty tuple says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from finalstop.doctor.observations import Exchange, Observations


class Stack(StrEnum):
    """What runs the handler, or what stands before it."""

    AI_SDK = "ai-sdk"
    NEXT = "next"
    EXPRESS = "express"
    NODE_HTTP = "node-http"
    SSE_STARLETTE = "sse-starlette"
    FASTAPI = "fastapi"
    STARLETTE = "starlette"
    FLASK = "flask"
    DJANGO = "django"
    AIOHTTP = "aiohttp"
    NGINX = "nginx"
    HAPROXY = "haproxy"
    CADDY = "caddy"
    CLOUDFLARE = "cloudflare"


class Language(StrEnum):
    """What the handler is written in."""

    JAVASCRIPT = "javascript"
    PYTHON = "python"


_LANGUAGES: Final = {
    **dict.fromkeys((Stack.AI_SDK, Stack.NEXT, Stack.EXPRESS), Language.JAVASCRIPT),
    Stack.NODE_HTTP: Language.JAVASCRIPT,
    **dict.fromkeys((Stack.SSE_STARLETTE, Stack.FASTAPI, Stack.STARLETTE), Language.PYTHON),
    **dict.fromkeys((Stack.FLASK, Stack.DJANGO, Stack.AIOHTTP), Language.PYTHON),
}
HOPS: Final = frozenset({Stack.NGINX, Stack.HAPROXY, Stack.CADDY, Stack.CLOUDFLARE})


@dataclass(frozen=True, slots=True)
class Told:
    """A stack and what tells it."""

    stack: Stack
    by: str


def _rows(*rows: tuple[Stack, str]) -> tuple[tuple[Stack, re.Pattern[str]], ...]:
    return tuple(
        (stack, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for stack, pattern in rows
    )


# The more special before what it is built on: a FastAPI program imports Starlette, too.
_SOURCES: Final = _rows(
    (Stack.AI_SDK, r"from ['\"]ai['\"]|require\(['\"]ai['\"]\)"),
    (Stack.NEXT, r"['\"]next/server['\"]|export (?:async )?(?:function|const) POST\b"),
    (Stack.EXPRESS, r"(?:from|require\()\s*['\"]express['\"]"),
    (Stack.NODE_HTTP, r"(?:from|require\()\s*['\"](?:node:)?http['\"]"),
    (Stack.SSE_STARLETTE, r"^\s*(?:from|import) sse_starlette\b"),
    (Stack.FASTAPI, r"^\s*(?:from|import) fastapi\b"),
    (Stack.STARLETTE, r"^\s*(?:from|import) starlette\b"),
    (Stack.FLASK, r"^\s*(?:from|import) flask\b"),
    (Stack.DJANGO, r"^\s*(?:from|import) django\b"),
    (Stack.AIOHTTP, r"^\s*from aiohttp import .*\bweb\b|^\s*import aiohttp\.web\b"),
    (Stack.NGINX, r"^\s*proxy_pass\s"),
    (Stack.HAPROXY, r"^\s*(?:frontend|backend|listen) \S+$(?=[\s\S]*^\s*(?:bind|server)\s)"),
    (Stack.CADDY, r"^\s*reverse_proxy\b"),
)
_COMMANDS: Final = _rows(
    (Stack.NEXT, r"\bnext (?:dev|start)\b"),
    (Stack.FASTAPI, r"\bfastapi (?:dev|run)\b"),
    (Stack.FLASK, r"\bflask\b.*\brun\b"),
    (Stack.DJANGO, r"\bmanage\.py\b|\bdaphne\b"),
    (Stack.NGINX, r"\bnginx\b"),
    (Stack.HAPROXY, r"\bhaproxy\b"),
    (Stack.CADDY, r"\bcaddy\b"),
)
# Header name, and what it says.
_HEADERS: Final = tuple(
    (name, stack, re.compile(pattern, re.IGNORECASE))
    for name, stack, pattern in (
        ("x-vercel-ai-ui-message-stream", Stack.AI_SDK, r"."),
        ("x-powered-by", Stack.NEXT, r"next\.js"),
        ("x-powered-by", Stack.EXPRESS, r"express"),
        ("server", Stack.FLASK, r"werkzeug"),
        ("server", Stack.STARLETTE, r"uvicorn|hypercorn|granian"),
        ("server", Stack.DJANGO, r"daphne|wsgiserver"),
        ("server", Stack.AIOHTTP, r"aiohttp"),
        ("server", Stack.NGINX, r"nginx|openresty"),
        ("server", Stack.CADDY, r"caddy"),
        ("server", Stack.CLOUDFLARE, r"cloudflare"),
        ("cf-ray", Stack.CLOUDFLARE, r"."),
        ("via", Stack.CADDY, r"caddy"),
        ("via", Stack.HAPROXY, r"haproxy"),
    )
)


def stacks_of(seen: Observations) -> tuple[Told, ...]:
    """The stacks that could be told apart, the surest first; each once."""
    found: dict[Stack, Told] = {}
    for told in (*_by_sources(seen), *_by_command(seen), *_by_headers(seen)):
        found.setdefault(told.stack, told)
    return tuple(found.values())


def handler_stack(stacks: tuple[Told, ...]) -> Stack | None:
    """What runs the handler, if it could be told."""
    return next((it.stack for it in stacks if it.stack not in HOPS), None)


def language_of(stacks: tuple[Told, ...]) -> Language | None:
    """What the handler is written in, if its stack could be told."""
    stack = handler_stack(stacks)
    return _LANGUAGES[stack] if stack else None


def hop(stacks: tuple[Told, ...]) -> Stack | None:
    """What stands before it, if it could be told."""
    return next((it.stack for it in stacks if it.stack in HOPS), None)


def _by_sources(seen: Observations) -> Iterator[Told]:
    for stack, pattern in _SOURCES:
        for name, text in seen.sources.items():
            if pattern.search(text):
                yield Told(stack, name)


def _by_command(seen: Observations) -> Iterator[Told]:
    for stack, pattern in _COMMANDS:
        if pattern.search(seen.command):
            yield Told(stack, f"the command {seen.command!r}")


def _by_headers(seen: Observations) -> Iterator[Told]:
    exchanges: list[Exchange] = list(seen.steps.values())
    exchanges += [trial.exchange for trial in seen.trials.values()]
    for name, stack, pattern in _HEADERS:
        for exchange in exchanges:
            value = exchange.header(name)
            if value and pattern.search(value):
                yield Told(stack, f"{name}: {value[:40]}")
                break
