"""Stacks are told by sources, command and headers, the surest first; or not at all."""

from __future__ import annotations

import pytest

from finalstop.doctor.fixes import remedies
from finalstop.doctor.stacks import (
    HOPS,
    Language,
    Stack,
    Told,
    handler_stack,
    hop,
    language_of,
    stacks_of,
)
from tests.doctor.exchanges import GOOD, A, asked, exchange

SOURCES = [
    ("import express from 'express';", [Stack.EXPRESS]),
    ('const express = require("express")', [Stack.EXPRESS]),
    ("import { createServer } from 'node:http';", [Stack.NODE_HTTP]),
    (
        "import { streamText } from 'ai';\nimport express from 'express';",
        [Stack.AI_SDK, Stack.EXPRESS],
    ),
    ("export async function POST(req) {", [Stack.NEXT]),
    ("from fastapi import FastAPI\nimport starlette", [Stack.FASTAPI, Stack.STARLETTE]),
    ("from sse_starlette import EventSourceResponse", [Stack.SSE_STARLETTE]),
    ("from flask import Flask", [Stack.FLASK]),
    ("from django.urls import path", [Stack.DJANGO]),
    ("from aiohttp import ClientSession, web", [Stack.AIOHTTP]),
    ("location / {\n    proxy_pass http://app;\n}", [Stack.NGINX]),
    ("frontend web\n    bind :80\n", [Stack.HAPROXY]),
    ("example.com {\n\treverse_proxy 127.0.0.1:3000\n}", [Stack.CADDY]),
    ("import requests", []),
]


@pytest.mark.parametrize(("text", "stacks"), SOURCES)
def test_sources_tell_the_stack(text, stacks):
    told = stacks_of(asked(GOOD, sources={"program": text}))
    assert [it.stack for it in told] == stacks
    assert {it.by for it in told} <= {"program"}


COMMANDS = [
    ("next dev -p 3000", Stack.NEXT),
    ("python manage.py runserver", Stack.DJANGO),
    ("flask --app x run", Stack.FLASK),
    ("nginx -c x.conf", Stack.NGINX),
]


@pytest.mark.parametrize(("command", "stack"), COMMANDS)
def test_the_command_tells_the_stack(command, stack):
    assert [it.stack for it in stacks_of(asked(GOOD, command=command))] == [stack]


HEADERS = [
    ("x-powered-by", "Express", Stack.EXPRESS),
    ("x-powered-by", "Next.js", Stack.NEXT),
    ("server", "uvicorn", Stack.STARLETTE),
    ("server", "Werkzeug/3.1 Python/3.12", Stack.FLASK),
    ("server", "nginx/1.22.1", Stack.NGINX),
    ("server", "cloudflare", Stack.CLOUDFLARE),
    ("via", "1.1 Caddy", Stack.CADDY),
    ("x-vercel-ai-ui-message-stream", "v1", Stack.AI_SDK),
]


@pytest.mark.parametrize(("name", "value", "stack"), HEADERS)
def test_headers_tell_the_stack(name, value, stack):
    (told,) = stacks_of(asked(exchange(A, headers=((name, value),))))
    assert (told.stack, told.by) == (stack, f"{name}: {value}")


def test_what_runs_the_handler_and_what_stands_before_it_are_told_apart():
    seen = asked(
        exchange(A, headers=(("server", "nginx"),)), sources={"a.js": "import x from 'express'"}
    )
    told = stacks_of(seen)
    assert (handler_stack(told), hop(told)) == (Stack.EXPRESS, Stack.NGINX)
    assert (handler_stack(()), hop(())) == (None, None)


def test_every_remedy_is_for_a_stack_and_every_hop_is_one():
    assert {stack for stack, _ in remedies()} <= set(Stack)
    assert set(Stack) > HOPS


def test_every_stack_that_runs_a_handler_has_a_language_and_no_hop_has():
    spoken = {stack: language_of((Told(stack, "x"),)) for stack in Stack}
    assert {stack for stack, language in spoken.items() if language is None} == HOPS
    assert spoken[Stack.NODE_HTTP] is Language.JAVASCRIPT
    assert spoken[Stack.FLASK] is Language.PYTHON
